"""How a stored grant is read, and under which name a request is opened."""

from dataclasses import replace
from typing import Any, Final

import msgspec
import pytest

from bailiwick_engine import grants as approval
from bailiwick_engine.call import Call
from support.objects import Object, changed, gated_rule
from unit.engine.cases import CALL, NAMESPACE, NOW, OPENED_AGO, approved, gate_of, governed, read

GATED: Final = governed(gated_rule())
GATE: Final = gate_of(GATED)
ACTIVE: Final = approved(GATED)
DIGEST: Final = "sha256:" + "a" * 64


class TestReading:
    def test_yields_what_the_object_says(self) -> None:
        grant = read(ACTIVE)
        assert (grant.namespace, grant.name, grant.uid) == (NAMESPACE, "agr-opened", "grant-uid")
        assert (grant.resource_version, grant.created) == ("7", NOW - OPENED_AGO)
        assert (grant.deleting, grant.revoked) == (False, False)
        assert [entry.reviewer for entry in grant.reviews] == ["carol"]
        assert (grant.phase, grant.subject_uid) == ("Active", "agent-uid")

    def test_takes_what_is_not_there_for_nothing(self) -> None:
        raw = changed(changed(ACTIVE, "spec.reviews", ...), "spec.request.subject.uid", ...)
        grant = read(changed(raw, "status", ...))
        assert (grant.reviews, grant.phase, grant.subject_uid) == ((), "Pending", None)

    @pytest.mark.parametrize("path", ["spec.revocation", "metadata.deletionTimestamp"])
    def test_sees_that_it_is_taken_back(self, path: str) -> None:
        *way, last = path.split(".")
        value: Any = {"by": "carol"} if last == "revocation" else "2030-01-01T00:00:00Z"
        grant = read(changed(ACTIVE, way[0], {**ACTIVE[way[0]], last: value}))
        assert (grant.revoked, grant.deleting) == (last == "revocation", last == "deletionTimestamp")

    @pytest.mark.parametrize(
        ("path", "value"),
        [
            ("spec", ...),
            ("spec", None),
            ("spec", []),
            ("metadata", ...),
            ("metadata", None),
            ("metadata", {}),
            ("metadata.uid", ...),
            ("metadata.namespace", ...),
            ("metadata.name", ...),
            ("metadata.resourceVersion", ...),
            ("metadata.creationTimestamp", ...),
            ("metadata.creationTimestamp", None),
            ("metadata.creationTimestamp", "yesterday"),
            ("status", "Active"),
            ("status.phase", "Approved"),
            ("status", {"phase": "Active", "resolved": []}),
            ("status", {"phase": "Active", "uses": -1}),
            ("spec.request", {}),
            ("spec.request.steps", []),
            ("spec.request.rules", []),
            ("spec.request.maxUses", 51),
            ("spec.request.windowSeconds", 86401),
            ("spec.reviews", [{"reviewer": "carol"}]),
        ],
    )
    def test_of_what_is_no_grant_yields_none(self, path: str, value: object) -> None:
        assert approval.parse(changed(ACTIVE, path, value)) is None

    def test_of_nothing_yields_none(self) -> None:
        empty: Object = {}
        assert approval.parse(empty) is None


def name(call: Call = CALL, digest: str = DIGEST, uid: str = "agent-uid", previous: str = "", **gate: Any) -> str:  # noqa: ANN401 - any field
    of_rule = {field: gate.pop(field) for field in ("policy", "policy_uid", "rule", "rule_digest") if field in gate}
    changed_gate = replace(GATE, rules=tuple(replace(one, **of_rule) for one in GATE.rules), **gate)
    return approval.grant_name(call, changed_gate, digest, uid, previous_uid=previous)


class TestTheName:
    def test_is_what_an_object_may_be_called(self) -> None:
        made = name()
        assert made.removeprefix("agr-").isalnum()
        assert (len(made), made) == (24, made.lower())

    def test_is_the_same_whenever_and_wherever_it_is_made(self) -> None:
        # A known answer: replicas of two versions must agree, or a storm of retries opens two grants.
        assert name(rule_digest="v1:" + "0" * 64) == KNOWN_NAME

    @pytest.mark.parametrize(
        "other",
        [
            name(digest="sha256:" + "b" * 64),
            name(uid="new-uid"),
            name(previous="one"),
            name(call=msgspec.structs.replace(CALL, endpoint="other")),
            name(call=msgspec.structs.replace(CALL, namespace="other")),
            name(policy_uid="other"),
            name(rule="other"),
            name(rule_digest="v1:" + "0" * 64),
        ],
    )
    def test_is_another_for_another_request(self, other: str) -> None:
        assert other != name()

    def test_is_the_same_whatever_the_gate_takes(self) -> None:
        assert name(policy="renamed", steps=(), max_uses=9, window_seconds=9) == name()

    def test_is_another_after_each_grant_that_ended(self) -> None:
        assert len({name(previous=previous) for previous in ("", "uid-1", "uid-2")}) == 3


KNOWN_NAME: Final = "agr-cq7uxiafrpubdpbk5ny6"


def test_the_latest_of_no_grants_is_none() -> None:
    assert approval.latest_ended([]) is None
