"""Policies as a cluster stores them, for tests of the console's pages of endpoints and access."""

import json
from typing import Any, Final

from support.objects import Object, gated_rule, policy, rule, settings, subject

PEOPLE: Final = settings() | {"identity": {"issuers": ["cluster", "corp"]}}
STAFF: Final = {"name": "staff", "group": {"issuer": "corp", "name": "staff"}}
TRAINEES: Final = {"name": "trainees", "group": {"issuer": "corp", "name": "trainees"}}
READY: Final = {"type": "Ready", "status": "True", "reason": "Programmed", "message": "", "observedGeneration": 1}


def stored(name: str = "crm-agent", status: Object | None = None, namespace: str = "crm", **spec: Any) -> Object:  # noqa: ANN401 - of a policy
    """Return a policy as the API server returns it; keywords replace fields of `spec`."""
    made = policy(namespace, name, **spec)
    made["metadata"] |= {"uid": f"{namespace}-{name}-uid", "generation": 1, "resourceVersion": "1"}
    made["status"] = {"conditions": [READY], "ruleCount": 1, **(status or {})}
    return made


def crm(**spec: Any) -> Object:  # noqa: ANN401 - of a policy
    """Return a policy by which cells of every kind come: allowed, asked, denied, and hanging on each kind of thing."""
    rules = [
        rule("read", subjects=["agent", "staff"]),
        rule(
            "edit",
            actions=["customers.edit"],
            conditions=[{"name": "small", "expression": "context.args.amount < 10"}],
            resources=[{"type": "customer", "ids": ["vip/*"], "properties": {"env": ["test"]}}],
            intents=["support"],
        ),
        gated_rule("export"),
        rule("never", effect="Deny", subjects=["trainees"], actions=["customers.*"]),
    ]
    return stored(
        **{"subjects": [subject(), STAFF, TRAINEES], "rules": rules, "endpointSettings": PEOPLE, **spec},
    )


HISTORIES: Final = (
    {
        "name": "exports",
        "key": ["agent"],
        "window": "1h",
        "counts": {"actions": ["customers.export"], "when": "context.intent != 'drill'"},
    },
    {
        "name": "spent",
        "key": ["agent"],
        "window": "64m",
        "counts": {"actions": ["customers.export"], "resources": [{"type": "customer", "ids": ["*"]}]},
        "amount": {"of": "context.args.amount", "digits": 2},
    },
    {
        "name": "daily",
        "key": ["agent"],
        "calendar": {"unit": "Day", "timeZone": "UTC"},
        "counts": {"actions": ["*"], "approved": "Ignore"},
    },
)


def counting(*histories: Object, **spec: Any) -> Object:  # noqa: ANN401 - of a policy
    """Return the policy of `crm` with histories in its settings."""
    return crm(**{"endpointSettings": PEOPLE | {"history": list(histories or HISTORIES)}, **spec})


PAYLOADS: Final = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "</textarea></pre></table><svg onload=alert(1)>",
    "javascript:alert(1)",
    "{{ 7 * 7 }} {% raw %}",
    "a\u202eb\u200bc\u2066d",
    "p\u0430ypal",
    "w" * 10_240,
)
"""Texts that try to be more than text, to hide, to look like others, or to push everything else away."""


def hostile() -> list[Object]:
    """Return policies with these texts in every string that a policy may hold; some of them compile, others do not."""
    made = []
    for number, text in enumerate(PAYLOADS):
        short = text[:60].replace("*", "x")
        subjects = [
            {"name": "agent", "user": {"issuer": "corp", "name": short}},
            {"name": "staff", "group": {"issuer": "corp", "name": f"{short}g"}},
        ]
        conditions = [{"name": "c", "expression": f"context.a == {json.dumps(short)}", "message": short}]
        entry = {"type": "customer", "ids": [short], "properties": {"env": [short]}}
        acts = [short.replace(" ", "/")]
        named = rule("read", actions=acts, resources=[entry], conditions=conditions, intents=[short])
        status = {
            "conditions": [{"type": text, "status": text, "reason": text, "message": text, "observedGeneration": 1}],
            "ruleCount": text,
            "usage": {"unusedSince": text},
        }
        more: Object = {"endpointSettings": PEOPLE, "endpoint": f"hostile-{number}", "subjects": subjects}
        for at, rules in enumerate(
            ([named], [rule("read", conditions=conditions)], [rule()], [rule(text, actions=[text])])
        ):
            made.append(stored(f"p{number}-{at}", status, **{**more, "rules": rules}))
            more.pop("endpointSettings", None)
    return made
