"""Replaying a log: `kubectl bailiwick replay` of a million decisions against changed policies, on one core.

Standing: under `auditing`, of whose section it is a row. Writes records as the decision point does, of many subjects,
actions, resources and amounts.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from msgspec.structs import replace

from bailiwick_engine.call import Action, Call, Party, Resource, ServiceAccount
from bailiwick_engine.circumstances import Circumstances
from bailiwick_engine.compile.policies import compile_object
from bailiwick_engine.decision.decide import weighed
from bailiwick_engine.decision.verdict import Outcome
from bailiwick_engine.policy.snapshot import Snapshot
from bailiwick_evidence.chain import ChainWriter, chain_id
from bailiwick_evidence.derive.versions import engine_versions
from bailiwick_webhook.record.line import RecordLines
from benchmarks.commandrun import run_command
from benchmarks.results import Row

_ACCOUNTS: Final = 40
_AMOUNTS: Final = tuple(range(0, 2_000, 20))
_ACTIONS: Final = ("orders.get", "orders.list", "orders.refund", "orders.export", "orders.delete")
_WEEK: Final = 7 * 86_400
_BEGAN: Final = 1_772_000_000
_ID: Final = b"resource-of-the-call"
_EVALUATION: Final = b"evaluation-of-the-call"
_KIBI: Final = 1024

Object = dict[str, Any]


def row(folder: Path, count: int) -> Row:
    """Write a log of so many decisions, replay it, and return what that took."""
    before, after = _policy(500), _policy(700)
    for name, policy in (("before", before), ("after", after)):
        (folder / f"{name}.json").write_text(json.dumps(policy), encoding="utf-8")
    log = folder / "decisions.log"
    with log.open("wb") as file:
        file.writelines(_lines(before, count))
    words = ("--policies", str(folder / "before.json"), "--candidate", str(folder / "after.json"), "--fail-on", "maybe")
    return run_command("replay", ("replay", str(log), *words), count, "< 180 s, < 300 MB")


def _policy(limit: int) -> Object:
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


def _lines(policy: Object, count: int) -> Iterator[bytes]:
    """Yield the lines of a process that made so many decisions within a week."""
    bodies = list(_bodies(policy))
    writer = ChainWriter(chain_id(os.urandom(16)))
    yield writer.append(json.dumps({"kind": "open", **engine_versions()}).encode() + b"\n")
    moment = repr(float(_BEGAN)).encode()
    for number in range(count):
        body = bodies[number * 7 % len(bodies)]
        now = repr(_BEGAN + number * _WEEK / count).encode()
        body = body.replace(moment, now).replace(_ID, b"order-%d" % (number % 99_991))
        yield writer.append(body.replace(_EVALUATION, b"eval-%d" % number))


def _bodies(policy: Object) -> Iterator[bytes]:
    """Yield a record of each subject, action and amount."""
    snapshot, lines = Snapshot.of([compile_object(policy)]), RecordLines(None)
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
                verdict, passed = weighed(snapshot, made, (), around)
                yield lines.line(
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
