"""The logs of examples/audit: one March of a CRM, as a decision point and the operator would have written it.

Standing: `python -m support.evidence.march` writes the files. Holds: the same each time, for one version of the engine;
every decision is the engine's, so that it can be derived from the policy in the ledger.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import yaml
from msgspec.structs import replace

from bailiwick_api.kinds.approvalgrant import GrantStep
from bailiwick_engine.approval.grants import Grant, parse
from bailiwick_engine.call import Action, Call, Resource
from bailiwick_engine.circumstances import Circumstances
from bailiwick_engine.compile.policies import compile_object
from bailiwick_engine.decision.decide import evaluate_hops
from bailiwick_engine.decision.verdict import Outcome, Verdict
from bailiwick_engine.policy.snapshot import Snapshot
from bailiwick_engine.reasons import Reason
from bailiwick_evidence.derive.versions import engine_versions
from bailiwick_operator.evidence.chronicle import final_state
from bailiwick_webhook.record.line import RecordLines
from support.decisions import CRM_CALL, ledger_of
from support.evidence.logs import BEGAN, WITNESS_KEY, ProcessLog
from support.objects import Object, opened_grant
from support.pages import DOCS
from support.records import lines_of

FOLDER: Final = DOCS.parent / "examples" / "audit"
POLICY: Final = DOCS.parent / "examples" / "quickstart" / "policy.yaml"
UID: Final = "8f0d3c52-6a1b-4b0e-9a53-2f1f7cb1a111"
# Day and hour in March, action and customer; an export that carol or dave approved, or one that nobody did.
CALLS: Final = (
    (2, 9, "customers.list", "*", None),
    (2, 10, "customers.export", "42", None),
    (2, 11, "customers.export", "42", "carol"),
    (9, 8, "customers.list", "*", None),
    (9, 9, "customers.delete", "42", None),
    (17, 14, "customers.export", "77", "dave"),
    (30, 16, "customers.list", "*", None),
)
# The witness signs after the month has ended, so that the whole of it is covered.
APRIL: Final = 32


def files() -> dict[str, bytes]:
    """Return the files by name."""
    policy = yaml.safe_load(POLICY.read_text(encoding="utf-8"))
    policy["metadata"] |= {"uid": UID, "generation": 1}
    log, ledger = ProcessLog(2, seconds=_since(1, 0), **engine_versions()), ledger_of([policy])
    digest = str(json.loads(ledger.lines[1])["digest"])
    grants = list(_decide(policy, log))
    ledger.at(_since(APRIL, 0))
    for grant in grants:
        ledger.add(kind="grant", **final_state(grant, {UID: digest}))
    ledger.add(kind="checkpoint", note=log.checkpoint(now=int(_moment(APRIL, 0))))
    log.at(_since(APRIL, 2)).add(kind="ledger", note=ledger.checkpoint(now=int(_moment(APRIL, 2))))
    return {
        "decisions.log": b"".join(log.lines),
        "ledger.log": b"".join(ledger.lines),
        "checkpoints.notes": log.checkpoint(now=int(_moment(APRIL, 2))).encode(),
        "witness.vkey": f"{WITNESS_KEY}\n".encode(),
    }


def _decide(policy: Object, log: ProcessLog) -> Iterator[Object]:
    """Decide the calls, and yield the grants that they used, as they ended."""
    snapshot, lines = Snapshot.of([compile_object(policy)]), RecordLines(b"k" * 32)
    for number, (day, hour, action, customer, approver) in enumerate(CALLS):
        now = _moment(day, hour)
        call = replace(CRM_CALL, action=Action(action), resource=Resource("customer", customer))
        verdict, passed = evaluate_hops(snapshot, call, (), Circumstances(now))
        used: Grant | None = None
        if approver is not None:
            grant = _grant(call, verdict, now, approver, f"eval-{number}")
            used = parse(grant)
            verdict = replace(verdict, outcome=Outcome.USE_GRANT, reason=Reason.ALLOWED)
            yield grant
        told = {"evaluation_id": f"eval-{number}", "now": now, "judged": now, "weighed": passed, "used": used}
        for line in lines_of(lines, snapshot, call, verdict, **told):
            log.add(**json.loads(line))


def _grant(call: Call, verdict: Verdict, now: float, approver: str, evaluation: str) -> Object:
    """Return the grant of a call that this person approved, after its one use."""
    gate = verdict.gate
    if gate is None:
        raise ValueError(f"{call.action.name} needs no approval")
    (rule,) = gate.rules
    reference = {"policy": rule.policy, "uid": UID, "rule": rule.rule, "ruleDigest": rule.rule_digest}
    name = f"march-{datetime.fromtimestamp(now, UTC):%d}"
    raw: dict[str, Any] = opened_grant(
        "crm",
        name,
        rules=[reference],
        resource={"type": call.resource.type, "id": call.resource.id},
        binding={"mode": "Exact", "digest": verdict.digest},
        steps=[GrantStep.model_dump(one, mode="json", exclude_none=True) for one in gate.steps],
        pendingUntilTime=_stamp(now + 3_000),
    )
    raw["metadata"] |= {"uid": f"{UID[:-2]}{name[-2:]}", "resourceVersion": "7", "creationTimestamp": _stamp(now - 600)}
    binding = {"binding": verdict.digest, "group": "crm-owners", "reason": "seen with the customer"}
    raw["spec"]["reviews"] = [{"reviewer": approver, "step": gate.steps[0].name, "decision": "Approve", **binding}]
    raw["status"] = {
        "phase": "Consumed",
        "approvedTime": _stamp(now - 60),
        "notAfterTime": _stamp(now + 540),
        "uses": 1,
        "useRecords": [{"key": evaluation, "time": _stamp(now), "evaluationID": evaluation}],
        "counted": [{"reviewer": approver, "time": _stamp(now - 60)}],
    }
    return raw


def _moment(day: int, hour: int) -> float:
    return (datetime(2026, 3, 1, tzinfo=UTC) + timedelta(days=day - 1, hours=hour)).timestamp()


def _since(day: int, hour: int) -> float:
    """Return the time in March as logs count it."""
    return _moment(day, hour) - BEGAN


def _stamp(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def main() -> None:
    """Write the files."""
    FOLDER.mkdir(exist_ok=True)
    for name, content in files().items():
        (FOLDER / name).write_bytes(content)


if __name__ == "__main__":
    main()
