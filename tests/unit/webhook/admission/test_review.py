"""What a body comes to: a review that is read strictly, and a policy that is compiled as it would be served."""

import json
from typing import Any, Final

import pytest

from bailiwick_webhook.admission import review as reviewing
from bailiwick_webhook.admission.review import (
    MalformedReview,
    NothingToReview,
    PolicyFinding,
    ReviewDefect,
    UnknownVersion,
    examine,
)
from support.admission.reviews import UID, review, sent
from support.objects import Object, changed, gated_rule, policy, rule, settings

BROKEN: Final = rule(conditions=[{"name": "big", "expression": "context.count >\n  nothing.here"}])


def found(new: Object, old: Object | None = None, **request: object) -> PolicyFinding:
    finding = examine(sent(new, old, **request)).finding
    assert isinstance(finding, PolicyFinding), finding
    return finding


class TestAPolicy:
    def test_is_found_with_what_matters_around_it(self) -> None:
        finding = found(policy("crm", endpointSettings=settings(), rules=[gated_rule()]))
        assert (finding.uid, finding.namespace, finding.name, finding.endpoint) == (UID, "crm", "crm-agent", "crm-api")
        assert (finding.carries, finding.refusal, finding.before) == (True, None, None)
        assert [name for name, _ in finding.people.gated] == ["export"]

    def test_that_does_not_compile_has_its_causes(self) -> None:
        finding = found(policy("crm", rules=[BROKEN]))
        assert finding.refusal is not None
        assert finding.refusal.why == "InvalidPolicy"
        assert [path for path, _ in finding.causes] == ["spec.rules[0].conditions[0].expression"]

    def test_of_which_much_is_wrong_is_told_in_few_words(self) -> None:
        rules = [rule(f"r{number}", conditions=[{"name": "c", "expression": "x" * 4000}]) for number in range(64)]
        finding = found(policy("crm", rules=rules))
        assert finding.refusal is not None
        assert len(finding.refusal.message) < 3000
        assert finding.refusal.message.endswith("; and 59 more")
        assert len(finding.causes) == 20
        assert all(len(message) < 1000 for _, message in finding.causes)

    def test_of_which_much_is_unusual_has_few_warnings(self) -> None:
        subjects = [
            {
                "name": f"s{number}",
                "serviceAccount": {"namespace": "crm", "name": "x"},
                "workload": {"podSelector": {"matchLabels": {"app": "x"}}},
            }
            for number in range(40)
        ]
        finding = found(policy("crm", subjects=subjects, rules=[rule(subjects=["s0"])]))
        assert len(finding.warnings) == 21
        assert finding.warnings[-1] == "and 20 more warnings"

    def test_has_what_was_stored_before_beside_it(self) -> None:
        old = policy("crm", endpointSettings=settings(), rules=[gated_rule()])
        finding = found(policy("crm"), old)
        assert finding.before is not None
        assert finding.before.carries
        assert [name for name, _ in finding.before.people.gated] == ["export"]

    @pytest.mark.parametrize("spec", [None, {}, {"surprise": 1}, "text"], ids=repr)
    def test_may_replace_one_that_cannot_be_read(self, spec: object) -> None:
        finding = found(policy("crm"), policy("crm") | {"spec": spec})
        assert finding.refusal is None
        assert finding.before is not None
        assert not finding.before.people.gated

    def test_is_of_the_namespace_that_the_api_server_says(self) -> None:
        assert found(policy("elsewhere"), namespace="crm").namespace == "crm"

    def test_tells_what_was_sent_in_visible_characters(self) -> None:
        finding = found(policy("crm", rules=[rule(actions=["\x1b[31mred"])]))
        assert finding.causes
        assert "\x1b" not in repr(finding.causes)


class TestNothingToJudge:
    @pytest.mark.parametrize("spec", [policy("crm")["spec"], {"rules": [BROKEN]}, None, {"surprise": 1}])
    def test_is_in_a_change_that_leaves_the_spec_as_it_is(self, spec: object) -> None:
        old = policy("crm") | {"spec": spec}
        for path, value in (
            ("metadata.labels", {"a": "b"}),
            ("metadata.finalizers", ["x/y"]),
            ("metadata.deletionTimestamp", "2026-01-01T00:00:00Z"),
            ("status", {"observedGeneration": 1}),
        ):
            assert examine(sent(changed(old, path, value), old)).finding == NothingToReview(UID)

    def test_is_in_a_deletion(self) -> None:
        assert examine(sent(None, policy("crm", rules=[BROKEN]))).finding == NothingToReview(UID)

    def test_is_in_what_the_status_says(self) -> None:
        old = policy("crm", rules=[BROKEN])
        new = changed(old, "status", {"conditions": []})
        assert examine(sent(new, old, subResource="status")).finding == NothingToReview(UID)


