"""Signed reviews by the command line, on a real API server with an operator and a decision point that know a registrar.

Holds: `ssh-keygen -Y verify` judges what is stored; what counts, the operator and the decision point say.
"""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import pytest

from bailiwick_governance.signing.enrolment import parse_enrolment
from support import commandline
from support.commandline import Ran
from support.objects import gated_rule
from support.pdp.tenant import PLENTY, STEPS, Tenant
from support.signing.registrarstack import SignedInstallation
from support.signing.sshkeygen import SshOracle, made_key, public_line, signed_by
from support.signing.statements import stored_statement
from support.signing.storedkeys import reader_role
from support.waits import until

WHY: Final = "seen with the customer"
REASON: Final = ("--reason", WHY)
REVIEW: Final = "review@bailiwick.dev"

Cli = Callable[..., Ran]


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SignedInstallation]:
    with ExitStack() as closing:
        yield SignedInstallation.begin(closing, tmp_path_factory.mktemp("registrar"))


@pytest.fixture(scope="module")
def tenant(installation: SignedInstallation) -> Tenant:
    rules = [
        gated_rule(
            name,
            actions=[f"customers.{name}"],
            approval={"steps": [{**STEPS[0], "signature": signature}], "limits": PLENTY},
        )
        for name, signature in (("export", "Key"), ("merge", "Required"))
    ]
    plain = gated_rule("plain", actions=["customers.plain"], approval={"steps": STEPS, "limits": PLENTY})
    return installation.tenants.make("signed", [*rules, plain])


@pytest.fixture
def cli(tenant: Tenant) -> Cli:
    def run(person: str, *arguments: str, given: str = "") -> Ran:
        kubeconfig = tenant.cluster.kubeconfig(person)
        return commandline.run("-n", tenant.namespace, *arguments, kubeconfig=kubeconfig, given=given)

    return run


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_key(tmp_path_factory.mktemp("carol") / "key", "laptop")


@pytest.fixture(scope="module")
def enrolled(installation: SignedInstallation, tenant: Tenant, key: Path) -> Path:
    """Carol's key, enrolled as she and a registrar do it."""
    kubeconfig = tenant.cluster.kubeconfig("carol")
    ran = commandline.run("reviewers", "request", "--key", str(key), kubeconfig=kubeconfig)
    assert ran.code == 0, ran
    installation.enrol(parse_enrolment(ran.out).line)
    return key


def opened(tenant: Tenant, resource: str, action: str = "customers.export") -> str:
    name = tenant.opened(action, resource)
    until(lambda: "status" in tenant.grant(name), f"{name} was seen")
    return name


def confirmed(tenant: Tenant, name: str) -> tuple[str, ...]:
    digest: str = tenant.grant(name)["spec"]["request"]["binding"]["digest"]
    return (*REASON, "--yes", "--binding", digest.removeprefix("sha256:")[:8])


@pytest.mark.invariant(30)
def test_an_approval_that_an_enrolled_key_signed_counts(
    tenant: Tenant, cli: Cli, enrolled: Path, tmp_path: Path
) -> None:
    name = opened(tenant, "signed")
    ran = cli("carol", "approve", name, *confirmed(tenant, name), "--key", str(enrolled))
    assert (ran.code, ran.out) == (0, f"approvalgrant.bailiwick.dev/{name} approved\n"), ran
    # What is signed is shown before.
    assert "You sign this statement:" in ran.err
    for said in (name, "carol", tenant.grant(name)["metadata"]["uid"]):
        assert said in ran.err.partition("You sign this statement:")[2], said
    until(lambda: tenant.phase(name) == "Active", f"{name} is active")
    stored = tenant.grant(name)
    (review,) = stored["spec"]["reviews"]
    oracle = SshOracle(tmp_path, f"carol {public_line(enrolled)}\n")
    assert oracle.accepts("carol", REVIEW, stored_statement(stored, review), review["signature"])
    shown = cli("carol", "show", name)
    assert "signed by SHA256:" in shown.out, shown
    assert tenant.ask("customers.export", "signed").body["decision"] is True


@pytest.mark.invariant(30)
def test_the_same_approval_without_a_signature_or_with_another_key_does_not_count(
    tenant: Tenant, cli: Cli, enrolled: Path, tmp_path: Path
) -> None:
    name = opened(tenant, "unsigned")
    bare = cli("carol", "approve", name, *confirmed(tenant, name))
    assert (bare.code, "needs a signature by your own enrolled key: give it with --key" in bare.err) == (2, True), bare
    # Nor does the API server take it from another client.
    refused = tenant.review(name)
    assert (refused.ok, "approve this step with a signature" in str(refused.body)) == (False, True), refused
    other = made_key(tmp_path / "other")
    ran = cli("carol", "approve", name, *confirmed(tenant, name), "--key", str(other))
    assert (ran.code, "not known here: you may not read ConfigMap bailiwick-reviewers" in ran.err) == (0, True), ran
    until(lambda: tenant.grant(name)["status"].get("voided"), "the review is void")
    assert tenant.phase(name) == "Pending"
    assert tenant.ask_itself("customers.export", "unsigned").body["decision"] is False


