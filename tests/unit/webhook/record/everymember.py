"""Records of decisions in which every member of the table stands somewhere.

Standing: for tests of the table, and of what the audit says once a member is edited.
"""

import json
from collections.abc import Iterable
from typing import Any, Final

from msgspec.structs import replace

from bailiwick_engine.approval.grants import parse
from bailiwick_engine.call import Party, PodWorkload, ShownApproval
from bailiwick_engine.circumstances import Circumstances
from bailiwick_engine.compile.policies import compile_object
from bailiwick_engine.decision.decide import decide
from bailiwick_engine.historynumbers import HistoryNumbers
from bailiwick_engine.policy.snapshot import Snapshot
from bailiwick_engine.signatures.sshsig import write_signature
from bailiwick_webhook.evaluation import ShownToken
from bailiwick_webhook.record.history import HistoryCount
from bailiwick_webhook.record.line import RecordLines
from bailiwick_webhook.record.members import MAPS, RecordMember
from support.objects import Object, gated_rule, opened_grant, policy, rule, settings, subject
from support.records import lines_of
from support.signatures.keys import SecurityKey
from unit.engine.cases import CALL, NOW

IMAGES: Final = frozenset(f"sha256:{number:064x}" for number in range(40))
PARTY: Final = Party(
    "user", "dave", "corp#dave", issuer="corp", groups=("owners", "others"), workload=PodWorkload(IMAGES, {"app": "x"})
)


def paths(value: Any, path: str = "") -> set[str]:  # noqa: ANN401 - any JSON
    if path.replace("actors[]", "subject") in MAPS or (isinstance(value, dict | list) and not value):
        return {path}
    if isinstance(value, dict):
        above = {path} if path else set()
        return above.union(*(paths(inner, f"{path}.{name}" if path else name) for name, inner in value.items()))
    if isinstance(value, list):
        return {f"{path}[]"}.union(*(paths(inner, f"{path}[]") for inner in value))
    return {path}


def named(members: Iterable[RecordMember]) -> set[str]:
    """Return the paths of a table, with what its members are members of."""
    found = set()
    for member in members:
        parts = member.path.split(".")
        for end in range(1, len(parts) + 1):
            found.add(".".join(parts[:end]))
    return found


def lines(*policies: Object, **fields: Any) -> list[Object]:  # noqa: ANN401 - of a line
    snapshot = Snapshot.of(compile_object(one) for one in policies)
    call = fields.pop("call", CALL)
    verdict = decide(snapshot, call, (), Circumstances(NOW))
    given = {"request_id": "r", "allowed": True, "now": NOW, **fields}
    made = lines_of(RecordLines(), snapshot, call, given.pop("verdict", verdict), **given)
    return [json.loads(one) for one in made]


def stored(name: str, **spec: object) -> Object:
    made = policy("crm", name, **spec)
    made["metadata"] |= {"uid": f"{name}-uid", "generation": 1}
    return made


def carrier(**spec: object) -> Object:
    reading = [{"name": "c", "expression": "context.n > 1 && context.a.b == 1"}]
    listed = [
        subject(),
        {"name": "owners", "group": {"issuer": "corp", "name": "owners"}},
        {"name": "worker", "serviceAccount": {"namespace": "agents", "name": "worker"}, "workload": WORKLOAD},
    ]
    names = ["agent", "owners", "worker"]
    rules = [
        rule("read", subjects=names, actions=["*"], conditions=reading),
        gated_rule(subjects=names, actions=["*"]),
    ]
    return stored("crm-agent", endpointSettings=settings(), subjects=listed, rules=rules, **spec)


WORKLOAD: Final = {"imageDigests": sorted(IMAGES)[:1], "podSelector": {"matchLabels": {"app": "x"}}}
WORKER: Final = Party(
    "serviceAccount", "system:serviceaccount:agents:worker", "uid", workload=PodWorkload(IMAGES, {"app": "x"})
)


def grant(**status: object) -> Any:  # noqa: ANN401 - a grant
    raw = opened_grant("crm")
    raw["metadata"] |= {"uid": "u", "resourceVersion": "1", "creationTimestamp": "2026-01-01T00:00:00Z"}
    review = {"reviewer": "dave", "step": "crm-agent.export.owner", "decision": "Approve", "binding": "b"}
    raw["spec"]["reviews"] = [review]
    raw["status"] = {"phase": "Active", "counted": [{"reviewer": "dave"}], **status}
    return parse(raw)


def signed_grant() -> Any:  # noqa: ANN401 - a grant
    raw = opened_grant("crm")
    raw["metadata"] |= {"uid": "u", "resourceVersion": "1", "creationTimestamp": "2026-01-01T00:00:00Z"}
    raw["spec"]["request"]["steps"][0]["signature"] = "Key"
    signature = write_signature(SecurityKey.make().sign(b"the statement"))
    step = raw["spec"]["request"]["steps"][0]["name"]
    review = {"reviewer": "dave", "step": step, "decision": "Approve", "binding": "b", "signature": signature}
    raw["spec"]["reviews"] = [review]
    raw["status"] = {"phase": "Active", "counted": [{"reviewer": "dave"}], "uses": 1}
    return parse(raw)


def all_decisions() -> list[Object]:
    large = replace(CALL, context={"n": 2, "large": "x" * 3_000}, subject=WORKER)
    chain = replace(CALL, subject=PARTY, actors=(WORKER,), shown=ShownApproval("agr-1.u"))
    audit = stored("audit", mode="Audit", rules=[rule("seen", actions=["*"])])
    token = ShownToken("jti", "sha", None)
    others = [stored(f"p{number:02}", rules=[rule()]) for number in range(20)]
    return [
        *lines(carrier(), audit, call=large, trace="00-x", item=1, pending=1.0),
        *lines(carrier(suspend=True), call=chain, token=token, used=grant(uses=1)),
        *lines(carrier(), used=signed_grant()),
        *lines(carrier(), audit),
        *lines(carrier(), *others)[1:],
        *lines(carrier(), stored("reader", data=[{"name": "incident"}], rules=[rule()])),
        *lines(
            carrier(),
            history=[HistoryCount("exports", "h-0", 3, HistoryNumbers(2), added=True, repeated=True, awaited=True)],
        ),
    ]