def test_a_number_in_the_place_of_a_truth_is_another_spec() -> None:
    old = policy("crm", suspend=True)
    assert examine(sent(changed(old, "spec.suspend", 1), old)).finding != NothingToReview(UID)


def test_ab_33_a_change_of_spec_by_way_of_the_status_is_judged_alike() -> None:
    assert found(policy("crm", rules=[BROKEN]), policy("crm"), subResource="status").refusal is not None


def test_ab_33_a_version_that_is_not_known_is_refused_and_may_be_deleted_and_labelled() -> None:
    newer = policy("crm") | {"apiVersion": "bailiwick.dev/v9"}
    assert examine(sent(newer)).finding == UnknownVersion(UID, "v9")
    assert examine(sent(changed(newer, "spec.suspend", True), newer)).finding == UnknownVersion(UID, "v9")
    assert examine(sent(None, newer)).finding == NothingToReview(UID)
    assert examine(sent(changed(newer, "metadata.labels", {}), newer)).finding == NothingToReview(UID)


def wrong(path: str, value: object) -> bytes:
    return json.dumps(changed(review(policy("crm"), policy("crm")), path, value)).encode()


WRONG: Final[dict[str, tuple[bytes, str]]] = {
    "v1beta1": (wrong("apiVersion", "admission.k8s.io/v1beta1"), "apiVersion"),
    "no apiVersion": (wrong("apiVersion", ...), "apiVersion"),
    "another review": (wrong("kind", "TokenReview"), "kind"),
    "no request": (wrong("request", ...), "request"),
    "a request that is a list": (wrong("request", []), "request"),
    "no uid": (wrong("request.uid", ...), "request.uid"),
    "an empty uid": (wrong("request.uid", ""), "request.uid"),
    "a uid that is a number": (wrong("request.uid", 1), "request.uid"),
    "a uid without end": (wrong("request.uid", "u" * 254), "request.uid"),
    "no kind": (wrong("request.kind", ...), "request.kind"),
    "a grant": (wrong("request.kind.kind", "ApprovalGrant"), "request.kind"),
    "another group": (wrong("request.kind.group", "apps"), "request.kind"),
    "no version": (wrong("request.kind.version", ...), "request.kind.version"),
    "no operation": (wrong("request.operation", ...), "request.operation"),
    "a connection": (wrong("request.operation", "CONNECT"), "request.operation"),
    "no object": (wrong("request.object", None), "request.object"),
    "no old object": (wrong("request.oldObject", None), "request.oldObject"),
    "a member twice": (b'{"kind": "AdmissionReview", "kind": "AdmissionReview"}', "kind"),
    "a list": (b"[]", ""),
    "very deep": (b"[" * 3_000_000, ""),
    "not JSON": (b"uid=1", ""),
    "nothing": (b"", ""),
}


@pytest.mark.parametrize("what", WRONG)
def test_ab_34_what_is_no_review_of_a_policy_is_told_with_its_place(what: str) -> None:
    raw, where = WRONG[what]
    finding = examine(raw).finding
    assert isinstance(finding, MalformedReview), finding
    assert finding.where == where


@pytest.mark.parametrize("path", ["object.metadata", "object.metadata.name", "namespace"])
def test_ab_34_a_policy_without_a_name_is_no_policy(path: str) -> None:
    body = changed(review(changed(policy("crm"), "spec.suspend", True), policy("crm")), f"request.{path}", ...)
    finding = examine(json.dumps(body).encode()).finding
    assert isinstance(finding, MalformedReview)
    assert finding.where == f"request.{path}"


def test_a_defect_is_told_and_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:  # noqa: ANN401 - whatever it is called with
        raise RuntimeError("a defect" + "x" * 10_000)

    monkeypatch.setattr(reviewing, "judge", broken)
    finding = examine(sent(policy("crm"))).finding
    assert isinstance(finding, ReviewDefect)
    assert finding.error.startswith("RuntimeError: a defect")
    assert len(finding.error) < 600
