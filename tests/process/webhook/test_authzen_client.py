"""An AuthZEN client that somebody else wrote, unmodified, as the page on it shows: what it needs to be answered."""

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from decern import Client, DecernError, Decision  # type: ignore[import-untyped]  # the library has no types

from support.objects import AGENT, Object, policy, rule, subject
from support.pages import blocks
from support.pdp.standalone import Process
from support.proxies.scene import SERVER_NAME, Scene

ENFORCER = "system:serviceaccount:crm:crm-api"
WHO = {"type": "serviceAccount", "id": AGENT}
WHAT = {"type": "customer", "id": "7"}


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return Scene(tmp_path_factory.mktemp("client"))


def asserted() -> Object:
    """Return a policy of another endpoint, where the client's word is taken."""
    settings = {
        "enforcers": [{"namespace": "crm", "name": "crm-api"}],
        "identity": {"verification": "Asserted"},
    }
    made = policy("crm", "by-word", subjects=[subject()], rules=[rule()], endpointSettings=settings)
    made["spec"]["endpoint"] = "by-word"
    return made


@pytest.fixture(scope="module")
def point(scene: Scene, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    folder = tmp_path_factory.mktemp("point")
    policies = folder / "policies"
    policies.mkdir()
    shutil.copy(Path(__file__).parents[3] / "examples" / "quickstart" / "policy.yaml", policies / "crm.yaml")
    (policies / "by-word.yaml").write_text(yaml.safe_dump(asserted()))
    tls = ("--tls-cert-file", str(scene.serving.certificate), "--tls-key-file", str(scene.serving.key))
    with (folder / "log").open("wb") as log:
        process = Process(folder, policies, log, "--issuers", str(scene.folder / "issuers.yaml"), *tls)
        yield process
        assert process.stop() == 0


@pytest.fixture(autouse=True)
def _trusting(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(scene.authority.bundle))


@pytest.fixture
def client(scene: Scene, point: Process) -> Callable[..., Client]:
    def made(endpoint: str = "crm-api", token: str | None = None) -> Client:
        own = scene.token(ENFORCER, "bailiwick") if token is None else token
        return Client(f"https://127.0.0.1:{point.port}/endpoints/crm/{endpoint}", token=own)

    return made


def evidence(scene: Scene, **claims: Any) -> Object:  # noqa: ANN401 - arguments of a token
    return {"evidence": {"subject_token": scene.token(**claims)}}


def page() -> str:
    (block,) = blocks("how-to/authzen-client.md", "python")
    return block


@pytest.mark.parametrize(("action", "reason"), [("customers.list", None), ("customers.purge", "no_rule")])
def test_what_the_page_shows_runs(scene: Scene, point: Process, action: str, reason: str | None) -> None:
    shown = page().replace(f"https://{SERVER_NAME}/", f"https://127.0.0.1:{point.port}/")
    assert shown != page()
    names = {"enforcer_token": scene.token(ENFORCER, "bailiwick"), "subject_token": scene.token()}
    code = compile(shown.replace("customers.list", action), "authzen-client.md", "exec")
    if reason is None:
        exec(code, names)  # noqa: S102 - a block of ours
        return
    with pytest.raises(PermissionError, match=reason):
        exec(code, names)  # noqa: S102 - a block of ours


def test_what_the_page_shows_takes_no_dry_run_for_an_allow(
    scene: Scene, point: Process, client: Callable[..., Client]
) -> None:
    # A client that has only the subject's own token, and so asks about itself.
    own = scene.token(audience="bailiwick")
    asked = client(token=own).evaluate(WHO, "customers.list", WHAT)
    assert asked.allowed
    assert asked.context is not None
    assert asked.context["dry_run"] is True
    shown = page().replace(f"https://{SERVER_NAME}/", f"https://127.0.0.1:{point.port}/")
    shown, replaced = re.subn(r"    context=.*\n", "", shown)
    assert replaced == 1
    with pytest.raises(PermissionError):
        exec(shown, {"enforcer_token": own})  # noqa: S102 - a block of ours


def test_a_subject_that_nothing_proves_is_denied_unless_the_clients_word_is_taken(
    scene: Scene, client: Callable[..., Client]
) -> None:
    def reason(decision: Decision) -> Any:  # noqa: ANN401 - any JSON value
        assert not decision.allowed
        assert decision.context is not None
        return decision.context["reason"]

    assert reason(client().evaluate(WHO, "customers.list", WHAT)) == "identity_invalid"
    other = evidence(scene, audience="other.crm")
    assert reason(client().evaluate(WHO, "customers.list", WHAT, other)) == "audience_mismatch"
    assert client("by-word").evaluate(WHO, "customers.list", WHAT).allowed
    assert reason(client("by-word").evaluate(WHO, "customers.purge", WHAT)) == "no_rule"


def test_a_denial_that_an_approval_would_lift_says_so_in_what_the_client_passes_on(
    scene: Scene, client: Callable[..., Client]
) -> None:
    decision = client().evaluate(WHO, "customers.export", WHAT, evidence(scene))
    assert not decision.allowed
    assert decision.context is not None
    assert decision.context["reason"] == "approval_required"
    assert decision.context["reason_user"]


@pytest.mark.parametrize(("token", "status"), [("nothing", 401), ("", 401)])
def test_a_client_that_is_not_proven_gets_no_decision(client: Callable[..., Client], token: str, status: int) -> None:
    with pytest.raises(DecernError) as failed:
        client(token=token).evaluate(WHO, "customers.list", WHAT)
    assert failed.value.status_code == status


def test_a_client_that_the_endpoint_does_not_name_gets_no_decision(scene: Scene, client: Callable[..., Client]) -> None:
    stranger = client(token=scene.token("system:serviceaccount:crm:stranger", "bailiwick"))
    with pytest.raises(DecernError) as failed:
        stranger.evaluate(WHO, "customers.list", WHAT)
    assert failed.value.status_code == 403
