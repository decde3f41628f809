"""Approvals with `--development`, the real process: what protects nothing exists only there."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
import requests
import yaml
from joserfc.jwk import ECKey

from bailiwick_webhook.identity.development import NOTICE
from support.objects import gated_rule, policy, rule, settings
from support.pdp import questions
from support.pdp.development import Development
from support.pdp.standalone import Process
from support.pdp.tenant import PLENTY, STEPS

GATED: Final = gated_rule(approval={"steps": STEPS, "limits": PLENTY})
# Writes each module to stderr when it is imported.
TELLING: Final = (sys.executable, "-X", "importtime", "-m", "bailiwick_webhook")


def written(folder: Path) -> Path:
    policies = folder / "policies"
    policies.mkdir()
    token = gated_rule(
        "shown", actions=["customers.show"], approval={"steps": STEPS, "presentation": "Token", "limits": PLENTY}
    )
    on_deny = gated_rule(
        "asks", actions=["customers.asks"], approval={"steps": STEPS, "open": "OnDeny", "limits": PLENTY}
    )
    made = policy("crm", endpointSettings=settings(), rules=[rule(), GATED, token, on_deny])
    (policies / "crm.yaml").write_text(yaml.safe_dump(made))
    return policies


@pytest.fixture(scope="module")
def development(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Development]:
    folder = tmp_path_factory.mktemp("development")
    with (folder / "log").open("wb") as log:
        point = Process(folder, written(folder), log, command=TELLING)
        yield Development(point)
        assert point.stop() == 0


@pytest.fixture(scope="module")
def proving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Development]:
    """A decision point without a cluster, whose callers prove their identity."""
    folder = tmp_path_factory.mktemp("proving")
    key = ECKey.generate_key("P-256", {"kid": "k", "alg": "ES256", "use": "sig"}, private=True)
    (folder / "keys.json").write_text(json.dumps({"keys": [key.as_dict(private=False)]}))
    issuers = [{"name": "cluster", "issuer": "https://cluster.example", "jwksFile": "keys.json"}]
    (folder / "issuers.yaml").write_text(yaml.safe_dump({"issuers": issuers}))
    with (folder / "log").open("wb") as log:
        point = Process(folder, written(folder), log, "--issuers", str(folder / "issuers.yaml"), command=TELLING)
        yield Development(point)
        assert point.stop() == 0


def opened(development: Development, resource: str, action: str = "customers.export") -> str:
    said = development.ask(action, resource, path="requests")
    assert said.status == 202, said
    return str(said.task["id"])


def test_every_answer_about_an_approval_says_that_it_protects_nothing(development: Development) -> None:
    denied = development.ask("customers.export", "told")
    task = opened(development, "told")
    answers = [development.poll(task), development.review(task), development.poll(task)]
    allowed = development.ask("customers.export", "told")
    assert {answer.body["development"] for answer in answers} == {NOTICE}
    assert {answer.context["development"] for answer in (denied, allowed)} == {NOTICE}
    assert [answer.task["status"] for answer in answers] == ["pending", "approved", "approved"]


def test_a_review_without_a_task_is_of_the_only_request_that_is_pending(development: Development) -> None:
    assert development.review(None).status == 409
    only = opened(development, "only")
    assert development.review(None).task["id"] == only
    several = {opened(development, f"several-{number}") for number in range(2)}
    refused = development.review(None)
    assert (refused.status, {one["id"] for one in refused.body["tasks"]}) == (409, several)
    assert "2 requests are pending: name one" in refused.body["detail"]
    for task in several:
        assert development.review(task, decision="Deny").task["status"] == "denied"


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"reviewer": ""}, "reviewer"),
        ({"groups": "crm-owners"}, "groups"),
        ({"groups": [1]}, "groups"),
        ({"groups": ["g"] * 65}, "groups"),
        ({"decision": "approve"}, "decision"),
        ({"decision": True}, "decision"),
        ({"reason": 1}, "reason"),
        ({"task": 1}, "task"),
        ({"step": "owner"}, "step"),
    ],
)
def test_a_review_that_is_malformed_is_refused_by_its_field(
    development: Development, more: dict[str, object], field: str
) -> None:
    body = {"reviewer": "carol", "groups": ["crm-owners"], "decision": "Approve", **more}
    said = questions.post(development.reviews, body, None)
    assert (said.status, said.body["field"]) == (400, field)


def test_a_page_in_a_browser_cannot_review(development: Development) -> None:
    task = opened(development, "page")
    body = {"reviewer": "carol", "groups": ["crm-owners"], "decision": "Approve", "task": task}
    for headers in ({"Origin": "http://127.0.0.1:8443"}, {"Origin": "null"}):
        assert questions.post(development.reviews, body, None, headers).status == 403
    plain = requests.post(development.reviews, json.dumps(body), headers={"Content-Type": "text/plain"}, timeout=10)
    assert plain.status_code == 400
    assert development.poll(task).task["status"] == "pending"
    development.review(task, decision="Deny")


def test_a_request_of_another_endpoint_is_not_reviewed(development: Development) -> None:
    task = opened(development, "elsewhere")
    url = development.reviews.replace("crm-api", "other-api")
    body = {"reviewer": "carol", "groups": ["crm-owners"], "decision": "Approve", "task": task}
    assert questions.post(url, body, None).status == 409
    development.review(task, decision="Deny")


def test_a_rule_that_wants_the_token_shown_gets_one_that_verifies(development: Development) -> None:
    task = opened(development, "shown", "customers.show")
    approval = development.review(task).task["result"]["approval"]
    assert development.ask("customers.show", "shown").reason == "approval_token_required"
    shown = {"id": approval["id"], "state": approval["state"]}
    assert development.ask("customers.show", "shown", approval=shown).decision is True
    forged = {**shown, "state": approval["state"][:-6] + "AAAAAA"}
    assert development.ask("customers.show", "shown", approval=forged).decision is False


def test_a_denial_that_asks_by_itself_is_reviewed(development: Development) -> None:
    denied = development.ask("customers.asks", "itself")
    assert denied.reason == "approval_pending"
    assert development.review(None).status == 200
    assert development.ask("customers.asks", "itself").decision is True


class TestWithoutTheFlag:
    def test_the_path_of_reviews_is_unknown(self, development: Development, proving: Development) -> None:
        body = {"reviewer": "carol", "decision": "Approve"}
        unknown = questions.post(development.reviews.replace("reviews", "unheard"), body, None)
        for token in (None, "a.b.c"):
            said = questions.post(proving.reviews, body, token)
            assert (said.status, said.raw) == (404, unknown.raw)
        for method in ("GET", "PUT", "PATCH", "DELETE", "OPTIONS"):
            assert requests.request(method, proving.reviews, timeout=10).status_code == 404

    def test_no_module_of_it_is_loaded(self, development: Development, proving: Development) -> None:
        for module in ("bailiwick_webhook.development.grantmemory", "bailiwick_webhook.http.development"):
            assert loads(development, module)
        assert not loads(proving, "bailiwick_webhook.development")
        assert not loads(proving, "bailiwick_webhook.http.development")
        assert loads(proving, "bailiwick_webhook.http.app")


def loads(development: Development, module: str) -> bool:
    """Tell whether the process has imported a module, or one below it."""
    lines = development.point.log.read_text().splitlines()
    imported = {line.rpartition("|")[2].strip() for line in lines if line.startswith("import time:")}
    return any(name == module or name.startswith(f"{module}.") for name in imported)
