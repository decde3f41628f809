"""Cases of the guard `review`: what may change on a grant at all, and who reviews it."""

import time
from collections.abc import Callable
from typing import Any, Final

from bailiwick_api.kinds import cel
from bailiwick_api.kinds.approvalgrant import TERMINAL_PHASES
from bailiwick_api.manifests.guards import (
    ONE_REVIEW_EACH,
    REVIEW,
    REVIEW_NAMES_AUTHOR,
    REVIEW_SIGNED,
    STATUS_UNCHANGED,
)
from support.guards.case import INVALID, Case
from support.guards.ground import (
    ANN,
    ANN_AGAIN,
    BOTH_POLICIES,
    OPERATOR,
    OTHER_POLICY,
    PDP,
    ROBOT,
    Ask,
    Ground,
    one_use,
    resolution,
)
from support.guards.open_cases import OWNER, undivided
from support.objects import AGENT, DIGEST, OTHER_DIGEST, STEP, Object, adding_review, review, step

_OWNERS = "a grant cannot have owner references or finalizers"
_LABELS = "labels of a grant are immutable"
_ANNOTATIONS = "only the account that wrote a grant by hand can change its annotations"
# managedFields have times to the second.
_ANOTHER_SECOND = 1.1
_FIELDS = "only the account that wrote a grant by hand can change managedFields alone"
_APPEND = "reviews are append-only"
_ONE = "add one review at a time"
_REVOKED = "the grant is revoked"
_PENDING = "the grant is no longer pending"
_UID = "reviewerUID must be your uid"
_STEP = "the grant has no such step"
_GROUP = "set group to the group of this step for which you review"
_MEMBER = "you are not a member of that group"
_BINDING = "the review is for another request: its binding differs from the grant's binding"
_VERB = "you need the verb approve on the endpointpolicy of the step"
_HUMAN = "only people can review a Human step"
_SYSTEM = "only a service account can review a System step"
_UNRESOLVED = "the operator has not yet resolved the names in this grant: check its conditions and try again"
_OWN = "you cannot review your own request"

_OPERATOR_NAME: Final = "system:serviceaccount:bailiwick-system:bailiwick-operator"
_HR_STEP: Final = f"{OTHER_POLICY}.export.owner"
_OWNERS_ONLY: Final = [step(groups=["crm-owners"])]
_TWO_GROUPS: Final = [step(groups=["crm-owners", "sec-oncall"])]
_SIGNED_STEP: Final = {"steps": [step(signature="Required")]}
_SYSTEM_STEP: Final = [step(kind="System")]


def adding(path: str, value: object, who: str = "eve", **metadata: Any) -> Callable[[Ground], Ask]:  # noqa: ANN401
    """Return a patch of a grant that eve wrote by hand, born with this metadata; by default her own."""

    def ask(ground: Ground) -> Ask:
        body = ground.by_hand()
        stored = ground.done(Ask("eve", "create", {**body, "metadata": {**body["metadata"], **metadata}}))
        return Ask(who, "patch", stored, [{"op": "add", "path": path, "value": value}])

    return ask


def rewriting(body: Object, stored: Callable[[Ground], Object]) -> Callable[[Ground], Ask]:
    """Return a merge patch by eve of the whole of a grant that she wrote by hand, status included."""
    return lambda ground: undivided(Ask("eve", "merge", stored(ground), body))


def changing(path: str, value: object, who: str = "eve") -> Callable[[Ground], Ask]:
    """Return a change of what was asked for, by default by eve, who wrote it by hand, in another second than hers."""

    def ask(ground: Ground) -> Ask:
        stored = ground.stored()
        time.sleep(_ANOTHER_SECOND)
        return Ask(who, "patch", stored, [{"op": "add", "path": f"/spec{path}", "value": value}])

    return ask


def revoked_then(operation: Object) -> Callable[[Ground], Ask]:
    """Return a change by eve of a grant of hers that carol has revoked."""
    return lambda ground: Ask("eve", "patch", ground.revoked(ground.stored(), "carol"), [operation])


