"""The store of grants: what is found for a subject at an endpoint, and that only what is looked at is ever parsed."""

from datetime import datetime
from typing import Any

import pytest
from msgspec.structs import replace

from bailiwick_engine.approval.binding import digest as digest_of
from bailiwick_engine.approval.grants import Grant, answers, parse
from bailiwick_engine.call import Party, Resource
from bailiwick_webhook.store import grants as store
from bailiwick_webhook.store.grants import Grants
from bailiwick_webhook.store.listwatch import Key
from support.objects import ENDPOINT, Object, changed, gated_rule, opened_grant
from unit.engine.cases import AGENT_UID, CALL, asked, governed

GATED = governed(gated_rule())

PLACE = ("crm", ENDPOINT, "agent-uid")


def grant(name: str, subject: str = "agent-uid", version: str = "1") -> Object:
    stored = changed(opened_grant("crm"), "spec.request.subject.uid", subject)
    stored["metadata"] |= {"name": name, "uid": f"{name}-uid", "resourceVersion": version}
    stored["metadata"] |= {"creationTimestamp": "2026-01-01T00:00:00Z", "managedFields": [{"manager": "somebody"}]}
    return stored


def key(name: str) -> Key:
    return ("crm", name)


def listed(grants: Grants, *objects: Object) -> Grants:
    listing = grants.listing()
    for found in objects:
        listing.take(key(found["metadata"]["name"]), found)
    listing.finish()
    return grants


