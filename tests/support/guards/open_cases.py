"""Cases of the guard `open`: who opens a grant, and how it looks at birth."""

from collections.abc import Callable
from typing import Any, Final

from bailiwick_api.kinds.meta import SUBJECT_LABEL
from bailiwick_api.manifests.guards import BORN_WITHOUT_STATUS, NAMES_RESERVED, OPEN, RULES_BOUNDED
from support.guards.case import INVALID, Case
from support.guards.ground import BOTH_POLICIES, OTHER_POLICY, PDP, Ask, Ground
from support.guards.variants import UNDIVIDED
from support.objects import AGENT, DIGEST, POLICY, active_status, changed, later, review, rule_reference

_EMPTY = "a new grant cannot have reviews or a revocation"
_OWNERS = "a grant cannot have owner references or finalizers"
_REQUESTER = "requester must be you"
_REQUESTER_UID = "requester.uid must be your uid"
_ORIGIN = "a grant written by hand must have origin PreApproved; only the decision point sets Requested and OnDeny"
_RENDERED = (
    "a grant written by hand must have binding Scope, without digest or display: only the decision point sets them"
)
_LABEL = f"the label {SUBJECT_LABEL} is reserved for the decision point"
_VERB = "you need the verb request on each endpointpolicy that the grant names"
_UNTIL = "pendingUntilTime must be within 24 hours from now"

OWNER: Final = {"apiVersion": "v1", "kind": "ConfigMap", "name": "nobody", "uid": "a-uid-that-nobody-has"}
_SUBJECT: Final = {"type": "serviceAccount", "id": AGENT, "uid": "agent-uid"}
_DISPLAY: Final = [{"name": "resource.id", "value": "42"}]


def by_hand(ground: Ground, who: str = "eve", **request: Any) -> Ask:  # noqa: ANN401 - any field
    return Ask(who, "create", ground.by_hand(who, **request))


def by_pdp(ground: Ground, **request: Any) -> Ask:  # noqa: ANN401 - any field
    return Ask(PDP, "create", ground.by_pdp(**request))


def with_(ask: Ask, path: str, value: object) -> Ask:
    return Ask(ask.who, ask.verb, changed(ask.target, path, value))


def named(ask: Ask, name: str) -> Ask:
    return with_(ask, "metadata.name", name)


def reviewed(ask: Ask, reviewer: str) -> Ask:
    unborn = changed(ask.target, "metadata.uid", "none-yet")
    return with_(ask, "spec.reviews", [review(unborn, reviewer)])


def five_rules(ground: Ground) -> Ask:
    """Return the making of a grant whose fifth rule is of a policy on which its author has no verb."""
    rules = [rule_reference(POLICY, f"rule-{number}") for number in range(4)]
    return undivided(by_hand(ground, "carol", rules=[*rules, rule_reference(OTHER_POLICY)]))


def four_rules(who: str, place: int) -> Callable[[Ground], Ask]:
    """Return the making of a grant with four rules of which one, at this place, is of the other policy."""
    rules = [rule_reference(OTHER_POLICY if number == place else POLICY, f"rule-{number}") for number in range(4)]
    return lambda ground: by_hand(ground, who, rules=rules)


def undivided(ask: Ask) -> Ask:
    """Return a request in the version in which the status is a field like others."""
    group = ask.target["apiVersion"].partition("/")[0]
    return Ask(ask.who, ask.verb, {**ask.target, "apiVersion": f"{group}/{UNDIVIDED}"}, ask.body)


def waiting(make: Callable[..., Ask], **delta: float) -> Callable[[Ground], Ask]:
    """Return the making of a grant that waits for so long; the time is taken when it is made."""
    return lambda ground: make(ground, pendingUntilTime=later(**delta))


