"""From the last release to this checkout and back: what was decided stays decided, and no call fails."""

from upgrade.story import REPLICAS, RollOut, Stage, Story
from upgrade.world import MAILS, PHASES

# What only the release that is installed writes: the words that a condition is told in may change.
_TOLD = frozenset({"conditions", "observedGeneration"})


def outcome(stage: Stage) -> dict[str, object]:
    """Return what was decided of every grant: all of its spec, and of its status all but words."""
    return {
        case: (grant["spec"], {key: value for key, value in grant["status"].items() if key not in _TOLD})
        for case, grant in stage.grants.items()
    }


def phases(stage: Stage) -> dict[str, str]:
    return {case: grant.get("status", {}).get("phase", "Pending") for case, grant in stage.grants.items()}


def nothing_failed(seen: RollOut) -> bool:
    return seen.lost == () and seen.answers == {"200 True"} and seen.asked == 2 * REPLICAS


def test_everything_that_was_approved_used_revoked_or_denied_still_is(played: Story) -> None:
    assert phases(played.before) == PHASES
    assert outcome(played.upgraded) == outcome(played.before)


def test_no_request_fails_while_the_decision_points_are_replaced(played: Story) -> None:
    assert nothing_failed(played.upgrade), played.upgrade


def test_grants_from_before_let_through_what_is_left_of_them_and_nothing_else(played: Story) -> None:
    assert played.calls == {
        "waiting": [True, False],
        "approved": [True, False],
        "used": [True, True],
        "consumed": [False, False],
        "expired": [False, False],
        "denied": [False, False],
        "revoked": [False, False],
        "withdrawn": [False, False],
        "shown": [False, True],
    }


def test_policies_data_and_counts_go_on(played: Story) -> None:
    assert played.upgraded.policy == played.before.policy
    assert played.upgraded.data == played.before.data
    assert played.alerts == [True, False]
    assert played.mails == [True, False], f"{MAILS} in an hour, all but one of them before"


def test_the_chain_of_records_goes_on_over_lines_of_both_releases(played: Story) -> None:
    for audit, stages in ((played.audit, 2), (played.audit_after_roll_back, 3)):
        # One chain of each decision point and of each operator.
        assert audit["code"] == 0, audit
        assert audit["totals"]["chains"] == audit["totals"]["intact"] == stages * (REPLICAS + 1), audit
        assert audit["records"]["contradictedLines"] == [], audit


def test_a_roll_back_fails_no_request_and_keeps_what_was_decided(played: Story) -> None:
    assert played.roll_back is not None
    assert played.rolled_back is not None
    assert nothing_failed(played.roll_back), played.roll_back
    assert phases(played.rolled_back) == played.phases_before_roll_back
    assert played.calls_after_roll_back == {"kept": True, "used": False, "denied": False, "revoked": False}


def test_a_roll_back_loses_what_the_older_release_does_not_know(played: Story) -> None:
    # A subject that was taken back is let through again, and a step no longer asks for a signature.
    assert (played.taken_back, played.taken_back_after_roll_back) == ("identity_revoked", None)
    assert (played.signed, played.signed_after_roll_back) == (True, False)


def test_an_older_decision_point_denies_by_a_field_that_it_has_read_until_the_policy_changes(
    played: Story, way: str
) -> None:
    # By hand, the definitions are rolled back last. By Helm they come first, and the field is gone before it is read.
    assert played.reason_after_roll_back == ("policy_invalid" if way == "manifests" else "allowed")
    assert played.reason_after_a_change == "allowed"