def test_whoever_can_read_the_keys_is_told_before_that_theirs_does_not_count(
    installation: SignedInstallation, tenant: Tenant, cli: Cli, tmp_path: Path
) -> None:
    reader_role(installation.bailiwick.callers.admin, installation.bailiwick.installation.namespace, "erin")
    name = opened(tenant, "told")
    ran = cli("erin", "approve", name, *confirmed(tenant, name), "--key", str(made_key(tmp_path / "other")))
    assert (ran.code, "is not enrolled for erin: a registrar must enrol it" in ran.err) == (2, True), ran
    assert tenant.grant(name)["spec"]["reviews"] == []


@pytest.mark.invariant(30)
def test_what_statement_prints_is_signed_elsewhere(tenant: Tenant, cli: Cli, enrolled: Path, tmp_path: Path) -> None:
    name = opened(tenant, "elsewhere")
    printed = cli("carol", "statement", name, "--step", "owner", *REASON)
    assert printed.code == 0, printed
    file = tmp_path / "statement.sig"
    file.write_text(signed_by(enrolled, REVIEW, printed.out.encode()))
    # Over other words, it is no signature of this approval.
    step = ("--step", "owner", "--signature", str(file))
    others = [word if word != WHY else "other words" for word in confirmed(tenant, name)]
    wrong = cli("carol", "approve", name, *others, *step)
    assert (wrong.code, "over something else than this review" in wrong.err) == (2, True), wrong
    assert tenant.grant(name)["spec"]["reviews"] == []
    assert cli("carol", "approve", name, *confirmed(tenant, name), *step).code == 0
    stored = tenant.grant(name)
    assert stored_statement(stored, stored["spec"]["reviews"][0]) == printed.out.encode()
    until(lambda: tenant.phase(name) == "Active", f"{name} is active")
    # The same signature is none of another grant.
    second = opened(tenant, "elsewhere-again")
    replayed = cli("carol", "approve", second, *confirmed(tenant, second), *step)
    assert (replayed.code, "over something else than this review" in replayed.err) == (2, True), replayed


@pytest.mark.invariant(30)
def test_a_key_that_verifies_nobody_is_refused_where_the_step_asks_for_that(
    tenant: Tenant, cli: Cli, enrolled: Path
) -> None:
    name = opened(tenant, "required", "customers.merge")
    ran = cli("carol", "approve", name, *confirmed(tenant, name), "--key", str(enrolled))
    assert (ran.code, "needs a key that verifies its user" in ran.err) == (2, True), ran
    assert tenant.grant(name)["spec"]["reviews"] == []


def test_a_step_that_takes_no_signature_gets_none(tenant: Tenant, cli: Cli, enrolled: Path) -> None:
    name = opened(tenant, "plain", "customers.plain")
    ran = cli("carol", "approve", name, *confirmed(tenant, name), "--key", str(enrolled))
    assert (ran.code, "takes no signature: leave the flag out" in ran.err) == (2, True), ran
    assert cli("carol", "statement", name).code == 2
    assert cli("carol", "approve", name, *confirmed(tenant, name)).code == 0
    until(lambda: tenant.phase(name) == "Active", f"{name} is active")


def test_a_denial_needs_no_signature(tenant: Tenant, cli: Cli) -> None:
    name = opened(tenant, "denied")
    assert cli("dave", "deny", name, *confirmed(tenant, name)).code == 0
    until(lambda: tenant.phase(name) == "Denied", f"{name} is denied")


def test_an_agent_that_holds_the_key_signs(tenant: Tenant, enrolled: Path, tmp_path: Path) -> None:
    name = opened(tenant, "agent")
    public = tmp_path / "key.pub"
    public.write_text(public_line(enrolled) + "\n")
    socket = tmp_path / "agent"
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", str(socket)], stdout=subprocess.DEVNULL)
    try:
        until(socket.exists, "the agent listens")
        env = {"SSH_AUTH_SOCK": str(socket)}
        subprocess.run(["ssh-add", "-q", str(enrolled)], env=env, check=True, timeout=60)
        approve = ("-n", tenant.namespace, "approve", name, *confirmed(tenant, name), "--key", str(public))
        ran = commandline.run(*approve, kubeconfig=tenant.cluster.kubeconfig("carol"), env=env)
    finally:
        agent.terminate()
        agent.wait(20)
    assert ran.code == 0, ran
    until(lambda: tenant.phase(name) == "Active", f"{name} is active")
