"""What policies take, measured: `python -m support.footprints` prints a line of JSON for each kind of policy.

Standing: a process of its own, which forks for each kind, so that no kind finds room that another has left. Holds: as
many policies of a kind, each with texts of its own, that what is measured is megabytes.
"""

import gc
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from resource import getpagesize
from typing import Final

from bailiwick_engine.budget.footprint import footprint
from bailiwick_engine.compile.policies import compile_object
from bailiwick_engine.policy.snapshot import Snapshot
from support.objects import Object, gated_rule, policy, rule, settings, subject

_BYTES: Final = 12_000_000
_FEWEST: Final = 8
Make = Callable[[int], Object]


def _one(number: int, **spec: object) -> Object:
    made = policy(f"team-{number}", f"p{number}", **{"endpointSettings": settings(), **spec})
    made["metadata"] |= {"uid": f"uid-{number}", "generation": 1}
    loaded: Object = json.loads(json.dumps(made))
    return loaded


def _condition(text: Callable[[int], str]) -> Make:
    return lambda number: _one(number, rules=[rule(conditions=[{"name": "c", "expression": text(number)}])])


def _people(number: int, rules: int) -> Object:
    listed = [
        {"name": f"s{place}", "entity": {"type": "user", "ids": [f"{number}.{place}.{one}" for one in range(64)]}}
        for place in range(64)
    ]
    named = [rule(f"r{one}", subjects=[f"s{place}" for place in range(one, 64)]) for one in range(rules)]
    asserted = {**settings(), "identity": {"verification": "Asserted"}}
    return _one(number, subjects=listed, rules=named, endpointSettings=asserted)


def _variables(number: int, names: str) -> Object:
    made = [
        {"name": names.format(number=number, place=place), "expression": f"context.a == {100 * number + place}"}
        for place in range(32)
    ]
    return _one(number, variables=made)


def routes(number: int, count: int = 64) -> Object:
    """Return a policy whose endpoint has so many routes, each with what an ordinary route has."""
    made = [
        {
            "methods": ["GET", "HEAD"] if one % 2 else ["POST"],
            "path": f"/v{number}/customers/{{id}}/kind-{one}",
            "action": f"customers.{number}.{one}",
            "resource": {"type": "customer", "id": "{id}", "properties": {"region": "{query.region}"}},
            "args": {"fields": "/fields", "to": f"/to-{one}"},
        }
        for one in range(count)
    ]
    return _one(number, endpointSettings={**settings(), "http": {"hosts": [f"c{number}.example.com"], "routes": made}})


def _histories(number: int, counts: Callable[[int], Object] = lambda _: {}) -> Object:
    made = [
        {
            "name": f"h{number}_{one}",
            "key": [["agent"], ["session", f"context.a{number}"], ["resource"], []][one % 4],
            "window": "1h",
            "counts": {"actions": [f"a.{number}.{one}"], **counts(one)},
            "amount": {"of": f"context.args.a{one}", "digits": 2},
        }
        for one in range(16)
    ]
    return _one(number, endpointSettings={**settings(), "session": {"claim": f"sid{number}"}, "history": made})


def _nested(number: int) -> str:
    return "[" * 24 + f"{number}" + "]" * 24 + " == context.a"


