"""One case or more for every validation rule of EndpointPolicy; `support.schemas.rule_cases` has those of grants too.

Holds: a refused object breaks one rule only; where that rule looks at a list, it is broken by a later entry as well.
"""

import itertools
from typing import Final

from bailiwick_api.kinds import cel
from support.objects import Object, changed, gated_rule, later, policy, rule, settings, subject
from support.schemas.transitions import Case

NOWHERE: Final = "nowhere"
P: Final = policy(NOWHERE)
ACCOUNT: Final = {"namespace": "agents", "name": "crm-agent"}
KINDS: Final[dict[str, Object]] = {
    "serviceAccount": ACCOUNT,
    "user": {"issuer": "corp", "name": "carol"},
    "group": {"issuer": "corp", "name": "support"},
    "entity": {"type": "user", "ids": ["alice"]},
}
SHOWN: Final = {"spiffe": "spiffe://cluster.local/ns/gateways/sa/envoy"}
SELECTED: Final[Object] = {"podSelector": {"matchLabels": {"app": "crm-agent"}}}
LISTED: Final[Object] = {"imageDigests": ["sha256:" + "a" * 64]}
STEPS: Final[Object] = {"steps": [{"name": "owner", "kind": "Human"}]}
ROUTE: Final[Object] = {
    "methods": ["GET"],
    "path": "/customers",
    "action": "customers.list",
    "resource": {"type": "customer", "id": "*"},
}
CEILING: Final = [{"actions": ["customers.list"], "resources": [{"type": "customer", "ids": ["*"]}]}]


def signed_step(kind: str) -> Object:
    """Return a step of this kind that asks for a signature."""
    return {"name": "owner", "kind": kind, "signature": "Key"}


def with_rule(**fields: object) -> Object:
    return changed(P, "spec.rules.0", rule(**fields))  # type: ignore[arg-type]  # any field of a rule


def of_kinds(*kinds: str, **more: object) -> Object:
    """Return an entry of `spec.subjects` that is of these kinds, all at once."""
    return {"name": "agent", **{kind: KINDS[kind] for kind in kinds}, **more}


def with_subjects(*subjects: Object, **endpoint_settings: object) -> Object:
    """Return a policy with these subjects; with settings, it is the endpoint's carrier."""
    made = policy(NOWHERE, subjects=list(subjects))
    return changed(made, "spec.endpointSettings", {**settings(), **endpoint_settings}) if endpoint_settings else made


def enforced(enforcer: Object) -> Object:
    """Return a policy with this enforcer beside another one."""
    return changed(P, "spec.endpointSettings", {"enforcers": [*settings()["enforcers"], enforcer]})


def delegating(*principals: str) -> Object:
    return with_subjects(
        subject(),
        {**of_kinds("group"), "name": "support"},
        delegation={"maxDepth": 1, "principals": list(principals), "ceiling": CEILING},
    )


def counting(*histories: Object, **more: object) -> Object:
    """Return a policy whose endpoint has these histories, after what each needs."""
    made = [{"counts": {"actions": ["customers.export"]}, "key": [], **history} for history in histories]
    named = [{"name": f"h{number}", **history} for number, history in enumerate(made)]
    return changed(P, "spec.endpointSettings", {**settings(), "history": named, **more})


DAY: Final[Object] = {"unit": "Day", "timeZone": "Europe/Berlin"}
HOURLY: Final[Object] = {"window": "1h"}
SUMMED: Final[Object] = {**HOURLY, "amount": {"of": "context.amount", "digits": 2}}
SUCCEEDED: Final[Object] = {"actions": ["customers.export"], "what": "Succeeded"}
DENIED: Final[Object] = {"actions": ["customers.export"], "what": "Denied"}
PARTS: Final = ("subject", "agent", "resource", "action", "intent")
TWO_PARTS: Final = ["subject", "agent"]