CASES: Final = (
    Case(OPEN, _EMPTY, "born with a review", lambda g: reviewed(by_hand(g), "dave"), by_hand),
    Case(OPEN, _EMPTY, "born with a review of one's own", lambda g: reviewed(by_hand(g, "carol"), "carol"), by_hand),
    Case(OPEN, _EMPTY, "born with a review by the decision point", lambda g: reviewed(by_pdp(g), "dave"), by_pdp),
    Case(
        OPEN,
        _EMPTY,
        "born revoked",
        lambda g: with_(by_hand(g), "spec.revocation", {"by": "eve"}),
        lambda g: with_(by_hand(g), "spec.reviews", ...),
    ),
    *(
        Case(
            OPEN,
            BORN_WITHOUT_STATUS,
            title,
            lambda g, make=make, status=status: undivided(with_(make(g), "status", status)),  # type: ignore[misc]  # bound
            lambda g, make=make: undivided(make(g)),  # type: ignore[misc]  # bound
            unruled=True,
        )
        for title, make, status in (
            ("born active", by_hand, active_status(phase="Active")),
            ("born active by the decision point", by_pdp, active_status(phase="Active")),
            ("born with an empty status", by_hand, {}),
        )
    ),
    Case(
        OPEN,
        _OWNERS,
        "born with an owner",
        lambda g: with_(by_hand(g), "metadata.ownerReferences", [OWNER]),
        lambda g: with_(by_hand(g), "metadata.annotations", {"note": "none"}),
    ),
    Case(
        OPEN,
        _OWNERS,
        "born with an owner by the decision point",
        lambda g: with_(by_pdp(g), "metadata.ownerReferences", [OWNER]),
        by_pdp,
    ),
    Case(
        OPEN,
        _OWNERS,
        "born with a finalizer",
        lambda g: with_(by_hand(g), "metadata.finalizers", ["bailiwick.dev/hold"]),
        lambda g: with_(by_hand(g), "metadata.labels", {"team": "crm"}),
    ),
    Case(
        OPEN,
        NAMES_RESERVED,
        "a person takes a name of the decision point",
        lambda g: named(by_hand(g), "agr-mine"),
        lambda g: named(by_hand(g), "my-agr-one"),
    ),
    Case(
        OPEN,
        NAMES_RESERVED,
        "a person has such a name generated",
        lambda g: with_(by_hand(g), "metadata", {"namespace": g.namespace, "generateName": "agr-"}),
        lambda g: with_(by_hand(g), "metadata", {"namespace": g.namespace, "generateName": "mine-"}),
    ),
    Case(
        OPEN,
        NAMES_RESERVED,
        "the decision point takes a name of people",
        lambda g: named(by_pdp(g), "mine"),
        by_pdp,
    ),
    Case(
        OPEN,
        _REQUESTER,
        "in another's name",
        lambda g: Ask("eve", "create", g.by_hand("carol")),
        by_hand,
        says="requester must be you: eve",
    ),
    Case(
        OPEN,
        _REQUESTER_UID,
        "with the uid of another",
        lambda g: with_(by_hand(g), "spec.request.requester.uid", "carol-uid"),
        lambda g: with_(by_hand(g), "spec.request.requester.uid", "eve-uid"),
    ),
    Case(OPEN, _ORIGIN, "PreApproved by the decision point", lambda g: by_pdp(g, origin="PreApproved"), by_pdp),
    Case(
        OPEN,
        _ORIGIN,
        "Requested by hand",
        lambda g: by_hand(g, origin="Requested"),
        by_hand,
        unruled=True,
    ),
    Case(
        OPEN,
        _ORIGIN,
        "OnDeny by hand, with the display that the schema asks for",
        lambda g: by_hand(g, origin="OnDeny", display=_DISPLAY, subject=_SUBJECT),
        by_hand,
        then=_RENDERED,
    ),
    Case(
        OPEN,
        _RENDERED,
        "Exact by hand without the digest that the schema asks for",
        lambda g: by_hand(g, binding={"mode": "Exact"}),
        by_hand,
        unruled=True,
    ),
    Case(
        OPEN,
        _LABEL,
        "the label of somebody's requests",
        lambda g: with_(by_hand(g), "metadata.labels", {SUBJECT_LABEL: "a" * 40}),
        lambda g: with_(by_hand(g), "metadata.labels", {"team": "crm"}),
    ),
    Case(OPEN, _RENDERED, "Exact by hand", lambda g: by_hand(g, binding={"mode": "Exact", "digest": DIGEST}), by_hand),
    Case(
        OPEN,
        _RENDERED,
        "Scope with a digest by hand",
        lambda g: by_hand(g, binding={"mode": "Scope", "digest": DIGEST}),
        by_hand,
    ),
    Case(OPEN, _RENDERED, "a display by hand", lambda g: by_hand(g, display=_DISPLAY), by_hand),
    Case(OPEN, _VERB, "without the verb request", lambda g: by_hand(g, "mallory"), by_hand),
    Case(
        OPEN,
        _VERB,
        "with the verb approve instead of request",
        lambda g: by_hand(g, "dave"),
        lambda g: by_hand(g, "carol"),
    ),
    *(
        Case(
            OPEN,
            _VERB,
            f"with the verb on three policies, but not on number {place + 1}",
            four_rules("carol", place),
            four_rules("eve", place),
        )
        for place in range(4)
    ),
    Case(
        OPEN,
        _VERB,
        "with the verb on one of two policies",
        lambda g: by_hand(g, "carol", **BOTH_POLICIES),
        lambda g: by_hand(g, "eve", **BOTH_POLICIES),
    ),
    *(
        Case(
            OPEN,
            _UNTIL,
            f"{title}, {whose}",
            waiting(make, **wrong),
            waiting(make, **right),
            status=INVALID,
        )
        for whose, make in (("by hand", by_hand), ("by the decision point", by_pdp))
        for title, wrong, right in (
            ("over before it began", {"minutes": -1}, {"minutes": 1}),
            ("waiting for more than a day", {"hours": 24, "minutes": 1}, {"hours": 23, "minutes": 59}),
        )
    ),
    Case(
        OPEN,
        RULES_BOUNDED,
        "of more rules than the guard looks at",
        five_rules,
        lambda g: undivided(by_hand(g, "carol")),
        status=INVALID,
        unruled=True,
    ),
)
