"""`bailiwick-webhook --policies DIR --issuers FILE`, the real process: without a cluster all prove who they are."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from joserfc.jwk import ECKey

from support.objects import AGENT, Object, gated_rule, policy, rule, settings, subject
from support.pdp.questions import Said
from support.pdp.standalone import Process
from unit.webhook.identity.forgery import compact, signing

CLUSTER: Final = "https://kubernetes.default.svc"
CORP: Final = "https://login.corp.example"
ENFORCER: Final = "system:serviceaccount:crm:crm-api"
KEY: Final = ECKey.generate_key("P-256", {"kid": "one"})
OTHER: Final = ECKey.generate_key("P-256", {"kid": "one"})
PEOPLES: Final = ECKey.generate_key("P-256", {"kid": "one"})
# Tokens are made when tests are collected, and the last of them may run much later.
LIFE: Final = 6 * 3600
DIGEST: Final = "sha256:" + "1" * 64


def token(
    username: str | None,
    audience: str,
    key: ECKey = KEY,
    *,
    issuer: str = CLUSTER,
    seconds: float = LIFE,
    **more: object,
) -> str:
    """Return a token as a cluster issues it, or as `more` says."""
    now = time.time()
    account = {"serviceaccount": {"name": "x", "uid": f"{username}-uid"}}
    claims = {"iss": issuer, "sub": username, "aud": [audience], "iat": now - 1, "exp": now + seconds}
    payload = {**claims, "kubernetes.io": account, **more}
    return compact({"alg": "ES256", "kid": key.kid}, payload, signing(key, "ES256"))


def enforcer(**more: Any) -> str:  # noqa: ANN401 - whatever `token` takes
    return token(ENFORCER, "bailiwick", **more)


def agents(**more: Any) -> dict[str, Any]:  # noqa: ANN401 - likewise
    """Return the context with the agent's own token."""
    return {"evidence": {"subject_token": token(AGENT, "crm-api.crm", **more)}}


def written() -> Object:
    workload = subject() | {"name": "pinned", "workload": {"imageDigests": [DIGEST]}}
    carol = {"name": "carol", "user": {"issuer": "corp", "name": "carol"}}
    rules = [
        rule(),
        rule("purge", subjects=["pinned"], actions=["customers.purge"]),
        rule("people", subjects=["carol"], actions=["customers.get"]),
        gated_rule(),
    ]
    own = settings() | {"identity": {"issuers": ["cluster", "corp"]}}
    return policy("crm", endpointSettings=own, subjects=[subject(), workload, carol], rules=rules)


def publish(folder: Path, name: str, *keys: ECKey) -> str:
    file = folder / f"{name}.json"
    file.write_text(json.dumps({"keys": [key.as_dict(private=False) for key in keys]}))
    return file.name


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("standalone")


@pytest.fixture(scope="module")
def point(folder: Path) -> Iterator[Process]:
    policies = folder / "policies"
    policies.mkdir()
    (policies / "crm.yaml").write_text(yaml.safe_dump(written()))
    issuers = [
        {"name": "cluster", "issuer": CLUSTER, "jwksFile": publish(folder, "cluster", KEY)},
        {"name": "corp", "issuer": CORP, "jwksFile": publish(folder, "corp", PEOPLES)},
    ]
    (folder / "issuers.yaml").write_text(yaml.safe_dump({"issuers": issuers}))
    with (folder / "log").open("wb") as log:
        process = Process(folder, policies, log, "--issuers", str(folder / "issuers.yaml"))
        yield process
        assert process.stop() == 0


def said(answer: Said) -> tuple[int, bool | None, str | None]:
    return answer.status, answer.decision, answer.reason


def test_an_enforcer_and_a_subject_with_tokens_are_answered_as_the_policy_says(point: Process) -> None:
    answer = point.ask(token=enforcer(), context=agents())
    assert said(answer) == (200, True, "allowed")
    assert "development" not in answer.context
    assert said(point.ask("customers.drop", token=enforcer(), context=agents())) == (200, False, "no_rule")


