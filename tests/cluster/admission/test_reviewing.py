"""Policies as the API server has them reviewed: what CEL in the schema cannot say is refused before it is stored."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import pytest
import requests

from bailiwick_api.accounts import VALIDATING_WEBHOOK, Installation
from bailiwick_api.kinds.meta import API_VERSION, ENDPOINT_POLICIES, GROUP
from bailiwick_api.manifests.admission import policies
from demo.ground import KUBECTL, output
from demo.stack import DecisionPoint
from localcluster import process
from localcluster.rest import Answer, Rest
from support.admission.registration import registered, registration
from support.admission.reviews import large
from support.installation import accepted
from support.objects import Object, changed, gated_rule, policy, rule, settings
from support.pdp.processes import Bailiwick
from support.pdp.tenant import Tenants
from support.waits import until, until_ok
from unit.operator.cases import condition

BROKEN: Final = rule(conditions=[{"name": "big", "expression": "context.count >\n  nothing.here"}])
DENIED: Final = f'admission webhook "{VALIDATING_WEBHOOK}" denied the request: '
STEPS: Final = [{"name": f"s{number}", "kind": "Human", "count": 5} for number in range(5)]
NOBODY: Final = [{"name": "owner", "kind": "Human", "groups": ["system:nodes"]}]
PERSON: Final = {"name": "agent", "user": {"issuer": "partners", "name": "pat"}}
# What is refused: the reason, and what is said of it.
REFUSED: Final[dict[str, tuple[Object, str, str]]] = {
    "a condition that does not compile": (
        {"rules": [BROKEN]},
        "InvalidPolicy",
        "spec.rules[0].conditions[0].expression:2:",
    ),
    "a variable that does not compile": (
        {"variables": [{"name": "v", "expression": "1 +"}]},
        "InvalidPolicy",
        "spec.variables[0].expression:1:",
    ),
    "more reviews than a grant holds": (
        {"rules": [gated_rule(approval={"steps": STEPS})]},
        "InvalidPolicy",
        "the steps require 25 reviews, but a grant holds at most 20",
    ),
    "a step that nobody can review": (
        {"rules": [gated_rule(approval={"steps": NOBODY})]},
        "InvalidPolicy",
        "no person is in system:nodes",
    ),
    "a reason that is no RE2": (
        {
            "rules": [
                gated_rule(approval={"steps": STEPS[:1], "reason": {"pattern": "(?=x)"}}),
            ]
        },
        "InvalidPolicy",
        "spec.rules[0].approval.reason.pattern: not a valid regular expression",
    ),
    "people whom the API server does not know": (
        {
            "subjects": [PERSON],
            "rules": [gated_rule()],
            "endpointSettings": {**settings(), "identity": {"issuers": ["partners"]}},
        },
        "UnmappedIssuer",
        "one of its subjects comes from issuer partners, which has no claims.kubernetesUsername",
    ),
}


def path(namespace: str, name: str) -> str:
    return f"/apis/{API_VERSION}/namespaces/{namespace}/{ENDPOINT_POLICIES}/{name}"


def refusal(answer: Answer) -> str:
    assert (answer.status, answer.reason) == (422, "Invalid"), answer
    assert answer.message.startswith(DENIED), answer.message
    return answer.message.removeprefix(DENIED)


def warnings(answer: Answer) -> str:
    return answer.headers.get("Warning", "")


def reviews(point: DecisionPoint) -> int:
    text = requests.get(f"{point.status_url}/metrics", timeout=10).text
    lines = [line for line in text.splitlines() if line.startswith("bailiwick_admission_reviews_total")]
    return sum(int(float(line.rpartition(" ")[2])) for line in lines)


@pytest.fixture(scope="module")
def unreviewed(tenants: Tenants) -> str:
    """A namespace whose policies only the operator looks at."""
    return tenants.namespaces.make("unreviewed")


def test_the_registration_is_stored_as_it_is_shipped(pdp: Bailiwick) -> None:
    shipped = policies(Installation())
    stored = accepted(pdp.callers.admin.create(shipped, dry_run=True))
    assert stored["webhooks"] == shipped["webhooks"]


def test_a_sound_policy_is_stored(pdp: Bailiwick, reviewed: str) -> None:
    accepted(pdp.callers.admin.create(policy(reviewed, "sound", endpoint="sound")))


@pytest.mark.parametrize("what", REFUSED)
def test_what_the_schema_cannot_say_is_refused(pdp: Bailiwick, reviewed: str, what: str) -> None:
    spec, why, words = REFUSED[what]
    said = refusal(pdp.callers.admin.create(policy(reviewed, "refused", endpoint="refused", **spec)))
    assert said.startswith(f"{why}: ")
    assert words in said
    assert pdp.callers.admin.get(path(reviewed, "refused")).status == 404


def test_data_that_cannot_be_read_is_refused_with_its_path(pdp: Bailiwick, reviewed: str) -> None:
    metadata = {"namespace": reviewed, "name": "directory"}
    held: Object = {"apiVersion": API_VERSION, "kind": "EndpointData", "metadata": metadata, "spec": {"data": {"a": 1}}}
    admin = pdp.callers.admin
    accepted(admin.create(held))
    for data, told in (
        ({"people": {"ann": "x\0"}}, "Unreadable: spec.data.people.ann: contains the character NUL"),
        ({"text": "x" * 262_144}, "TooLarge: spec.data: needs 262,161 bytes as JSON"),
    ):
        assert told in refusal(admin.patch(held, {"spec": {"data": data}}, "merge"))
    accepted(admin.patch(held, {"spec": {"data": {"text": "x" * 200_000}}}, "merge"))


@pytest.mark.parametrize(
    ("what", "told"),
    [
        ("a condition that does not compile", "spec.rules[0].conditions[0].expression: line 2, column "),
        (
            "people whom the API server does not know",
            "spec.subjects: UnmappedIssuer: people review approvals of rule export",
        ),
    ],
)
def test_kubectl_tells_what_is_wrong_and_where(pdp: Bailiwick, reviewed: str, what: str, told: str) -> None:
    # It shows the causes of what is invalid, and not the message.
    spec, _, words = REFUSED[what]
    given = json.dumps(policy(reviewed, "refused", endpoint="refused", **spec))
    config = f"--kubeconfig={pdp.cluster.kubeconfig('admin')}"
    code, _, said = output(KUBECTL, config, "apply", "-f", "-", given=given)
    assert (code, said.startswith(f'The EndpointPolicy "refused" is invalid: {told}')) == (1, True), said
    assert words.removeprefix("spec.rules[0].conditions[0].expression:2:") in said


@pytest.mark.parametrize("what", [name for name, (_, why, _) in REFUSED.items() if why == "InvalidPolicy"])
def test_the_words_are_those_of_the_operator(pdp: Bailiwick, reviewed: str, unreviewed: str, what: str) -> None:
    spec = REFUSED[what][0]
    said = refusal(pdp.callers.admin.create(policy(reviewed, "words", endpoint="words", **spec)))
    stored = policy(unreviewed, "words", endpoint="words", **spec)
    accepted(pdp.callers.admin.create(stored))
    answer = pdp.callers.admin.wait(stored, lambda answer: "conditions" in answer.body.get("status", {}), 15)
    told = condition(answer.body["status"], "Accepted")
    accepted(pdp.callers.admin.delete(stored))
    assert said.replace(reviewed, unreviewed) == f"{told['reason']}: {told['message']}"


def test_a_window_above_the_cap_is_refused_by_the_schema_already(pdp: Bailiwick, reviewed: str) -> None:
    gate = gated_rule(approval={"steps": STEPS[:1], "windowSeconds": 86401})
    answer = pdp.callers.admin.create(policy(reviewed, "window", endpoint="window", rules=[gate]))
    assert (answer.status, VALIDATING_WEBHOOK in answer.message) == (422, False)
    assert "windowSeconds" in answer.message


def test_what_is_likely_not_meant_is_a_warning_of_kubectl(pdp: Bailiwick, reviewed: str) -> None:
    gate = gated_rule(approval={"steps": STEPS[:1], "windowSeconds": 7200})
    answer = pdp.callers.admin.create(policy(reviewed, "long", endpoint="long", rules=[gate]))
    accepted(answer)
    assert "is valid for 7200 seconds" in warnings(answer)


def test_calls_that_get_further_are_a_warning_of_kubectl(pdp: Bailiwick, reviewed: str) -> None:
    config = f"--kubeconfig={pdp.cluster.kubeconfig('admin')}"

    def applied(*more: str, **spec: object) -> str:
        given = json.dumps(policy(reviewed, "further", endpoint="further", **spec))
        code, _, said = output(KUBECTL, config, "apply", *more, "-f", "-", given=given)
        assert code == 0, said
        return said

    hold = rule("hold", effect="Deny", actions=["customers.*"])
    listing = "Deny to Allow: sa:agents/crm-agent | customers.list | customer/*"
    assert f"Warning: permits more calls (rule read, new): {listing}" in applied("--server-side")
    assert "calls further" not in applied("--server-side", rules=[rule(), hold])
    for more in (["--server-side", "--dry-run=server"], ["--server-side"]):
        said = applied(*more, rules=[rule()])
        assert f"Warning: permits more calls (rule hold, removed): {listing}" in said
        assert "Warning: may permit more calls, where another policy allows them (rule hold, removed): " in said
    # Of what stays as it is nothing is told.
    assert "calls further" not in applied("--server-side", rules=[rule()])


def test_a_dry_run_is_judged_alike_and_leaves_nothing(pdp: Bailiwick, reviewed: str) -> None:
    admin = pdp.callers.admin
    accepted(admin.create(policy(reviewed, "dry", endpoint="dry"), dry_run=True))
    refusal(admin.create(policy(reviewed, "dry", endpoint="dry", rules=[BROKEN]), dry_run=True))
    assert admin.get(path(reviewed, "dry")).status == 404


class TestASecondPolicyWithTheSettingsOfAnEndpoint:
    def test_is_refused_and_told_of_the_first(self, pdp: Bailiwick, reviewed: str) -> None:
        self.carrier(pdp, reviewed, "twice", "twice-first")
        said = refusal(pdp.callers.admin.create(self.body(reviewed, "twice", "twice-second")))
        assert said == (
            "Conflicted: endpointSettings for twice are also in twice-first: keep them in exactly one policy; until"
            " then the endpoint denies every call"
        )

    def test_is_refused_where_settings_are_added_later(self, pdp: Bailiwick, reviewed: str) -> None:
        self.carrier(pdp, reviewed, "later", "later-first")
        accepted(pdp.callers.admin.create(policy(reviewed, "later-second", endpoint="later")))
        change = {"spec": {"endpointSettings": settings()}}
        said = refusal(pdp.callers.admin.patch(path(reviewed, "later-second"), change))
        assert said.startswith("Conflicted: ")

    def test_may_take_its_place_as_soon_as_it_is_deleted(self, pdp: Bailiwick, reviewed: str) -> None:
        self.carrier(pdp, reviewed, "moved", "moved-first")
        accepted(pdp.callers.admin.delete(path(reviewed, "moved-first")))
        accepted(pdp.callers.admin.create(self.body(reviewed, "moved", "moved-second")))

    def test_of_another_endpoint_is_none(self, pdp: Bailiwick, reviewed: str) -> None:
        self.carrier(pdp, reviewed, "one", "of-one")
        self.carrier(pdp, reviewed, "other", "of-other")

    def test_passes_with_the_first_where_both_come_at_once_and_both_are_told(
        self, pdp: Bailiwick, reviewed: str
    ) -> None:
        # Two that are sent at once still meet only now and then: on a busy machine the first is often in force already.
        for attempt in range(60):
            endpoint, start = f"race-{attempt}", threading.Barrier(2)

            def create(name: str) -> Answer:
                start.wait(10)  # noqa: B023 - of this attempt
                return pdp.callers.admin.create(self.body(reviewed, endpoint, name))  # noqa: B023 - likewise

            with ThreadPoolExecutor(2) as pool:
                answers = list(pool.map(create, [f"{endpoint}-a", f"{endpoint}-b"]))
            if all(answer.ok for answer in answers):
                break
            # At least one: neither waits for the other for ever.
            assert any(answer.ok for answer in answers)
        else:
            pytest.fail("one of the two was always known first")
        for name in (f"{endpoint}-a", f"{endpoint}-b"):
            until(
                lambda: self.accepted_as(pdp.callers.admin, reviewed, name) == "Conflicted",  # noqa: B023 - asked at once
                f"{name} is told",
            )

    def carrier(self, pdp: Bailiwick, namespace: str, endpoint: str, name: str) -> None:
        accepted(pdp.callers.admin.create(self.body(namespace, endpoint, name)))
        probe = self.body(namespace, endpoint, "probe")
        until(lambda: not pdp.callers.admin.create(probe, dry_run=True).ok, f"{name} is known")

    def body(self, namespace: str, endpoint: str, name: str) -> Object:
        return policy(namespace, name, endpoint=endpoint, endpointSettings=settings())

    def accepted_as(self, admin: Rest, namespace: str, name: str) -> str | None:
        status = accepted(admin.get(path(namespace, name))).get("status", {})
        return condition(status, "Accepted")["reason"] if "conditions" in status else None


def test_ab_33_the_same_is_asked_of_every_served_version_and_nothing_of_status(
    pdp: Bailiwick, reviewed: str, point: DecisionPoint
) -> None:
    admin = pdp.callers.admin
    definition = accepted(
        admin.get(f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{ENDPOINT_POLICIES}.{GROUP}")
    )
    served = [version["name"] for version in definition["spec"]["versions"] if version["served"]]
    assert served
    for version in served:
        body = policy(reviewed, f"of-{version}", endpoint=f"of-{version}", rules=[BROKEN])
        body["apiVersion"] = f"{GROUP}/{version}"
        refusal(admin.create(body))
        sound = changed(body, "spec.rules", [rule()])
        accepted(admin.create(sound))
        where = f"/apis/{GROUP}/{version}/namespaces/{reviewed}/{ENDPOINT_POLICIES}/of-{version}"
        refusal(admin.patch(where, {"spec": {"rules": [BROKEN]}}))
        before = reviews(point)
        # What is said of the spec there is not taken, and so not asked about.
        latest = accepted(admin.get(where))
        change = {"status": {"observedGeneration": 1}, "spec": {"rules": [BROKEN]}}
        assert accepted(admin.patch(where, change, "merge", "status"))["spec"] == latest["spec"]
        assert reviews(point) == before


def test_a_policy_as_large_as_the_schema_allows_is_stored_in_time(pdp: Bailiwick, reviewed: str) -> None:
    body = large(64, 4, 60, reviewed)
    body["spec"]["endpoint"] = "large"
    accepted(pdp.callers.admin.create(body))


def test_a_policy_that_would_take_too_much_is_not_stored(pdp: Bailiwick, reviewed: str) -> None:
    body = large(64, 16, 600, reviewed)
    body["spec"]["endpoint"] = "large"
    said = refusal(pdp.callers.admin.create(body))
    assert "OverBudget: the compiled policy needs 92.1 MiB, and the limit for one policy is 16.0 MiB" in said
    assert "shorten its conditions, or split it into several policies" in said


@pytest.mark.long
def test_a_policy_that_takes_too_long_is_not_stored(
    pdp: Bailiwick, tenants: Tenants, flags: tuple[str, ...], certificate: tuple[Path, Path]
) -> None:
    admin, namespace = pdp.callers.admin, tenants.namespaces.make("hurried")
    body = large(64, 16, 1200, namespace)
    # Nothing takes as long as that within the usual budget.
    boundless = pdp.start_point(*flags, *(f"--{each}budget-bytes=0" for each in ("", "namespace-", "policy-")))
    raw = registration(boundless.admission_port, certificate[0], namespace, timeout=1)
    with registered(admin, raw, namespace):
        # Dry: had it passed, every decision point would be busy with it for seconds.
        answer = admin.create(body, dry_run=True)
        assert answer.status == 500
        assert "failed calling webhook" in answer.message
        assert "unable to return a response in the time allotted" in answer.message
        # The next one is judged all the same, once the worker is free.
        until_ok(lambda: admin.create(policy(namespace, "next"), dry_run=True), "it goes on")
    process.stop([boundless.process.id])
