"""Reviews of policies as anybody on the network can post them: no crash, bounded memory, and nothing told of others."""

import gzip
import json
import os
import resource
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import pytest
import requests

from bailiwick_api.kinds.meta import API_VERSION, ENDPOINT_POLICIES
from bailiwick_api.manifests.admission import PATH
from bailiwick_engine.compile import acceptance
from bailiwick_webhook.admission.review import MAX_BYTES
from support.admission.reviews import UID, large, review, sent
from support.objects import Object, changed, policy, rule, settings, subject
from support.pdp.processes import Bailiwick, readiness
from support.pdp.tenant import Tenant
from support.waits import until

MIB: Final = 1024 * 1024
HEADERS: Final = {"Content-Type": "application/json"}
_PAGE: Final = resource.getpagesize()


def post(pdp: Bailiwick, data: bytes, query: str = "?timeout=10s", **headers: str) -> requests.Response:
    url = f"{pdp.points[0].admission_url}{PATH}{query}"
    return requests.post(url, data, headers={**HEADERS, **headers}, timeout=30)


def judged(pdp: Bailiwick, data: bytes) -> dict[str, Any]:
    answer = post(pdp, data)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()["response"]
    return found


def wrong(path: str, value: object) -> bytes:
    body = review(changed(policy("crm"), "spec.suspend", True), policy("crm"))
    return json.dumps(changed(body, path, value)).encode()


def padded(size: int) -> bytes:
    """Return a review of exactly this size."""
    body = review(policy("crm", "padded", endpoint="padded"))
    body["request"]["object"]["metadata"]["annotations"] = {"a": ""}
    bare = len(json.dumps(body))
    body["request"]["object"]["metadata"]["annotations"]["a"] = "x" * (size - bare)
    return json.dumps(body).encode()


# What is sent, what it is answered with, and the field that the problem names.
WRONG: Final[dict[str, tuple[Callable[[], bytes], int, str | None]]] = {
    "one byte too large": (lambda: padded(MAX_BYTES + 1), 413, None),
    "ten MiB": (lambda: b" " * (10 * MIB), 413, None),
    "a million objects": (lambda: b'{"a":[' + b"{}," * 1_000_000 + b"{}]}", 400, "apiVersion"),
    "half a million members": (lambda: b'{"a":[' + b'{"":1},' * 450_000 + b"{}]}", 400, "apiVersion"),
    "very deep": (lambda: b"[" * 3_000_000, 400, ""),
    "deeper than we look": (lambda: wrong("request.object.metadata.annotations", _deep(40)), 400, None),
    "a member twice": (lambda: sent(policy("crm"))[:-1] + b', "kind": "AdmissionReview"}', 400, "kind"),
    "a spec twice": (lambda: sent(policy("crm")).replace(b'"spec": {', b'"spec": {}, "spec": {', 1), 400, "spec"),
    "a number beyond all numbers": (lambda: sent(policy("crm")).replace(b'"dryRun": false', b'"n": 1e999'), 400, None),
    "not UTF-8": (lambda: json.dumps(review(policy("crm"))).encode("utf-16"), 400, ""),
    "nothing": (lambda: b"", 400, ""),
    "no JSON": (lambda: b"uid=1", 400, ""),
    "a list": (lambda: b"[]", 400, ""),
    "v1beta1": (lambda: wrong("apiVersion", "admission.k8s.io/v1beta1"), 400, "apiVersion"),
    "another review": (lambda: wrong("kind", "SubjectAccessReview"), 400, "kind"),
    "no request": (lambda: wrong("request", None), 400, "request"),
    "no uid": (lambda: wrong("request.uid", ...), 400, "request.uid"),
    "a uid of a MiB": (lambda: wrong("request.uid", "u" * MIB), 400, "request.uid"),
    "another kind": (lambda: wrong("request.kind.kind", "Deployment"), 400, "request.kind"),
    "a grant": (lambda: wrong("request.kind.kind", "ApprovalGrant"), 400, "request.kind"),
    "another group": (lambda: wrong("request.kind.group", "example.com"), 400, "request.kind"),
    "another operation": (lambda: wrong("request.operation", "CONNECT"), 400, "request.operation"),
    "no object": (lambda: wrong("request.object", None), 400, "request.object"),
    "no old object": (lambda: wrong("request.oldObject", None), 400, "request.oldObject"),
}