def reviewing_again(**fields: Any) -> Callable[[Ground], Ask]:  # noqa: ANN401 - any field
    """Return a second review in the name of one who has reviewed, written by eve upon her own grant."""

    def ask(ground: Ground) -> Ask:
        stored = ground.reviewed(ground.stored(**BOTH_POLICIES), "erin")
        (first,) = stored["spec"]["reviews"]
        return undivided(Ask("eve", "merge", stored, {"spec": {"reviews": [{**first, **fields}, first]}}))

    return ask


def _used(ground: Ground) -> Object:
    active = ground.in_phase("Active", ground.stored(maxUses=2))
    return ground.done(Ask(PDP, "status", active, one_use()))


def reviewing(who: str, stored: dict[str, Any] | None = None, **fields: Any) -> Callable[[Ground], Ask]:  # noqa: ANN401
    """Return a review of a grant that eve wrote by hand."""
    return lambda ground: ground.review(ground.stored(**(stored or {})), who, **fields)


def of_opened(who: str, stored: dict[str, Any] | None = None, **fields: Any) -> Callable[[Ground], Ask]:  # noqa: ANN401
    """Return a review of a grant that the decision point opened."""
    return lambda ground: ground.review(ground.opened(**(stored or {})), who, **fields)


def with_reviews(change: Callable[[list[Object]], list[Object]], who: str = "carol") -> Callable[[Ground], Ask]:
    """Return a patch that makes other reviews out of the two that are there."""

    def ask(ground: Ground) -> Ask:
        stored = ground.reviewed(ground.reviewed(ground.stored(), "dave"), "carol")
        reviews = change(stored["spec"]["reviews"])
        return Ask(who, "patch", stored, [{"op": "add", "path": "/spec/reviews", "value": reviews}])

    return ask


def _in_another_second(change: Callable[[list[Object]], list[Object]]) -> Callable[[list[Object]], list[Object]]:
    """Make the change in another second than the write before it.

    managedFields have a time, to the second, and nothing else in them changes with the value of a field.
    """

    def later(reviews: list[Object]) -> list[Object]:
        time.sleep(_ANOTHER_SECOND)
        return change(reviews)

    return later


def two_reviews(ground: Ground) -> Ask:
    stored = ground.stored()
    added = [entry for reviewer in ("carol", "dave") for entry in adding_review(review(stored, reviewer))]
    return Ask("carol", "patch", stored, added)


def revoked_by(who: str, reviewer: str = "carol") -> Callable[[Ground], Ask]:
    return lambda ground: ground.review(ground.revoked(ground.stored(), who), reviewer)


def revoking_and_reviewing(ground: Ground) -> Ask:
    stored = ground.stored()
    return Ask("carol", "patch", stored, [*ground.revoke(stored, "carol").body, *ground.review(stored, "carol").body])


def in_phase(phase: str) -> Callable[[Ground], Ask]:
    return lambda ground: ground.review(ground.in_phase(phase, ground.opened()), "carol")


def bound_to(binding: str) -> Callable[[Ground], Ask]:
    return lambda ground: ground.review(ground.stored(), "carol", binding=binding)


def another_uid(ground: Ground) -> Ask:
    return ground.review(ground.stored(), "carol", binding=ground.stored()["metadata"]["uid"])


def uid_for_digest(ground: Ground) -> Ask:
    stored = ground.opened()
    return ground.review(stored, "carol", binding=stored["metadata"]["uid"])


def as_subject(ground: Ground) -> Ask:
    stored = ground.opened(
        steps=_SYSTEM_STEP, subject={"type": "serviceAccount", "id": ground.username(ROBOT), "uid": "u"}
    )
    return ground.review(stored, ROBOT)


def annotating(stored: Object, who: str) -> Ask:
    return Ask(who, "patch", stored, [{"op": "add", "path": "/metadata/annotations", "value": {"note": "none"}}])


