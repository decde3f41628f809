"""Counts the findings of coverage at intervals.

Standing: beside the other loops of a leader. Holds: the work is done by `countprocess`, one at a time, which is killed
when its time is over. Where memory is not enough, it is done again without the namespace that takes most, a few times
within the same time: what is there is unknown, and all others are counted. A failure keeps the last counts, with the
time that they are of, and is counted and logged; it ends nothing else.
"""

import asyncio
import json
import os
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import structlog

from bailiwick_coverage.findings import CoverageCode
from bailiwick_kube.access import Access, AccessError
from bailiwick_operator.coverageflags import CoverageSettings

_LOG: Final = structlog.get_logger(__name__)
_MODULE: Final = "bailiwick_operator.coverage.countprocess"
_MOST_LEFT_OUT: Final = 8
_KEPT: Final = (
    *("PYTHONPATH", "PYTHONPYCACHEPREFIX", "PYTHONOPTIMIZE", "LD_LIBRARY_PATH"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR"),
)
CountOutcome = Literal["counted", "failed", "timeout"]
COUNT_OUTCOMES: Final[tuple[CountOutcome, ...]] = ("counted", "failed", "timeout")


@dataclass(frozen=True, slots=True)
class CoverageCounts:
    """How many findings there were of each code, and how many were exempt. `at`: seconds since the epoch.

    `left_out`: the namespaces whose objects do not fit in memory; what is there is unknown.
    """

    findings: Mapping[CoverageCode, int]
    exempt: Mapping[CoverageCode, int]
    at: float
    left_out: tuple[str, ...] = ()


class CoverageCounter:
    """Lives in the main loop. `settings` None: coverage is not counted."""

    def __init__(
        self,
        settings: CoverageSettings | None,
        where: Access,
        *,
        namespace: str,
        timeout: float,
        now: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.settings: Final = settings
        self._where = where
        self._namespace = namespace
        self._timeout = timeout
        self._now = now
        self._sleep = sleep
        self.counts: CoverageCounts | None = None
        """What was found last; None before the first count."""
        self.outcomes: Counter[CountOutcome] = Counter()
        """What became of each attempt."""
        self.problem: str | None = None
        """Why the last attempt failed, for a person; None where it did not."""

    async def run(self) -> None:
        """Count at intervals, until cancelled."""
        if self.settings is None:
            return
        while True:
            await self.count(self.settings)
            await self._sleep(self.settings.interval)

    async def count(self, settings: CoverageSettings) -> None:
        """Count once."""
        left_out: list[str] = []
        try:
            async with asyncio.timeout(settings.timeout):
                answer = _parse(await self._print(settings, left_out))
                while (heaviest := answer.get("heaviest")) is not None and len(left_out) < _MOST_LEFT_OUT:
                    left_out.append(str(heaviest))
                    answer = _parse(await self._print(settings, left_out))
        except TimeoutError:
            self._fail("timeout", f"it takes longer than {settings.timeout:g} s: raise --coverage-timeout")
            return
        except (AccessError, OSError) as error:
            self._fail("failed", str(error))
            return
        counts = _counts(answer, self._now(), tuple(left_out))
        if isinstance(counts, str):
            self._fail("failed", counts)
            return
        self.outcomes["counted"] += 1
        if self.counts is None or self.problem is not None or counts.findings != self.counts.findings:
            _LOG.info("counted the findings of coverage", **{code.value: n for code, n in counts.findings.items()})
        if counts.left_out and (self.counts is None or counts.left_out != self.counts.left_out):
            _LOG.warning(
                "coverage leaves out namespaces whose objects do not fit in its memory: raise --coverage-memory-bytes",
                namespaces=list(counts.left_out),
            )
        self.counts, self.problem = counts, None

    async def _print(self, settings: CoverageSettings, left_out: Sequence[str]) -> bytes:
        """Return what a process printed that leaves these namespaces out. Raises `AccessError` and `OSError`."""
        request = {
            "server": self._where.server,
            "ca_file": None if self._where.ca_file is None else str(self._where.ca_file),
            "ca_data": self._where.ca_data,
            "token": self._where.token(),
            "timeout": self._timeout,
            "namespace": self._namespace,
            "memory": settings.memory,
            "seconds": int(settings.timeout),
            "left_out": list(left_out),
        }
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", _MODULE),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env={name: os.environ[name] for name in _KEPT if name in os.environ} | {"PATH": ""},
            cwd="/",
        )
        try:
            printed, _ = await process.communicate(json.dumps(request).encode())
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        return printed

    def _fail(self, outcome: CountOutcome, why: str) -> None:
        self.outcomes[outcome] += 1
        if why != self.problem:
            _LOG.warning("the findings of coverage are not counted: trying again", why=why)
        self.problem = why


def _parse(printed: bytes) -> dict[str, Any]:
    """Parse what the process printed; empty if it is no answer."""
    try:
        answer = json.loads(printed)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


def _counts(answer: Mapping[str, Any], at: float, left_out: tuple[str, ...]) -> CoverageCounts | str:
    """Return the counts in an answer; a text says what went wrong."""
    if "error" in answer:
        return str(answer["error"])
    try:
        return CoverageCounts(_by_code(answer["findings"]), _by_code(answer["exempt"]), at, left_out)
    except (ValueError, LookupError, TypeError):
        return "its process ended without an answer: it may need more than --coverage-memory-bytes"


def _by_code(counts: Mapping[str, int]) -> dict[CoverageCode, int]:
    return {code: int(counts[code.value]) for code in CoverageCode}