def _deep(depth: int) -> Any:  # noqa: ANN401 - nested lists
    found: Any = 1
    for _ in range(depth):
        found = [found]
    return found


@pytest.mark.parametrize("what", WRONG)
def test_ab_34_a_body_that_is_no_review_of_a_policy_is_4xx_and_tells_the_field(pdp: Bailiwick, what: str) -> None:
    made, status, field = WRONG[what]
    answer = post(pdp, made(), **{"X-Request-ID": "ab-34"})
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers["X-Request-ID"] == "ab-34"
    assert field is None or answer.json()["field"] == field
    # And the next one is judged.
    assert judged(pdp, sent(policy("crm", "next", endpoint="next")))["allowed"] is True


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("Content-Type", "text/plain"),
        ("Content-Type", "application/yaml"),
        ("Content-Type", "application/vnd.kubernetes.protobuf"),
        ("Content-Type", ""),
        ("Content-Encoding", "gzip"),
    ],
)
def test_ab_34_a_body_of_another_kind_is_400(pdp: Bailiwick, header: str, value: str) -> None:
    data = sent(policy("crm", "typed", endpoint="typed"))
    if value == "gzip":
        data = gzip.compress(data + b" " * (100 * MIB))
    answer = post(pdp, data, **{header: value})
    assert (answer.status_code, answer.json()["field"]) == (400, header)


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_another_method_is_refused(pdp: Bailiwick, method: str) -> None:
    answer = requests.request(method, f"{pdp.points[0].admission_url}{PATH}", timeout=10)
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")


def test_ab_34_as_much_as_fits_is_judged(pdp: Bailiwick) -> None:
    assert judged(pdp, padded(MAX_BYTES))["allowed"] is True


def test_ab_34_a_mib_is_the_most_everywhere_else(pdp: Bailiwick, tenant: Tenant) -> None:
    data = json.dumps(tenant.body("customers.list", padding="x" * MIB)).encode()
    headers = {**HEADERS, "Authorization": f"Bearer {tenant.pep}"}
    assert requests.post(tenant.url(), data, headers=headers, timeout=10).status_code == 400


def test_ab_34_bodies_that_are_made_to_be_big_leave_memory_as_it_is(pdp: Bailiwick, tenant: Tenant) -> None:
    pid = pdp.points[0].process.id.pid
    post(pdp, sent(policy("crm")))
    before = _resident(pid)
    bodies = [b'{"a":[' + b"{}," * 1_000_000 + b"{}]}", padded(MAX_BYTES), b"[" * 3_000_000]

    def flood(number: int) -> int:
        return post(pdp, bodies[number % 3]).status_code

    with ThreadPoolExecutor(16) as pool:
        statuses = set(pool.map(flood, range(48)))
    # Whatever was too much at once is told so.
    assert statuses <= {200, 400, 429, 504}
    assert 200 in statuses
    assert _resident(pid) - before < 100 * MIB
    assert all(_resident(child) < 400 * MIB for child in _children(pid))
    assert readiness(pdp.points[0])[0] == 200
    assert tenant.ask("customers.list").decision is True


