"""Real records on one core: `audit verify --policies`, `replay` and `unused` of a million decisions.

Standing: under `audit`, of whose section these are rows. Writes records as the decision point does, of many
subjects, actions, resources and amounts.
"""

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from msgspec.structs import replace

from bailiwick_engine.call import Action, Call, Party, Resource, ServiceAccount
from bailiwick_engine.circumstances import Circumstances
from bailiwick_engine.compile.policies import compile_object
from bailiwick_engine.decision.decide import evaluate_hops
from bailiwick_engine.decision.verdict import Outcome
from bailiwick_engine.policy.snapshot import Snapshot
from bailiwick_evidence.derive.versions import engine_versions
from bailiwick_webhook.record.line import RecordLines
from benchmarks.rig.commandrun import run_command
from benchmarks.rig.results import Row
from benchmarks.tools.cosign import WitnessedChain

_ACCOUNTS: Final = 40
_AMOUNTS: Final = tuple(range(0, 2_000, 20))
_ACTIONS: Final = ("orders.get", "orders.list", "orders.refund", "orders.export", "orders.delete")
_WEEK: Final = 7 * 86_400
_BEGAN: Final = 1_772_000_000
_ID: Final = b"resource-of-the-call"
_EVALUATION: Final = b"evaluation-of-the-call"
_KIBI: Final = 1024

Object = dict[str, Any]


def rows(folder: Path, count: int) -> Iterator[Row]:
    """Write a log of so many decisions, derive each of them again, replay it, count uses, and yield what each took."""
    old, new = policy(500), policy(700)
    for name, made in (("before", old), ("after", new)):
        (folder / f"{name}.json").write_text(json.dumps(made), encoding="utf-8")
    log, chain = folder / "decisions.log", WitnessedChain()
    with log.open("wb") as file:
        file.writelines(lines(chain, list(bodies(old)), count))
    policies = ("--policies", str(folder / "before.json"))
    words = ("audit", "verify", str(log), *chain.cosign(folder), *policies)
    yield run_command("verify, and derive every decision", words, count, "< 120 s, < 300 MB")
    words = ("replay", str(log), *policies, "--candidate", str(folder / "after.json"), "--fail-on", "maybe")
    yield run_command("replay", words, count, "< 180 s, < 300 MB")
    # The rule that asks for an approval lets nobody through: none is ever given.
    words = ("unused", str(log), "-f", str(folder / "before.json"), "--window", "6d")
    yield run_command("unused", words, count, "< 180 s, < 300 MB", exits=1)


def policy(limit: int) -> Object:
    """Return a policy of a shop, which lets refunds below a limit through."""
    subjects = [
        {"name": f"agent-{number}", "serviceAccount": {"namespace": "agents", "name": f"agent-{number}"}}
        for number in range(_ACCOUNTS)
    ]
    rule = {"subjects": [one["name"] for one in subjects], "resources": [{"type": "order", "ids": ["*"]}]}
    small = {"name": "small", "expression": f"resource.properties.amount < {limit}"}
    approval = {"steps": [{"name": "owner", "kind": "Human"}]}
    spec = {
        "endpoint": "shop",
        "endpointSettings": {"enforcers": [{"namespace": "shop", "name": "shop-api"}]},
        "subjects": subjects,
        "rules": [
            {"name": "read", "effect": "Allow", "actions": ["orders.get", "orders.list"], **rule},
            {"name": "refund", "effect": "Allow", "actions": ["orders.refund"], "conditions": [small], **rule},
            {"name": "export", "effect": "RequireApproval", "actions": ["orders.export"], "approval": approval, **rule},
        ],
    }
    metadata = {"namespace": "shop", "name": "shop", "uid": "shop-uid", "generation": 1}
    return {"apiVersion": "bailiwick.dev/v1alpha1", "kind": "EndpointPolicy", "metadata": metadata, "spec": spec}


def lines(chain: WitnessedChain, made: Sequence[bytes], count: int) -> Iterator[bytes]:
    """Yield the lines of a process that made so many decisions within a week, after the one that opens its log."""
    yield chain.opening(**engine_versions())
    moment, told = repr(float(_BEGAN)).encode(), _told(_BEGAN)
    for number in range(count):
        body = made[number * 7 % len(made)]
        time = _BEGAN + number * _WEEK / count
        body = (
            body.replace(moment, repr(time).encode())
            .replace(told, _told(time))
            .replace(_ID, b"order-%d" % (number % 99_991))
        )
        yield chain.append(body.replace(_EVALUATION, b"eval-%d" % number))


def _told(time: float) -> bytes:
    """Return the member `time` of a record."""
    moment = datetime.fromtimestamp(time, UTC).isoformat(timespec="milliseconds")
    return f'"time":"{moment}"'.encode()


def bodies(stands: Object) -> Iterator[bytes]:
    """Yield a record of each subject, action and amount, by the policy that stands."""
    snapshot, record = Snapshot.of([compile_object(stands)]), RecordLines(None)
    endpoint = snapshot.endpoints["shop", "shop"]
    around = Circumstances(float(_BEGAN))
    agent = Party("serviceAccount", "", "")
    caller = ServiceAccount("system:serviceaccount:shop:shop-api", "shop-uid")
    call = Call("shop", "shop", caller, agent, Action(""), Resource("order", _ID.decode()))
    for number in range(_ACCOUNTS):
        name = f"system:serviceaccount:agents:agent-{number}"
        for action in _ACTIONS:
            for amount in _AMOUNTS:
                made = replace(
                    call,
                    subject=Party("serviceAccount", name, f"uid-{number}"),
                    action=Action(action),
                    resource=Resource("order", _ID.decode(), {"amount": amount, "currency": "EUR"}),
                )
                verdict, passed = evaluate_hops(snapshot, made, (), around)
                yield record.line(
                    made,
                    verdict,
                    endpoint,
                    kind="evaluation",
                    evaluation_id=_EVALUATION.decode(),
                    request_id=None,
                    trace=None,
                    allowed=verdict.outcome is Outcome.ALLOW,
                    used=None,
                    revision="1/1",
                    age=0.0,
                    now=float(_BEGAN),
                    judged=float(_BEGAN),
                    weighed=passed,
                )
