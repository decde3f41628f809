"""From what a subject calls: a rule that asks for a workload, by effect and by what is known of it (S2)."""

from typing import Final

import pytest
from msgspec.structs import replace

from bailiwick_engine.call import Party, PodWorkload
from bailiwick_engine.reasons import Reason
from support.objects import Object, rule, subject
from unit.engine.cases import CALL, approved, governed, read, verdict_of

GOOD: Final = "sha256:" + "a" * 64
BAD: Final = "sha256:" + "b" * 64
APPROVED: Final[Object] = {"imageDigests": [GOOD], "podSelector": {"matchLabels": {"app": "crm", "tier": "front"}}}
LABELS: Final = {"app": "crm", "tier": "front"}
UNKNOWN: Final = None
MEETS: Final = PodWorkload(frozenset({GOOD}), LABELS)
OTHER: Final = PodWorkload(frozenset({BAD}), LABELS)

ALLOWED: Final = Reason.ALLOWED
UNAPPROVED: Final = Reason.WORKLOAD_UNAPPROVED
GATED: Final[Object] = {"effect": "RequireApproval", "approval": {"steps": [{"name": "owner", "kind": "Human"}]}}
OPEN: Final = rule("open", subjects=["anywhere"], actions=["*"])


def reason(
    workload: PodWorkload | None, *others: Object, asked: Object | None = None, plain: bool = False, **fields: object
) -> Reason:
    """Return what comes of a call from this workload under one rule of an agent from that one."""
    subjects = [{**subject(), "workload": asked or APPROVED}, subject("anywhere"), subject("third", account="third")]
    ruled = rule("ruled", **{"actions": ["*"], "subjects": ["agent", "anywhere"] if plain else ["agent"], **fields})
    on = governed(ruled, *others, subjects=subjects)
    assert isinstance(CALL.subject, Party)
    call = replace(CALL, subject=replace(CALL.subject, workload=workload))
    return verdict_of(on, call).reason


@pytest.mark.parametrize(
    ("workload", "expected"),
    [
        (MEETS, ALLOWED),
        (PodWorkload(frozenset({GOOD}), {**LABELS, "more": "x"}), ALLOWED),
        (UNKNOWN, UNAPPROVED),
        (OTHER, UNAPPROVED),
        (PodWorkload(frozenset({GOOD, BAD}), LABELS), UNAPPROVED),
        (PodWorkload(frozenset(), LABELS), UNAPPROVED),
        (PodWorkload(frozenset({GOOD}), {"app": "crm"}), UNAPPROVED),
        (PodWorkload(frozenset({GOOD}), {**LABELS, "tier": "back"}), UNAPPROVED),
        (PodWorkload(frozenset({GOOD}), {}), UNAPPROVED),
    ],
)
def test_an_allow_lets_through_what_runs_approved_images_alone_and_has_every_label(
    workload: PodWorkload | None, expected: Reason
) -> None:
    assert reason(workload) is expected


@pytest.mark.parametrize(
    ("asked", "workload", "expected"),
    [
        ({"imageDigests": [GOOD]}, PodWorkload(frozenset({GOOD})), ALLOWED),
        ({"imageDigests": [GOOD, BAD]}, PodWorkload(frozenset({GOOD, BAD})), ALLOWED),
        ({"podSelector": {"matchLabels": {"app": "crm"}}}, PodWorkload(frozenset({BAD}), {"app": "crm"}), ALLOWED),
        ({"podSelector": {"matchLabels": {"app": "crm"}}}, PodWorkload(frozenset({BAD}), {"app": "x"}), UNAPPROVED),
    ],
)
def test_what_is_not_asked_for_may_be_anything(asked: Object, workload: PodWorkload, expected: Reason) -> None:
    assert reason(workload, asked=asked) is expected


@pytest.mark.parametrize("workload", [MEETS, UNKNOWN, OTHER])
def test_who_is_named_from_anywhere_too_is_named_from_anywhere(workload: PodWorkload | None) -> None:
    assert reason(workload, plain=True) is ALLOWED


# A Deny or a gate for one workload speaks of what may be that workload, and not of another.
@pytest.mark.parametrize(
    ("workload", "denied", "gated"),
    [
        (MEETS, Reason.POLICY_DENIED, Reason.APPROVAL_REQUIRED),
        (UNKNOWN, Reason.POLICY_DENIED, UNAPPROVED),
        (OTHER, ALLOWED, ALLOWED),
    ],
)
def test_a_deny_and_a_gate_hold_where_the_workload_is_not_known(
    workload: PodWorkload | None, denied: Reason, gated: Reason
) -> None:
    assert reason(workload, OPEN, effect="Deny") is denied
    assert reason(workload, OPEN, **GATED) is gated


def test_no_approval_opens_a_gate_to_a_workload_that_is_not_known() -> None:
    on = governed(rule("ruled", actions=["*"], **GATED), subjects=[{**subject(), "workload": APPROVED}])
    assert isinstance(CALL.subject, Party)
    known, unknown = (replace(CALL, subject=replace(CALL.subject, workload=one)) for one in (MEETS, UNKNOWN))
    grant = read(approved(on, known))
    assert verdict_of(on, known, [grant]).reason is ALLOWED
    assert verdict_of(on, unknown, [grant]).reason is UNAPPROVED