def names(grants: Grants, *place: str) -> list[str]:
    namespace, endpoint, subject_uid = place or PLACE
    return sorted(found.name for found in grants.grants_of(namespace, endpoint, subject_uid))


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the grants that were parsed, in order."""
    seen: list[str] = []

    def spy(raw: Any) -> Grant | None:  # noqa: ANN401 - as the original
        seen.append(raw["metadata"]["name"])
        return parse(raw)

    monkeypatch.setattr(store, "parse", spy)
    return seen


def test_a_list_is_everything_and_events_change_it() -> None:
    grants = listed(Grants(), grant("a"), grant("b"), grant("c", "another"))
    assert (names(grants), names(grants, "crm", ENDPOINT, "another")) == (["a", "b"], ["c"])
    grants.apply("DELETED", key("a"), grant("a"))
    grants.apply("ADDED", key("d"), grant("d"))
    grants.apply("DELETED", key("unheard-of"), grant("unheard-of"))
    assert names(grants) == ["b", "d"]
    listed(grants, grant("d"))
    assert (names(grants), names(grants, "crm", ENDPOINT, "another")) == (["d"], [])


def test_a_list_that_breaks_off_changes_nothing() -> None:
    grants = listed(Grants(), grant("a"))
    grants.listing().take(key("b"), grant("b"))
    assert names(grants) == ["a"]


def test_a_grant_re_created_for_another_subject_is_found_for_that_one_alone() -> None:
    grants = listed(Grants(), grant("a"))
    grants.apply("MODIFIED", key("a"), grant("a", "another"))
    assert (names(grants), names(grants, "crm", ENDPOINT, "another")) == ([], ["a"])


def test_a_grant_by_hand_is_nobodys_before_it_is_resolved_and_answers_to_no_key(parsed: list[str]) -> None:
    key = "sha256:" + "d" * 64
    by_hand = changed(grant("by-hand"), "spec.request.origin", "PreApproved")
    by_hand["spec"]["request"]["idempotency"] = {"key": key, "request": key}
    grants = listed(Grants(), by_hand)
    assert (names(grants), grants.asked_with(key), parsed) == ([], None, [])
    resolved = {"subjectUID": "agent-uid", "rules": by_hand["spec"]["request"]["rules"]}
    assert names(listed(grants, {**by_hand, "status": {"resolved": resolved}})) == ["by-hand"]


def test_a_grant_is_found_as_it_was_heard_of_last(parsed: list[str]) -> None:
    grants = listed(Grants(), grant("a"))
    for version in ("2", "3"):
        assert names(grants) == ["a"]
        grants.apply("MODIFIED", key("a"), grant("a", version=version))
    assert [found.resource_version for found in grants.grants_of(*PLACE)] == ["3"]
    listed(grants, grant("a", version="4"))
    assert [found.resource_version for found in grants.grants_of(*PLACE)] == ["4"]


def test_only_what_is_looked_at_is_parsed_and_once_while_it_stays_the_same(parsed: list[str]) -> None:
    grants = listed(Grants(), grant("a"), grant("b", "another"))
    candidates = grants.grants_of(*PLACE)
    assert parsed == []
    assert [found.name for found in candidates] == [found.name for found in candidates] == ["a"]
    listed(grants, grant("a"), grant("b", "another"))
    assert names(grants) == ["a"]
    assert parsed == ["a"]


def test_of_many_only_those_are_parsed_that_may_be_of_the_call(parsed: list[str]) -> None:
    exact, scope = asked(GATED), asked(GATED, binding={"mode": "Scope"})
    by_hand = asked(GATED, binding={"mode": "Scope"}, origin="PreApproved")
    ours = {"exact": exact, "scope": scope, "by-hand": by_hand}
    others = {
        f"{number}-{kind}": asked(GATED, call, **more)
        for number in range(20)
        for call in (replace(CALL, context={"n": number}), replace(CALL, resource=Resource("customer", f"c{number}")))
        for kind, more in (("exact", {}), ("scope", {"binding": {"mode": "Scope"}}))
        if call.resource != CALL.resource or kind == "exact"
    }
    made = [changed(raw, "metadata.name", name) for name, raw in (ours | others).items()]
    by_hand_made = next(raw for raw in made if raw["metadata"]["name"] == "by-hand")
    by_hand_made["status"] = {"resolved": {"subjectUID": AGENT_UID, "rules": by_hand["spec"]["request"]["rules"]}}
    grants = listed(Grants(), *made)
    found = {grant.name for grant in grants.grants_of("crm", ENDPOINT, AGENT_UID, CALL)}
    every = list(grants.grants_of("crm", ENDPOINT, AGENT_UID))
    assert len(every) == len(made)
    assert isinstance(CALL.subject, Party)
    subject, digest = CALL.subject, digest_of(CALL, CALL.subject)
    assert {one.name for one in every if answers(one, CALL, subject, digest)} <= found <= set(ours)
    # Of others that are not parsed at all.
    assert set(parsed[: len(found)]) == found


def test_of_a_flood_by_hand_a_few_are_parsed_and_all_that_a_reviewer_saw(parsed: list[str]) -> None:
    by_hand = asked(GATED, binding={"mode": "Scope"}, origin="PreApproved")
    resolved = {"subjectUID": AGENT_UID, "rules": by_hand["spec"]["request"]["rules"]}
    made = []
    for number in range(100):
        status = {"resolved": resolved, "phase": "Pending" if number < 95 else "Denied"}
        made.append({**changed(by_hand, "metadata.name", f"g{number}"), "status": status})
    grants = listed(Grants(), *made)
    found = [grant.name for grant in grants.grants_of("crm", ENDPOINT, AGENT_UID, CALL)]
    assert {f"g{number}" for number in range(95, 100)} <= set(found)
    assert (len(found), parsed) == (21, found)


def test_no_more_than_so_many_stay_parsed(parsed: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "_PARSED", 2)
    grants = listed(Grants(), *(grant(name, name) for name in "abc"))
    for subject in "abcac":
        assert names(grants, "crm", ENDPOINT, subject) == [subject]
    assert parsed == ["a", "b", "c", "a"]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("metadata.creationTimestamp", "yesterday"),
        ("spec.request.subject", None),
        ("spec.request.endpoint", 7),
        ("spec.request.surprise", True),
        ("spec", []),
        ("metadata.namespace", None),
    ],
)
def test_what_cannot_be_read_is_no_grant_and_hides_no_other(path: str, value: object) -> None:
    grants = listed(Grants(), grant("a"), changed(grant("b"), path, value))
    assert names(grants) == ["a"]


class TestThoseThatWaitForTheirReviews:
    """What a namespace may have of them is counted by this."""

    def test_are_counted_by_namespace(self) -> None:
        grants = listed(Grants(), grant("a"), grant("b", "another"))
        assert (grants.waiting("crm", 0), grants.waiting("erp", 0)) == (2, 0)
        grants.apply("DELETED", key("a"), grant("a"))
        assert grants.waiting("crm", 0) == 1

    @pytest.mark.parametrize(
        ("path", "value"),
        [
            ("status", {"phase": "Active"}),
            ("status", {"phase": "Denied"}),
            ("spec.revocation", {"time": "2026-01-01T00:00:00Z"}),
            ("spec.request.origin", "PreApproved"),
            ("spec.request.pendingUntilTime", "soon"),
        ],
    )
    def test_are_not_those_that_are_decided_or_were_not_asked_for(self, path: str, value: object) -> None:
        grants = listed(Grants(), grant("a"))
        grants.apply("MODIFIED", key("a"), changed(grant("a"), path, value))
        assert grants.waiting("crm", 0) == 0

    def test_are_over_once_their_time_is_whatever_the_operator_wrote(self) -> None:
        waiting = grant("a")
        until = datetime.fromisoformat(waiting["spec"]["request"]["pendingUntilTime"]).timestamp()
        grants = listed(Grants(), waiting)
        assert [grants.waiting("crm", until - 1), grants.waiting("crm", until)] == [1, 0]
        # And a clock that was ahead for a moment has not made them over for good.
        assert grants.waiting("crm", until - 1) == 1
        # Whatever comes after that finds it in order.
        grants.apply("DELETED", key("a"), grant("a"))
        grants.apply("ADDED", key("b"), grant("b"))
        assert grants.waiting("crm", 0) == 1
