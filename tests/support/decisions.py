"""Logs of decisions as a decision point and an operator write them, of calls that are made up, without either."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from msgspec.structs import replace

from bailiwick_engine.call import Action, Call, Party, Resource, ServiceAccount
from bailiwick_engine.circumstances import Circumstances
from bailiwick_engine.compile.policies import compile_object
from bailiwick_engine.decision.decide import evaluate_hops
from bailiwick_engine.policy.snapshot import Snapshot
from bailiwick_evidence.derive.versions import engine_versions
from bailiwick_webhook.record.line import RecordLines
from support.derivations import texts_of
from support.evidence.logs import ProcessLog
from support.objects import Object
from support.records import lines_of

AGENT: Final = "system:serviceaccount:agents:crm-agent"
CRM_CALL: Final = Call(
    "crm",
    "crm-api",
    ServiceAccount("system:serviceaccount:crm:crm-api", "crm-api-uid"),
    Party("serviceAccount", AGENT, "agent-uid"),
    Action("customers.list"),
    Resource("customer", "42"),
)
MARCH: Final = 1_772_701_200.0
"""2026-03-05T09:00:00Z."""


def crm_calls(actions: Iterable[str]) -> list[Call]:
    """Return calls of the agent of the CRM example."""
    return [
        replace(CRM_CALL, action=Action(action), resource=Resource("customer", str(number)))
        for number, action in enumerate(actions)
    ]


def decided(
    policies: Iterable[Object],
    calls: Iterable[Call],
    *,
    log: ProcessLog | None = None,
    began: float = MARCH,
    every: float = 3_600.0,
    **fields: Any,  # noqa: ANN401 - of `lines_of`
) -> ProcessLog:
    """Return the log of a process that decided these calls, one an hour. The n-th is `eval-n`."""
    opening: dict[str, Any] = dict(engine_versions())
    log = log or ProcessLog(2, **opening)
    made = [compile_object({**raw, "metadata": {"uid": "uid", "generation": 1, **raw["metadata"]}}) for raw in policies]
    snapshot, lines = Snapshot.of(made), RecordLines(b"k" * 32)
    for number, call in enumerate(calls):
        now = began + number * every
        verdict, passed = evaluate_hops(snapshot, call, (), Circumstances(now))
        told = {"evaluation_id": f"eval-{number}", "now": now, "judged": now, "weighed": passed, **fields}
        for line in lines_of(lines, snapshot, call, verdict, **told):
            log.add(**json.loads(line))
    return log


def ledger_of(policies: Iterable[Object], number: int = 4) -> ProcessLog:
    """Return an operator's ledger with the texts of these policies."""
    ledger = ProcessLog(number, component="operator")
    for digest, text in texts_of(raw["spec"] for raw in policies)._texts.items():
        ledger.add(kind="policy", digest=digest, policy="crm/crm-agent", text=text.decode())
    return ledger


def written(path: Path, *logs: ProcessLog) -> Path:
    """Write logs into one file."""
    path.write_bytes(b"".join(line for log in logs for line in log.stream))
    return path