@pytest.mark.long
def test_decisions_go_on_under_a_flood_of_policies_that_take_long(pdp: Bailiwick, tenant: Tenant) -> None:
    body = sent(large(64, 16, 60))
    ends = time.monotonic() + 4

    def flood(_: int) -> set[int]:
        found = set()
        while time.monotonic() < ends:
            found.add(post(pdp, body, "?timeout=1s").status_code)
        return found

    with ThreadPoolExecutor(16) as pool:
        floods = [pool.submit(flood, number) for number in range(16)]
        took = []
        while time.monotonic() < ends:
            began = time.monotonic()
            assert tenant.ask("customers.list").decision is True
            took.append(time.monotonic() - began)
        statuses = set().union(*(one.result() for one in floods))
    assert statuses <= {200, 429, 504}
    # With two cores and seventeen clients on them: what matters is that nobody waits for a compilation.
    assert sorted(took)[len(took) // 2] < 0.1
    until(lambda: judged(pdp, sent(policy("crm"))), "reviews go on")


class TestAb36AStranger:
    """There is no telling the API server from others by the request alone."""

    def test_is_told_of_an_endpoint_only_what_carries_its_settings(self, pdp: Bailiwick, tenant: Tenant) -> None:
        known = policy(tenant.namespace, "stranger", endpointSettings=settings())
        said = judged(pdp, sent(known))
        assert said["status"]["message"].startswith("Conflicted: endpointSettings for crm-api are also in crm-agent")
        (cause,) = said["status"]["details"]["causes"]
        assert cause["message"] == said["status"]["message"]
        for secret in (tenant.agent, "customers.export", "crm-owners"):
            assert secret not in json.dumps(said)

    def test_learns_of_an_endpoint_only_whether_its_settings_are_carried(self, pdp: Bailiwick, tenant: Tenant) -> None:
        # Of the agent that the endpoint speaks of, and of one that it does not: what gets further is told alike.
        for subjects in ([subject()], [subject(namespace=tenant.namespace, account="agent")]):
            asked = {"subjects": subjects, "rules": [rule("all", actions=["*"])]}
            for old in (None, [rule("none", effect="Deny", actions=["*"])]):
                there, nowhere = (
                    judged(
                        pdp,
                        sent(
                            policy(namespace, "stranger", **asked),
                            None if old is None else policy(namespace, "stranger", **{**asked, "rules": old}),
                        ),
                    )
                    for namespace in (tenant.namespace, "nowhere")
                )
                further = there.pop("warnings")
                assert "permits more calls (rule all, new): Deny to Allow" in further[0]
                assert there == {"uid": UID, "allowed": True}
                assert nowhere == there | {"warnings": [*further, acceptance.unconfigured_message("crm-api")]}

    def test_changes_nothing(self, pdp: Bailiwick, tenant: Tenant) -> None:
        judged(pdp, sent(policy(tenant.namespace, "stranger", rules=[rule("all", actions=["*"])])))
        assert tenant.ask("customers.unheard").reason == "no_rule"
        path = f"/apis/{API_VERSION}/namespaces/{tenant.namespace}/{ENDPOINT_POLICIES}/stranger"
        assert tenant.callers.admin.get(path).status == 404


def test_ab_37_what_is_told_of_a_policy_has_no_character_that_a_terminal_obeys(pdp: Bailiwick) -> None:
    texts = ["\x1b[31mred", "\u202etxet", "\x07", "a\nb"]
    for text in texts:
        said = judged(pdp, sent(policy("crm", rules=[rule(conditions=[{"name": "c", "expression": f"'{text}' + 1"}])])))
        assert said["allowed"] is False
        assert text not in json.dumps(said, ensure_ascii=False)


def test_ab_33_every_version_and_the_status_are_judged_alike(pdp: Bailiwick) -> None:
    broken = policy("crm", rules=[rule(conditions=[{"name": "c", "expression": "1 +"}])])
    newer: Object = broken | {"apiVersion": "bailiwick.dev/v2"}
    for raw in (
        sent(broken),
        sent(newer),
        sent(broken, policy("crm"), subResource="status"),
        sent(newer, policy("crm"), subResource="status"),
        sent(broken, requestKind={"group": "bailiwick.dev", "version": "v2", "kind": "EndpointPolicy"}),
    ):
        assert judged(pdp, raw)["allowed"] is False


def _resident(pid: int) -> int:
    with open(f"/proc/{pid}/statm", encoding="ascii") as file:  # noqa: PTH123 - not a file, and gone at any time
        return int(file.read().split()[1]) * _PAGE


def _children(pid: int) -> list[int]:
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:  # noqa: PTH123 - likewise
        found = [int(child) for child in file.read().split()]
    assert os.getpid() not in found
    return found