def owning(stored: Object, who: str) -> Ask:
    """Return an apply that changes nothing, but says that somebody else says so too."""
    return Ask(who, "apply", stored, {"spec": {"request": {"endpoint": stored["spec"]["request"]["endpoint"]}}})


def reviewing_and_annotating(ground: Ground) -> Ask:
    stored = ground.stored()
    return Ask("carol", "patch", stored, [*ground.review(stored, "carol").body, *annotating(stored, "carol").body])


def resolved_with(who: str, reviewer: str = "carol") -> Callable[[Ground], Ask]:
    """Return a person's review of a grant by hand, of whose people the operator found that `who` is one."""

    def ask(ground: Ground) -> Ask:
        stored = ground.unresolved()
        status = {"resolved": {**resolution(stored), "excludedReviewers": [who]}}
        return ground.review(ground.done(Ask(OPERATOR, "status", stored, status)), reviewer)

    return ask


PENDING: Final = reviewing("carol")

CASES: Final = (
    *(
        Case(
            REVIEW,
            STATUS_UNCHANGED,
            title,
            rewriting({"status": status}, stored),
            rewriting({"metadata": {"annotations": {"note": "none"}}}, stored),
            unruled=True,
        )
        for title, status, stored in (
            ("made active by a change of the grant itself", {"phase": "Active"}, Ground.stored),
            ("given a status by a change of the grant itself", {"phase": "Active"}, Ground.unresolved),
            ("used again", {"uses": None, "useRecords": None}, _used),
            ("without its status", None, Ground.stored),
        )
    ),
    *(
        Case(
            REVIEW,
            cel.REQUEST_IMMUTABLE.message,
            title,
            changing(path, value, who),
            lambda ground: annotating(ground.stored(), "eve"),
            status=INVALID,
            unruled=True,
            then=then,
        )
        for title, path, value, who, then in (
            ("asked for more uses", "/request/maxUses", 5, "eve", ""),
            ("asked for every resource", "/request/resource/id", "*", "eve", ""),
            ("asked for by a field that was left out", "/request/reason", "late", "eve", ""),
            ("asked for by an administrator", "/request/maxUses", 5, "admin", _FIELDS),
        )
    ),
    *(
        Case(
            REVIEW,
            cel.REVOCATION_FINAL.message,
            title,
            revoked_then(operation),
            revoked_then({"op": "add", "path": "/metadata/annotations", "value": {"note": "none"}}),
            status=INVALID,
            unruled=True,
        )
        for title, operation in (
            ("a revocation taken back", {"op": "remove", "path": "/spec/revocation"}),
            ("a revocation in another's name", {"op": "add", "path": "/spec/revocation/by", "value": "dave"}),
        )
    ),
    *(
        Case(
            REVIEW,
            ONE_REVIEW_EACH,
            title,
            reviewing_again(**fields),
            lambda ground: annotating(ground.reviewed(ground.stored(), "carol"), "eve"),
            status=INVALID,
            unruled=True,
        )
        for title, fields in (
            ("a second review of another step in the name of a reviewer", {"step": _HR_STEP}),
            ("a Deny in the name of who approved", {"decision": "Deny"}),
        )
    ),
    Case(
        REVIEW,
        ONE_REVIEW_EACH,
        "a second review of one email address, in another case",
        lambda ground: ground.review(ground.reviewed(ground.stored(), ANN), ANN_AGAIN),
        lambda ground: ground.review(ground.reviewed(ground.stored(), ANN), "dave"),
        status=INVALID,
    ),
    Case(
        REVIEW,
        _OWNERS,
        "given an owner",
        adding("/metadata/ownerReferences", [OWNER]),
        adding("/metadata/annotations", {"note": "none"}),
    ),
    Case(
        REVIEW,
        _OWNERS,
        "given a finalizer",
        adding("/metadata/finalizers", ["bailiwick.dev/hold"]),
        adding("/metadata/annotations", {"note": "none"}),
    ),
    Case(
        REVIEW,
        _OWNERS,
        "given an owner by the operator",
        adding("/metadata/ownerReferences", [OWNER], OPERATOR),
        adding("/metadata/labels", {"team": "crm"}, OPERATOR, labels={"team": "crm"}),
        then=_FIELDS,
    ),
    Case(
        REVIEW,
        _ANNOTATIONS,
        "annotated by somebody else",
        adding("/metadata/annotations", {"note": "none"}, "carol"),
        adding("/metadata/annotations", {"note": "none"}),
        then=_FIELDS,
    ),
    Case(
        REVIEW,
        _ANNOTATIONS,
        "annotated, of the decision point's",
        lambda ground: annotating(ground.opened(), "carol"),
        lambda ground: annotating(ground.stored("carol"), "carol"),
        then=_FIELDS,
    ),
    Case(
        REVIEW,
        _ANNOTATIONS,
        "annotated by somebody else, once it is approved",
        lambda ground: annotating(ground.in_phase("Active", ground.stored()), "carol"),
        lambda ground: annotating(ground.in_phase("Active", ground.stored("carol")), "carol"),
        then=_FIELDS,
    ),
    Case(REVIEW, _ANNOTATIONS, "annotated along with a review", reviewing_and_annotating, PENDING),
    Case(
        REVIEW,
        _FIELDS,
        "owned by somebody else",
        lambda ground: owning(ground.stored(), "carol"),
        lambda ground: owning(ground.stored("carol"), "carol"),
    ),
    Case(
        REVIEW,
        _FIELDS,
        "owned by somebody else, once it is approved",
        lambda ground: owning(ground.in_phase("Active", ground.stored()), "carol"),
        lambda ground: owning(ground.in_phase("Active", ground.stored("carol")), "carol"),
    ),
    Case(
        REVIEW,
        _FIELDS,
        "owned, of the decision point's",
        lambda ground: owning(ground.opened(), "carol"),
        lambda ground: Ask("carol", "apply", ground.opened(), {}),
    ),
    *(
        Case(
            REVIEW,
            _LABELS,
            f"a label {title}",
            adding(path, value, labels={"team": "crm"}),
            adding("/metadata/labels", {"team": "crm"}, labels={"team": "crm"}),
        )
        for title, path, value in (
            ("more", "/metadata/labels/stage", "prod"),
            ("changed", "/metadata/labels/team", "hr"),
            ("less", "/metadata/labels", {}),
        )
    ),
    Case(
        REVIEW,
        _LABELS,
        "the first label",
        adding("/metadata/labels", {"team": "crm"}),
        adding("/metadata/labels", {}),
    ),
    *(
        Case(
            REVIEW,
            _APPEND,
            title,
            with_reviews(change, who),
            with_reviews(lambda reviews: list(reversed(reviews)), who),
            unruled=True,
            then=then,
        )
        for title, change, who, then in (
            ("a review withdrawn by its author", lambda reviews: reviews[:1], "carol", ONE_REVIEW_EACH),
            ("a review withdrawn by another", lambda reviews: reviews[1:], "carol", ONE_REVIEW_EACH),
            ("a review withdrawn by the operator", lambda reviews: reviews[1:], OPERATOR, ONE_REVIEW_EACH),
            (
                "a review changed by its author",
                _in_another_second(lambda reviews: [reviews[0], {**reviews[1], "decision": "Deny"}]),
                "carol",
                _FIELDS,
            ),
            (
                "a review changed by another",
                _in_another_second(lambda reviews: [{**reviews[0], "decision": "Deny"}, reviews[1]]),
                "carol",
                _FIELDS,
            ),
            (
                "a review changed by whoever wrote the grant",
                lambda reviews: [reviews[0], {**reviews[1], "decision": "Deny"}],
                "eve",
                "",
            ),
            (
                "a review given a reason later",
                lambda reviews: [reviews[0], {**reviews[1], "reason": "late"}],
                "carol",
                _FIELDS,
            ),
        )
    ),
    # Two added reviews have two authors, so one is not mine; the expression makes the better message.
    Case(REVIEW, _ONE, "two reviews at once", two_reviews, PENDING, then=f"{REVIEW_NAMES_AUTHOR}: carol"),
    Case(REVIEW, _REVOKED, "after a revocation", revoked_by("eve"), PENDING, status=INVALID),
    Case(REVIEW, _REVOKED, "together with a revocation", revoking_and_reviewing, PENDING, status=INVALID),
    *(
        Case(REVIEW, _PENDING, f"in phase {phase}", in_phase(phase), in_phase("Pending"), status=INVALID)
        for phase in ("Active", *sorted(TERMINAL_PHASES))
    ),
    Case(
        REVIEW,
        REVIEW_NAMES_AUTHOR,
        "in another's name",
        reviewing("dave", writer="carol"),
        PENDING,
        says=f"{REVIEW_NAMES_AUTHOR}: carol",
    ),
    Case(
        REVIEW,
        REVIEW_NAMES_AUTHOR,
        "by the operator in a person's name",
        reviewing("dave", writer=OPERATOR),
        PENDING,
        says=f"{REVIEW_NAMES_AUTHOR}: {_OPERATOR_NAME}",
        # The verb is asked of who writes, and the operator has none.
        then=f"{_OPERATOR_NAME} lacks the verb approve on endpointpolicies/crm-agent",
    ),
    Case(
        REVIEW,
        _UID,
        "with another's uid",
        reviewing("carol", reviewerUID="dave-uid"),
        reviewing("carol", reviewerUID="carol-uid"),
    ),
    Case(
        REVIEW,
        _STEP,
        "of a step that does not exist",
        reviewing("carol", step_name="crm-agent.export.nobody"),
        PENDING,
        status=INVALID,
        # No step has no policy, on which nobody holds a verb; the expression makes the better message.
        then="carol lacks the verb approve on endpointpolicies/",
    ),
    Case(
        REVIEW,
        _GROUP,
        "without naming a group",
        reviewing("carol", {"steps": _OWNERS_ONLY}),
        reviewing("carol", {"steps": _OWNERS_ONLY}, group="crm-owners"),
        status=INVALID,
    ),
    Case(
        REVIEW,
        _GROUP,
        "for a group of one's own that is not the step's",
        reviewing("erin", {"steps": _OWNERS_ONLY}, group="sec-oncall"),
        reviewing("erin", {"steps": _OWNERS_ONLY}, group="crm-owners"),
        status=INVALID,
    ),
    Case(
        REVIEW,
        _MEMBER,
        "for a group of the step that is not one's own",
        reviewing("carol", {"steps": _TWO_GROUPS}, group="sec-oncall"),
        reviewing("carol", {"steps": _TWO_GROUPS}, group="crm-owners"),
    ),
    Case(
        REVIEW,
        _MEMBER,
        "for a group not one's own where the step names none",
        reviewing("carol", group="sec-oncall"),
        reviewing("carol", group="crm-owners"),
    ),
    Case(
        REVIEW,
        _BINDING,
        "of another digest",
        of_opened("carol", binding=OTHER_DIGEST),
        of_opened("carol"),
        status=INVALID,
    ),
    Case(
        REVIEW,
        REVIEW_SIGNED,
        "without a signature of a step that asks for one",
        of_opened("carol", _SIGNED_STEP),
        of_opened("carol", _SIGNED_STEP, signature="any text: no guard can verify it"),
        status=INVALID,
    ),
    Case(
        REVIEW,
        REVIEW_SIGNED,
        "with a signature of a step that asks for none",
        of_opened("carol", signature="any text"),
        of_opened("carol"),
        status=INVALID,
    ),
    Case(
        REVIEW,
        REVIEW_SIGNED,
        "that denies with a signature",
        of_opened("carol", _SIGNED_STEP, decision="Deny", signature="any text"),
        of_opened("carol", _SIGNED_STEP, decision="Deny"),
        status=INVALID,
    ),
    Case(REVIEW, _BINDING, "of a digest where the grant has none", bound_to(DIGEST), PENDING, status=INVALID),
    Case(REVIEW, _BINDING, "of another grant's uid", another_uid, PENDING, status=INVALID),
    Case(
        REVIEW,
        _BINDING,
        "of the uid where the grant has a digest",
        uid_for_digest,
        of_opened("carol"),
        status=INVALID,
    ),
    *(
        Case(
            REVIEW,
            _VERB,
            title,
            reviewing(who, BOTH_POLICIES, step_name=step_name),
            reviewing("erin", BOTH_POLICIES, step_name=step_name),
            says=f"{who} lacks the verb approve on endpointpolicies/{policy}",
        )
        for title, who, step_name, policy in (
            ("without any verb, though free to patch grants", "mallory", STEP, "crm-agent"),
            ("with the verb revoke alone", "grace", _HR_STEP, OTHER_POLICY),
            ("with the verb on the policy of another step", "carol", _HR_STEP, OTHER_POLICY),
        )
    ),
    Case(
        REVIEW,
        _VERB,
        "with the verb request alone",
        lambda g: g.review(g.stored("carol"), "eve"),
        lambda g: g.review(g.stored("carol"), "dave"),
        says="eve lacks the verb approve on endpointpolicies/crm-agent",
    ),
    Case(
        REVIEW, _HUMAN, "a Human step by a service account", reviewing(ROBOT), reviewing(ROBOT, {"steps": _SYSTEM_STEP})
    ),
    Case(REVIEW, _SYSTEM, "a System step by a person", reviewing("carol", {"steps": _SYSTEM_STEP}), PENDING),
    Case(
        REVIEW,
        _OWN,
        "by the requester",
        lambda g: g.review(g.stored("carol"), "carol"),
        lambda g: g.review(g.stored("carol"), "dave"),
    ),
    Case(
        REVIEW,
        _OWN,
        "by the requester of a grant that the decision point opened",
        of_opened("carol", {"requester": "carol"}),
        of_opened("dave", {"requester": "carol"}),
    ),
    *(
        Case(REVIEW, _OWN, f"by {title}", of_opened("carol", request), of_opened("dave", request))
        for title, request in (
            ("the subject", {"subject": {"type": "user", "id": "carol", "uid": "carol-uid"}}),
            ("the first of two actors", {"actors": [{"id": "carol"}, {"id": AGENT}]}),
            ("the last of two actors", {"actors": [{"id": AGENT}, {"id": "carol"}]}),
            ("somebody excluded", {"excludedReviewers": [AGENT, "carol"]}),
        )
    ),
    *(
        Case(
            REVIEW,
            _OWN,
            f"by {title}, {other} in another case",
            of_opened(who, request),
            of_opened("dave", request),
        )
        for who, other in ((ANN, ANN_AGAIN), (ANN_AGAIN, ANN))
        for title, request in (
            ("the requester", {"requester": other}),
            ("the subject", {"subject": {"type": "user", "id": other, "uid": "ann-uid"}}),
            ("an actor", {"actors": [{"id": AGENT}, {"id": other}]}),
            ("somebody excluded", {"excludedReviewers": [AGENT, other]}),
        )
    ),
    Case(REVIEW, _OWN, "of a System step by the subject itself", as_subject, of_opened(ROBOT, {"steps": _SYSTEM_STEP})),
    Case(
        REVIEW,
        _UNRESOLVED,
        "of a grant by hand whose names nobody has resolved",
        lambda g: g.review(g.unresolved(), "carol"),
        PENDING,
        status=INVALID,
    ),
    Case(REVIEW, _OWN, "by whom the operator found to be its subject", resolved_with("carol"), resolved_with("x")),
    Case(
        REVIEW,
        _OWN,
        "by whom the operator found to be its subject, an email address in another case",
        resolved_with(ANN, ANN_AGAIN),
        resolved_with("x", ANN_AGAIN),
    ),
    Case(
        REVIEW,
        _OWN,
        "a Deny of one's own request",
        lambda g: g.review(g.stored("carol"), "carol", decision="Deny"),
        lambda g: g.review(g.stored("carol"), "dave", decision="Deny"),
    ),
)