POLICY_CASES: Final = (
    Case(
        "another endpoint",
        cel.ENDPOINT_IMMUTABLE,
        "spec.endpoint",
        stored=P,
        refused=changed(P, "spec.endpoint", "other-api"),
        accepted=changed(P, "spec.suspend", True),
    ),
    Case(
        "a rule whose subject is not listed",
        cel.RULE_SUBJECTS_KNOWN,
        "spec",
        refused=with_rule(subjects=["agent", "stranger"]),
        accepted=changed(with_rule(subjects=["agent", "stranger"]), "spec.subjects", [subject(), subject("stranger")]),
    ),
    Case(
        "a second rule whose subject is not listed",
        cel.RULE_SUBJECTS_KNOWN,
        "spec",
        refused=changed(P, "spec.rules", [rule(), rule("list", subjects=["stranger"])]),
        accepted=changed(P, "spec.rules", [rule(), rule("list")]),
    ),
    Case(
        "RequireApproval without approval",
        cel.APPROVAL_WITH_EFFECT,
        "spec.rules[0]",
        refused=with_rule(effect="RequireApproval"),
        accepted=changed(P, "spec.rules.0", gated_rule()),
    ),
    *(
        Case(
            f"{effect} with approval",
            cel.APPROVAL_WITH_EFFECT,
            "spec.rules[0]",
            refused=changed(P, "spec.rules.0", gated_rule(effect=effect)),
            accepted=with_rule(effect=effect),
        )
        for effect in ("Allow", "Deny")
    ),
    Case(
        "signed reviews of service accounts",
        cel.PEOPLE_SIGN,
        "spec.rules[0].approval.steps[0]",
        refused=changed(P, "spec.rules.0", gated_rule(approval={"steps": [signed_step("System")]})),
        accepted=changed(P, "spec.rules.0", gated_rule(approval={"steps": [signed_step("Human")]})),
    ),
    *(
        Case(
            f"a scope of which {what}",
            cel.SCOPE_SHOWS_ITSELF,
            "spec.rules[0].approval",
            refused=changed(P, "spec.rules.0", gated_rule(approval={**STEPS, "binding": "Scope", **more})),
            accepted=changed(P, "spec.rules.0", gated_rule(approval={**STEPS, "binding": "Exact", **more})),
        )
        for what, more in (
            ("something is shown", {"show": ["/context/a"]}),
            ("something is hidden", {"allowUnseen": True}),
        )
    ),
    Case(
        "a Deny that expires",
        cel.DENY_NEVER_EXPIRES,
        "spec.rules[0]",
        refused=with_rule(effect="Deny", expireTime=later(hours=1)),
        accepted=with_rule(effect="Allow", expireTime=later(hours=1)),
    ),
    Case(
        "a Deny with intents",
        cel.DENY_HAS_NO_INTENTS,
        "spec.rules[0]",
        refused=with_rule(effect="Deny", intents=["support"]),
        accepted=with_rule(effect="Allow", intents=["support"]),
    ),
    Case(
        "an intent that is called sensitive",
        cel.INTENT_IS_RECORDED,
        "spec.sensitive[1]",
        refused=changed(P, "spec.sensitive", ["context.iban", "context.intent"]),
        accepted=changed(P, "spec.sensitive", ["context.iban", "context.intents"]),
    ),
    *(
        Case(
            f"a subject that is {' and '.join(kinds) or 'nothing'}",
            cel.SUBJECT_IS_ONE_THING,
            "spec.subjects[0]",
            refused=with_subjects(of_kinds(*kinds)),
            accepted=with_subjects(of_kinds(kinds[0] if kinds else "user")),
        )
        for kinds in ((), *itertools.combinations(KINDS, 2), tuple(KINDS))
    ),
    *(
        Case(
            f"an enforcer that is {what}",
            cel.ENFORCER_IS_ONE_THING,
            "spec.endpointSettings.enforcers[1]",
            refused=enforced(wrong),
            accepted=enforced(right),
        )
        for what, wrong, right in (
            ("nothing", {}, {"certificate": SHOWN}),
            ("a namespace alone", {"namespace": "crm"}, ACCOUNT),
            ("a name alone", {"name": "crm-api"}, ACCOUNT),
            ("an account and a certificate", {**ACCOUNT, "certificate": SHOWN}, {"certificate": SHOWN}),
            ("a name and a certificate", {"name": "crm-api", "certificate": SHOWN}, {"certificate": SHOWN}),
        )
    ),
    *(
        Case(
            f"a certificate of {what}",
            cel.CERTIFICATE_IS_ONE_NAME,
            "spec.endpointSettings.enforcers[1].certificate",
            refused=enforced({"certificate": wrong}),
            accepted=enforced({"certificate": SHOWN}),
        )
        for what, wrong in (("no name", {}), ("two names", {**SHOWN, "dns": "envoy.gateways.svc"}))
    ),
    Case(
        "a second subject that is two things",
        cel.SUBJECT_IS_ONE_THING,
        "spec.subjects[1]",
        refused=with_subjects(subject(), {**of_kinds("user", "group"), "name": "carol"}),
        accepted=with_subjects(subject(), {**of_kinds("user"), "name": "carol"}),
    ),
    *(
        Case(
            f"a workload of a {kind}",
            cel.WORKLOAD_NEEDS_SERVICE_ACCOUNT,
            "spec.subjects[0]",
            refused=with_subjects(of_kinds(kind, workload=LISTED)),
            accepted=with_subjects(of_kinds("serviceAccount", workload=LISTED)),
        )
        for kind in KINDS
        if kind != "serviceAccount"
    ),
    *(
        Case(
            f"a workload that says nothing, beside one with {' and '.join(said)}",
            cel.WORKLOAD_SAYS_SOMETHING,
            "spec.subjects[0].workload",
            refused=with_subjects(of_kinds("serviceAccount", workload={})),
            accepted=with_subjects(of_kinds("serviceAccount", workload=said)),
        )
        for said in (SELECTED, LISTED, SELECTED | LISTED)
    ),
    *(
        Case(
            f"http that says nothing, beside one with {' and '.join(said)}",
            cel.HTTP_SAYS_SOMETHING,
            "spec.endpointSettings.http",
            refused=with_subjects(subject(), http={"hosts": ["crm.example.com"], "mcpPath": "/mcp"}),
            accepted=with_subjects(subject(), http={"hosts": ["crm.example.com"], **said}),
        )
        for said in ({"routes": [ROUTE]}, {"mcp": True}, {"routes": [ROUTE], "mcp": True})
    ),
    *(
        Case(
            f"a {place} window of {window}",
            cel.WINDOW_LIMITED,
            f"spec.endpointSettings.history[{before}].window",
            refused=counting(*before * [HOURLY], {"window": window}),
            accepted=counting(*before * [HOURLY], {"window": longest}),
        )
        for place, before, window, longest in (
            ("first", 0, "44641m", "44640m"),
            ("second", 1, "745h", "744h"),
            ("third", 2, "32d", "31d"),
            ("fourth", 3, "99999d", "9d"),
        )
    ),
    *(
        Case(
            f"a history with {what}",
            cel.HISTORY_HAS_ONE_WINDOW,
            f"spec.endpointSettings.history[{before}]",
            refused=counting(*before * [HOURLY], wrong),
            accepted=counting(*before * [HOURLY], right),
        )
        for what, before, wrong, right in (
            ("no window", 0, {}, HOURLY),
            ("two windows", 0, {**HOURLY, "calendar": DAY}, {"calendar": DAY}),
            ("no window after one that has it", 1, {}, {"calendar": DAY}),
        )
    ),
    *(
        Case(
            f"a sum of denied calls in the {place} history",
            cel.DENIED_HAVE_NO_AMOUNT,
            f"spec.endpointSettings.history[{before}]",
            refused=counting(*before * [HOURLY], {**SUMMED, "counts": DENIED}),
            accepted=counting(*before * [HOURLY], {**SUMMED, "counts": {**DENIED, "what": "Allowed"}}),
        )
        for place, before in (("first", 0), ("second", 1))
    ),
    *(
        Case(
            f"outcomes that can be reported for {time}",
            cel.OUTCOME_TIME_LIMITED,
            "spec.endpointSettings.history[0].outcomeWithin",
            refused=counting({**HOURLY, "counts": SUCCEEDED, "outcomeWithin": time}),
            accepted=counting({**HOURLY, "counts": SUCCEEDED, "outcomeWithin": longest}),
        )
        for time, longest in (("1441m", "1440m"), ("25h", "24h"))
    ),
    *(
        Case(
            f"a time for outcomes that nothing counts: {what}",
            cel.OUTCOMES_ARE_COUNTED,
            "spec.endpointSettings.history[0]",
            refused=counting({**HOURLY, "counts": {**SUCCEEDED, "what": what}, "outcomeWithin": "10m"}),
            accepted=counting({**HOURLY, "counts": {**SUCCEEDED, "what": right}, "outcomeWithin": "10m"}),
        )
        for what, right in (("Allowed", "Succeeded"), ("Denied", "Failed"))
    ),
    Case(
        "denied calls but those that are approved",
        cel.DENIED_ARE_NOT_APPROVED,
        "spec.endpointSettings.history[0].counts",
        refused=counting({**HOURLY, "counts": {**DENIED, "approved": "Ignore"}}),
        accepted=counting({**HOURLY, "counts": {**DENIED, "approved": "Count"}}),
    ),
    *(
        Case(
            f"a session that is {what}",
            cel.SESSION_IS_ONE_THING,
            "spec.endpointSettings.session",
            refused=counting(HOURLY, session=wrong),
            accepted=counting(HOURLY, session=right),
        )
        for what, wrong, right in (
            ("nothing", {}, {"claim": "sid"}),
            ("two things", {"claim": "sid", "property": "context.session"}, {"property": "context.session"}),
        )
    ),
    *(
        Case(
            f"a key with a session that is nowhere, {place}",
            cel.SESSION_KEY_NEEDS_SESSION,
            "spec.endpointSettings",
            refused=counting(*before * [HOURLY], {**HOURLY, "key": key}),
            accepted=counting(*before * [HOURLY], {**HOURLY, "key": key}, session={"claim": "sid"}),
        )
        for place, before, key in (("in the first", 0, ["session"]), ("in a later one", 2, ["agent", "session"]))
    ),
    *(
        Case(
            f"five keys of {count} histories",
            cel.HISTORY_KEYS_LIMITED,
            "spec.endpointSettings",
            refused=counting(*({**HOURLY, "key": [PARTS[number % 5]]} for number in range(count))),
            accepted=counting(*({**HOURLY, "key": [PARTS[number % 4]]} for number in range(count))),
        )
        for count in (5, 16)
    ),
    Case(
        "five keys, of which none is another one in another order",
        cel.HISTORY_KEYS_LIMITED,
        "spec.endpointSettings",
        refused=counting(*({**HOURLY, "key": key} for key in (TWO_PARTS, [], *([one] for one in PARTS[:3])))),
        accepted=counting(*({**HOURLY, "key": key} for key in (TWO_PARTS, TWO_PARTS[::-1], [], ["agent"], ["action"]))),
    ),
    Case(
        "a principal that is not listed",
        cel.DELEGATION_PRINCIPALS_KNOWN,
        "spec",
        refused=delegating("stranger"),
        accepted=delegating("support"),
    ),
    Case(
        "a second principal that is not listed",
        cel.DELEGATION_PRINCIPALS_KNOWN,
        "spec",
        refused=delegating("support", "stranger"),
        accepted=delegating("support", "agent"),
    ),
    *(
        Case(
            f"an entity where identity is {what}",
            cel.ENTITY_NEEDS_ASSERTED,
            "spec",
            refused=with_subjects(subject(), {**of_kinds("entity"), "name": "auditors"}, **given),
            accepted=with_subjects(
                subject(), {**of_kinds("entity"), "name": "auditors"}, identity={"verification": "Asserted"}
            ),
        )
        for what, given in (
            ("not said", settings()),
            ("left to its default", {"identity": {}}),
            ("Token", {"identity": {"verification": "Token"}}),
        )
    ),
    *(
        Case(
            f"a policy that replaces another, of {what} mode",
            cel.REPLACES_IN_AUDIT,
            "spec",
            refused=changed(policy(NOWHERE, replaces="live", mode="Enforce"), "spec.mode", mode),
            accepted=policy(NOWHERE, replaces="live", mode="Audit"),
        )
        for what, mode in (("the default", ...), ("another", "Enforce"))
    ),
    Case(
        "a policy that replaces itself",
        cel.REPLACES_ANOTHER,
        "<nil>",
        refused=policy(NOWHERE, replaces=P["metadata"]["name"], mode="Audit"),
        accepted=policy(NOWHERE, replaces="live", mode="Audit"),
    ),
)  # fmt: skip