KINDS: Final[dict[str, Make]] = {
    "the smallest": _one,
    "ten rules": lambda number: _one(
        number, rules=[rule(f"r{one}", actions=[f"a.{number}.{one}"]) for one in range(10)]
    ),
    "a comparison": _condition(lambda number: f"context.a == '{number:07}'"),
    "three clauses": _condition(
        lambda number: (
            f"resource.properties.rows <= {number} && resource.properties.region =="
            " subject.properties.region && resource.properties.classification != 'secret'"
        )
    ),
    "a long chain": _condition(
        lambda number: " || ".join(f"context.a == '{number:07}.{place:02}'" for place in range(100))
    ),
    "a list of numbers": _condition(
        lambda number: "context.a in [" + ",".join(f"{(number + place) % 10}" for place in range(1500)) + f",{number}]"
    ),
    "a list of names": _condition(
        lambda number: "context.a in [" + ",".join(f"'{number}.{place}'" for place in range(200)) + "]"
    ),
    "a long text": _condition(lambda number: f"context.a == '{number}{'x' * 3000}'"),
    "a wide text": _condition(lambda number: f"context.a == '{number}{'x' * 3000}\U0001f600'"),
    "macros": _condition(lambda number: " && ".join(f"context.a.all(x, x == {number + one})" for one in range(20))),
    "maps of maps": _condition(lambda number: f"context.a{number}" + ".map(x, x)" * 8 + " == []"),
    "chained optMap": _condition(lambda number: f"context.?a{number}" + ".optMap(v, v)" * 5 + ".orValue(1) == 2"),
    "optional members": _condition(lambda number: f"context.?a{number}" + ".?b" * 12 + ".orValue(1) == 2"),
    "nested lists": _condition(_nested),
    "many actions": lambda number: _one(number, rules=[rule(actions=[f"a.{number}.{one}" for one in range(64)])]),
    "many subjects": lambda number: _one(
        number,
        subjects=[subject(f"s{one}", account=f"a-{number}-{one}") for one in range(64)],
        rules=[rule(subjects=[f"s{one}" for one in range(64)])],
    ),
    "subjects by actions": lambda number: _one(
        number,
        subjects=[subject(f"s{one}", account=f"a-{number}-{one}") for one in range(16)],
        rules=[rule(subjects=[f"s{one}" for one in range(16)], actions=[f"a.{number}.{one}" for one in range(64)])],
    ),
    "thousands of people": lambda number: _people(number, 1),
    "thousands of people, rule by rule": lambda number: _people(number, 8),
    "many resources": lambda number: _one(
        number,
        rules=[
            rule(
                resources=[
                    {"type": "c", "ids": [f"{number}.{place}.{one}" for one in range(64)]} for place in range(16)
                ]
            )
        ],
    ),
    "many properties": lambda number: _one(
        number,
        rules=[
            rule(
                resources=[
                    {
                        "type": "c",
                        "ids": ["*"],
                        "properties": {f"p{place}": [f"{number}.{one}" for one in range(16)] for place in range(16)},
                    }
                ]
            )
        ],
    ),
    "approved images": lambda number: _one(
        number,
        subjects=[
            {**subject(), "workload": {"imageDigests": [f"sha256:{100 * number + one:064x}" for one in range(32)]}}
        ],
        rules=[rule(f"r{one}") for one in range(10)],
    ),
    "gates": lambda number: _one(
        number,
        rules=[
            gated_rule(
                approval={
                    "steps": [
                        {"name": f"s{one}", "kind": "Human", "groups": [f"g{number}.{place}" for place in range(16)]}
                        for one in range(5)
                    ]
                }
            )
        ],
    ),
    "gates of one step": lambda number: _one(
        number, rules=[gated_rule(f"r{one}", actions=[f"a.{number}.{one}"]) for one in range(60)]
    ),
    "a ceiling": lambda number: _one(
        number,
        endpointSettings={
            **settings(),
            "delegation": {
                "maxDepth": 1,
                "principals": ["agent"],
                "ceiling": [
                    {"actions": [f"a{number}.{one}"], "resources": [{"type": "c", "ids": ["*"]}]} for one in range(32)
                ],
            },
        },
    ),
    "sensitive": lambda number: _one(number, sensitive=[f"context.a{one}.b{number}" for one in range(32)]),
    "kept attributes": lambda number: _one(
        number,
        endpointSettings={**settings(), "record": {"keep": [f"context.a{one}.b{number}" for one in range(32)]}},
    ),
    "variables": lambda number: _variables(number, "v{place}"),
    "variables of names of their own": lambda number: _variables(number, "v{number}_{place}"),
    "routes": routes,
    "histories": _histories,
    "histories of some calls": lambda number: _histories(
        number,
        lambda one: {
            "resources": [{"type": "c", "ids": [f"{number}.{one}.{place}" for place in range(16)]}],
            "when": f"context.a == '{number}.{one}' && context.b == 'x{number}'",
        },
    ),
    "broken": _condition(lambda number: f"(( {number}"),
}


def main() -> None:
    """Measure every kind, or those that are named."""
    for kind in sys.argv[1:] or KINDS:
        made = KINDS[kind]
        estimated = footprint(made(1)["spec"]).bytes
        count = max(_FEWEST, _BYTES // estimated)
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            os.write(writing, json.dumps(_measured(made, count)).encode())
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading) as told:
            measured = json.loads(told.read())
        os.waitpid(child, 0)
        sys.stdout.write(json.dumps({"kind": kind, "measured": measured, "estimated": estimated}) + "\n")
        sys.stdout.flush()


def _measured(made: Make, count: int) -> float:
    """Return the bytes of a policy of this kind, with its endpoint."""
    kept = [compile_object(made(1_000_000 + number)) for number in range(2)]
    before = _resident()
    kept += [compile_object(made(number)) for number in range(count)]
    snapshot = Snapshot.of(kept)
    after = _resident()
    # Held until here.
    return (after - before) / count if snapshot.endpoints else 0.0


def _resident() -> int:
    gc.collect()
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * getpagesize()


if __name__ == "__main__":
    main()
