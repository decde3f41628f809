"""Data, long lists of policies, requests and calls that nobody could read are replayed as the record has them."""

from collections.abc import Mapping
from typing import Any, Final

import pytest
from msgspec.structs import replace

from bailiwick_engine.reasons import Reason
from bailiwick_evidence.derive.versions import engine_versions
from bailiwick_evidence.replay.candidate import Candidate
from bailiwick_evidence.replay.outcomes import ReplayClass
from bailiwick_evidence.replay.projections import ReplayBook
from bailiwick_evidence.replay.replay import EndpointStates
from property.evidence.test_replays import book_of
from support.derivations import texts_of
from support.objects import Object, rule
from unit.engine.cases import CALL
from unit.evidence.derive.test_derive import GATED, carrier, reading, record, stored
from unit.evidence.derive.test_derive_data import OPEN, reader, record as data_record
from unit.evidence.replay.test_replay import ALLOW, DENY, EXPORT, replay, with_settings
from unit.webhook.record.everymember import lines

CLOSED: Final = {"incident-state": {"open": False, "level": 2}}


@pytest.mark.parametrize(
    ("old", "new", "objects", "code"),
    [
        ("data.incident.level > 1", "data.incident.level > 2", OPEN, "allow→deny"),
        ("data.incident.level > 1", "data.incident.level > 0", OPEN, "unchanged"),
        ("data.incident.level > 1", "data.incident.open == true", OPEN, "not_replayable:attribute_not_recorded"),
        ("data.incident.level > 1", "data.incident.open == true", {}, "unchanged"),
        ("has(data.incident.gone)", "!has(data.incident.gone)", OPEN, "deny→allow"),
    ],
)
def test_data_counts_as_it_was(old: str, new: str, objects: Mapping[str, Any], code: str) -> None:
    assert replay(data_record(reader(old), objects), [reader(old)], [reader(new)]).code == code


def test_data_that_no_policy_named_is_not_known() -> None:
    assert replay(record(DENY), [DENY], [reader("true")]).kind is ReplayClass.DENY_ALLOW
    found = replay(record(DENY), [DENY], [reader("data.incident.open == true")])
    assert found.code == "not_replayable:attribute_not_recorded"


def test_the_policies_of_a_long_list_are_found_by_its_digest() -> None:
    others = [stored(f"p{number:02}", rules=[rule(f"r{number}")]) for number in range(16)]
    listing, told = lines(DENY, *others, allowed=False)
    assert (listing["kind"], "policies" in told) == ("policies", False)
    book = book_of(texts_of(one["spec"] for one in (DENY, *others)), [ALLOW])
    first = book.outcome(told, engine_versions())
    book.learn(listing)
    second = book.outcome(told, engine_versions())
    assert first is not None
    assert second is not None
    assert (first.code, second.code) == ("not_replayable:policy_missing", "deny→allow")


def test_an_overlay_keeps_what_a_long_list_has() -> None:
    others = [stored(f"p{number:02}", rules=[rule(f"r{number}", **EXPORT)]) for number in range(16)]
    listing, told = lines(DENY, *others)
    texts = texts_of(one["spec"] for one in (DENY, *others))
    policies = book_of(texts, [carrier(rule("more"))])._states.candidate.policies
    for overlay, kind in ((True, ReplayClass.UNCHANGED), (False, ReplayClass.ALLOW_DENY)):
        book = ReplayBook(EndpointStates(texts, Candidate(policies, overlay=overlay)))
        book.learn(listing)
        found = book.outcome(told, engine_versions())
        assert found is not None
        assert found.kind is kind


def test_a_request_for_an_approval_is_what_the_policy_says_of_its_call() -> None:
    told = {**record(GATED), "kind": "request"}
    assert replay(told, [GATED], [GATED]).kind is ReplayClass.UNCHANGED
    assert replay(told, [GATED], [ALLOW]).kind is ReplayClass.APPROVAL_ALLOW


ROUTE: Final[Object] = {
    "methods": ["POST"],
    "path": "/customers/{id}",
    "action": "customers.export",
    "resource": {"type": "customer", "id": "{id}"},
}


def test_a_call_that_no_route_named_stays_so_only_by_the_same_routes() -> None:
    told = record(ALLOW, call=replace(CALL, refused=Reason.UNMAPPED))
    assert told["reason"] == "unmapped"
    assert replay(told, [ALLOW], [carrier(rule(**EXPORT), rule("more"))]).kind is ReplayClass.UNCHANGED
    other: Object = with_settings(ALLOW, http={"hosts": ["crm.example.com"], "routes": [ROUTE]})
    assert replay(told, [ALLOW], [other]).code == "not_replayable:state"


def test_a_large_call_may_be_too_costly_for_a_condition_that_is_new() -> None:
    large = replace(CALL, context={"n": 2, "text": "x" * 3_000})
    old = carrier(reading("context.n > 1"))
    told = record(old, call=large)
    assert told["limits"] == "size"
    assert replay(told, [old], [carrier(reading("context.n > 1"), rule("list"))]).kind is ReplayClass.UNCHANGED
    found = replay(told, [old], [carrier(reading("context.n >= 1"))])
    assert found.may == frozenset({ReplayClass.UNCHANGED, ReplayClass.ALLOW_DENY})
