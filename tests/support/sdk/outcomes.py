"""A decision point of a script that counts calls: each allow has a handle, and each report is kept."""

import asyncio
import json
from itertools import count
from typing import Any, Final

from bailiwick import HttpRequest, HttpResponse, TransportError
from support.sdk.script import Script, Scripted, allow, answer, echoed

UNTIL: Final = "2026-11-30T12:10:00Z"


def counted_allow(number: int = 1) -> HttpResponse:
    """Return an allow whose outcome matters."""
    return allow(evaluation_id=f"e-{number}", outcome={"handle": f"h-{number}", "until": UNTIL})


class ReportScript(Script):
    """Answers evaluations with allows that have handles, numbered, or by its script; reports with 200, or by theirs.

    `outcomes` are the outcomes of the reports that came, `reports` their bodies. `bodies` are all other questions.
    """

    def __init__(self, *answers: Scripted, reports: list[Scripted] | None = None) -> None:
        super().__init__(*answers)
        self.reports: list[dict[str, Any]] = []
        self._scripted = bool(answers)
        self._reports = list(reports or [])
        self._numbers = count(1)

    def send(self, request: HttpRequest, seconds: float) -> HttpResponse:
        if request.url.endswith("/outcomes"):
            return self._report(request)
        if self._scripted:
            return super().send(request, seconds)
        self.sent.append(request)
        body = json.loads(request.body or b"{}")
        if "evaluations" in body:
            return echoed(request, answer({"evaluations": [{"decision": True} for _ in body["evaluations"]]}))
        return echoed(request, counted_allow(next(self._numbers)))

    @property
    def outcomes(self) -> list[str]:
        return [report["outcome"] for report in self.reports]

    def _report(self, request: HttpRequest) -> HttpResponse:
        body = json.loads(request.body or b"{}")
        self.reports.append(body)
        came = answer({"outcome": body["outcome"]})
        if self._reports:
            scripted = self._reports[0] if len(self._reports) == 1 else self._reports.pop(0)
            if isinstance(scripted, TransportError):
                raise scripted
            came = scripted
        return echoed(request, came)


class SlowReports:
    """A transport for asyncio whose reports wait until `go`."""

    def __init__(self, script: ReportScript) -> None:
        self.go = asyncio.Event()
        self.closed = False
        self._script = script

    async def send(self, request: HttpRequest, seconds: float) -> HttpResponse:
        if request.url.endswith("/outcomes"):
            await self.go.wait()
        return self._script.send(request, seconds)

    async def close(self) -> None:
        self.closed = True