def test_nobody_is_told_more_than_the_answer(point: Process) -> None:
    answer = point.ask(token=enforcer(), context=agents() | {"explain": True})
    assert set(answer.context["explanation"]) == {"withheld"}


def test_a_subject_asks_about_itself_with_its_own_token(point: Process) -> None:
    assert said(point.ask(token=token(AGENT, "bailiwick"))) == (200, True, "allowed")


def test_a_person_shows_a_token_of_another_issuer(point: Process) -> None:
    shown = {"evidence": {"subject_token": token("carol", "crm-api.crm", PEOPLES, issuer=CORP)}}
    carol = {"type": "user", "id": "carol"}
    answer = point.ask("customers.get", token=enforcer(), subject=carol, context=shown)
    assert said(answer) == (200, True, "allowed")


@pytest.mark.parametrize(
    "authorization",
    [
        pytest.param(None, id="none"),
        pytest.param(enforcer(key=OTHER), id="signed by another key of the same name"),
        pytest.param(enforcer(seconds=-1), id="expired"),
        pytest.param(enforcer(nbf=time.time() + LIFE), id="not valid yet"),
        pytest.param(token(ENFORCER, "crm-api.crm"), id="for another audience"),
        pytest.param(enforcer(issuer=CORP), id="in the name of another issuer"),
        pytest.param(token(ENFORCER, "bailiwick", PEOPLES, issuer=CORP), id="of another issuer"),
        pytest.param(token("carol", "bailiwick"), id="of no service account"),
        pytest.param(token(None, "bailiwick"), id="of nobody"),
        pytest.param(enforcer(**{"kubernetes.io": {}}), id="without a uid"),
        pytest.param(enforcer(**{"kubernetes.io": {"serviceaccount": {"uid": 7}}}), id="with a uid that is none"),
        pytest.param(enforcer(cnf={"jkt": "x"}), id="bound to a key"),
        pytest.param("not.a.token", id="no token"),
    ],
)
def test_a_caller_who_proves_nothing_is_401(point: Process, authorization: str | None) -> None:
    answer = point.ask(token=authorization, context=agents())
    assert (answer.status, answer.decision) == (401, None)


@pytest.mark.parametrize(
    ("context", "reason"),
    [
        pytest.param({}, "identity_invalid", id="none"),
        pytest.param(agents(key=OTHER), "identity_invalid", id="signed by another key"),
        pytest.param(agents(seconds=-1), "identity_invalid", id="expired"),
        pytest.param(
            {"evidence": {"subject_token": token(AGENT, "bailiwick")}}, "audience_mismatch", id="for another audience"
        ),
        pytest.param(
            {"evidence": {"subject_token": token("system:serviceaccount:agents:other", "crm-api.crm")}},
            "identity_invalid",
            id="of somebody else",
        ),
        pytest.param(agents(cnf={"x5t#S256": "x"}), "possession_unproven", id="bound to a certificate"),
    ],
)
def test_a_subject_who_proves_nothing_is_denied(point: Process, context: object, reason: str) -> None:
    assert said(point.ask(token=enforcer(), context=context)) == (200, False, reason)


def test_a_stranger_learns_nothing(point: Process) -> None:
    stranger = token("system:serviceaccount:crm:other", "bailiwick")
    assert point.ask(token=stranger, context=agents()).status == 403


def test_a_workload_is_not_known_without_a_cluster_and_denies(point: Process) -> None:
    answer = point.ask("customers.purge", token=enforcer(), context=agents())
    assert said(answer) == (200, False, "workload_unapproved")


def test_a_gated_action_needs_an_approval_that_nobody_can_be_asked_for(point: Process) -> None:
    answer = point.ask("customers.export", token=enforcer(), context=agents())
    assert (*said(answer), answer.context["next_action"]) == (200, False, "approval_required", "none")
