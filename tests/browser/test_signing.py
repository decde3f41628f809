"""A person signs an approval with a passkey, in a real browser with a virtual authenticator, on the local console.

Standing: on a real API server; `ssh-keygen -Y verify` judges what is stored. Holds: one passkey outlives the runs of
the console, whose names differ.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from support.console import consoleprocess
from support.console.axe import violations
from support.console.browser import OTHER_RP, Opens, arrived, follow, on_the_page, opened, read_through
from support.console.consoleprocess import RunningConsole
from support.console.virtualauthenticator import VirtualAuthenticator
from support.objects import gated_rule
from support.pdp.tenant import PLENTY, STEPS, Tenant
from support.signing.registrarstack import SignedInstallation
from support.signing.sshkeygen import SshOracle
from support.signing.statements import stored_statement
from support.signing.storedkeys import reader_role
from support.waits import until

if TYPE_CHECKING:
    from playwright.sync_api import Page

WHY: Final = "seen with the customer"
SIGNED: Final = [{**STEPS[0], "signature": "Required"}]
REASON: Final = "Reason (recorded; required to approve)"
SIGN: Final = "Sign and approve"


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SignedInstallation]:
    with ExitStack() as closing:
        yield SignedInstallation.begin(closing, tmp_path_factory.mktemp("registrar"))


@pytest.fixture(scope="module")
def tenant(installation: SignedInstallation) -> Tenant:
    rules = [gated_rule("export", actions=["customers.export"], approval={"steps": SIGNED, "limits": PLENTY})]
    return installation.tenants.make("signed", rules)


@pytest.fixture
def console(installation: SignedInstallation, tenant: Tenant) -> Opens:
    reader_role(installation.bailiwick.callers.admin, installation.bailiwick.installation.namespace, "group:crm-owners")

    def open_(person: str, *arguments: str) -> AbstractContextManager[RunningConsole]:
        known = ("--registrar-keys", str(installation.registrar_keys))
        kubeconfig = tenant.cluster.kubeconfig(person)
        return consoleprocess.started("-n", tenant.namespace, *known, *arguments, kubeconfig=kubeconfig)

    return open_


def registered(page: "Page") -> str:
    """Register a passkey on the open console, and return the text for a registrar."""
    follow(page, page.get_by_role("link", name="Register a passkey"))
    follow(page, page.get_by_role("button", name="Make a passkey for"))
    arrived(page, "Sign your enrolment")
    follow(page, page.get_by_role("button", name="Sign this line"))
    arrived(page, "Send this to a registrar")
    return page.get_by_label("Your line and your proof:").input_value()


def to_sign(page: "Page", resource: str) -> None:
    """Go from the open page of a grant to the one on which it is signed."""
    read_through(page)
    page.get_by_label(REASON).fill(WHY)
    follow(page, page.get_by_role("button", name="Approve", exact=True))
    arrived(page, f"Sign your approval of customers.export on customer/{resource}")


@pytest.mark.invariant(30)
def test_a_passkey_is_registered_enrolled_and_signs_what_counts(
    installation: SignedInstallation, tenant: Tenant, console: Opens, page: "Page", tmp_path: Path
) -> None:
    authenticator = VirtualAuthenticator(page)
    name = opened(tenant, "customers.export", "signed")
    with console("carol") as running:
        on_the_page(page, running.url, "customers.export", "signed")
        line, _, proof = registered(page).partition("\n")
        (credential,) = authenticator.credentials
        assert (credential["rpId"], credential["isResidentCredential"]) == ("bailiwick.localhost", True)
        enrolling = SshOracle(tmp_path, line.replace("review@", "enrol@") + "\n")
        assert enrolling.accepts("carol", "enrol@bailiwick.dev", f"{line}\n".encode(), proof)
        # Until a registrar enrols it, it signs nothing that is written.
        page.goto(f"http://{running.site.host}/grants/{tenant.namespace}/{name}")
        to_sign(page, "signed")
        follow(page, page.get_by_role("button", name=SIGN))
        page.get_by_text("no passkey that is enrolled for you").wait_for()
        assert tenant.grant(name)["spec"]["reviews"] == []
    installation.enrol(line)
    # Another run, of another name.
    with console("carol") as running:
        on_the_page(page, running.url, "customers.export", "signed")
        to_sign(page, "signed")
        follow(page, page.get_by_role("button", name=SIGN))
        page.get_by_text("You approved it.").wait_for()
        until(lambda: tenant.phase(name) == "Active", f"{name} is active")
        page.reload()
        page.get_by_text("(verified)").wait_for()
        page.get_by_text("signed by SHA256:").wait_for()
    stored = tenant.grant(name)
    (review,) = stored["spec"]["reviews"]
    oracle = SshOracle(tmp_path, f"{line}\n")
    assert oracle.accepts("carol", "review@bailiwick.dev", stored_statement(stored, review), review["signature"])
    assert tenant.ask("customers.export", "signed").body["decision"] is True


@pytest.mark.invariant(30)
def test_without_a_verified_user_there_is_no_signature(
    installation: SignedInstallation, tenant: Tenant, console: Opens, page: "Page"
) -> None:
    authenticator = VirtualAuthenticator(page)
    name = opened(tenant, "customers.export", "unverified")
    with console("dave") as running:
        on_the_page(page, running.url, "customers.export", "unverified")
        installation.enrol(registered(page).partition("\n")[0])
        authenticator.verify_user(verified=False)
        page.goto(f"http://{running.site.host}/grants/{tenant.namespace}/{name}")
        to_sign(page, "unverified")
        page.get_by_role("button", name=SIGN).click()
        page.get_by_text("There is no signature:").wait_for()
        assert tenant.grant(name)["spec"]["reviews"] == []
        # The page can be used again.
        authenticator.verify_user(verified=True)
        follow(page, page.get_by_role("button", name=SIGN))
        page.get_by_text("You approved it.").wait_for()


@pytest.mark.invariant(30)
@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("rpId", OTHER_RP, "There is no signature:"),
        ("challenge", "U1NIU0lH", "no passkey that is enrolled for you signed this statement"),
    ],
    ids=["another RP", "another statement"],
)
def test_a_page_that_asks_for_something_else_has_nothing_written(
    installation: SignedInstallation, tenant: Tenant, console: Opens, page: "Page", name: str, value: str, said: str
) -> None:
    VirtualAuthenticator(page)
    grant = opened(tenant, "customers.export", f"forged-{name.lower()}")
    with console("erin") as running:
        on_the_page(page, running.url, "customers.export", f"forged-{name.lower()}")
        installation.enrol(registered(page).partition("\n")[0])
        page.goto(f"http://{running.site.host}/grants/{tenant.namespace}/{grant}")
        to_sign(page, f"forged-{name.lower()}")
        page.evaluate(f"document.getElementById('passkey').dataset.{name} = '{value}'")
        page.get_by_role("button", name=SIGN).click()
        page.get_by_text(said).wait_for()
        assert tenant.grant(grant)["spec"]["reviews"] == []


@pytest.mark.invariant(30)
def test_a_signature_of_another_grant_is_replayed_in_vain(
    installation: SignedInstallation, tenant: Tenant, console: Opens, page: "Page"
) -> None:
    VirtualAuthenticator(page)
    first, second = (opened(tenant, "customers.export", one) for one in ("replayed", "victim"))
    fields = ("authenticator", "client", "signature")
    with console("dave") as running:
        on_the_page(page, running.url, "customers.export", "replayed")
        installation.enrol(registered(page).partition("\n")[0])
        page.goto(f"http://{running.site.host}/grants/{tenant.namespace}/{first}")
        to_sign(page, "replayed")
        # What is sent is kept instead.
        page.evaluate("HTMLFormElement.prototype.submit = () => (document.title = 'kept')")
        page.get_by_role("button", name=SIGN).click()
        page.wait_for_function("document.title === 'kept'")
        kept = {one: page.locator(f"#passkey [name={one}]").input_value() for one in fields}
        page.goto(f"http://{running.site.host}/grants/{tenant.namespace}/{second}")
        to_sign(page, "victim")
        for one, value in kept.items():
            page.evaluate(f"value => document.forms.passkey.elements.{one}.value = value", value)
        with page.expect_navigation():
            page.evaluate("document.forms.passkey.submit()")
        page.get_by_text("no passkey that is enrolled for you signed this statement").wait_for()
    assert [tenant.grant(one)["spec"]["reviews"] for one in (first, second)] == [[], []]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1100, 320])
def test_no_page_of_signing_has_a_violation(
    tenant: Tenant,
    console: Opens,
    page: "Page",
    scheme: Any,  # noqa: ANN401 - a literal
    width: int,
) -> None:
    VirtualAuthenticator(page)
    resource = f"axe-{scheme}-{width}"
    name = opened(tenant, "customers.export", resource)
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 900})
    seen: dict[str, list[str]] = {}

    def look(what: str) -> None:
        seen[what] = violations(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, what

    with console("carol") as running:
        on_the_page(page, running.url, "customers.export", resource)
        follow(page, page.get_by_role("link", name="Register a passkey"))
        look("register")
        follow(page, page.get_by_role("button", name="Make a passkey for"))
        look("prove")
        follow(page, page.get_by_role("button", name="Sign this line"))
        look("send")
        page.goto(f"http://{running.site.host}/grants/{tenant.namespace}/{name}")
        to_sign(page, resource)
        look("sign")
        follow(page, page.get_by_role("button", name=SIGN))
        look("refused")
    assert {what: found for what, found in seen.items() if found} == {}
    assert len(seen) == 5


@pytest.mark.parametrize("context", [False], ids=["without scripts"], indirect=True)
def test_without_scripts_the_page_says_what_else_signs(tenant: Tenant, console: Opens, page: "Page") -> None:
    name = opened(tenant, "customers.export", "plain")
    with console("carol") as running:
        on_the_page(page, running.url, "customers.export", "plain")
        to_sign(page, "plain")
        assert page.get_by_role("button", name=SIGN).is_disabled()
        page.get_by_text("Passkeys need scripts, and none has run here.").wait_for()
        page.get_by_text(f"kubectl bailiwick approve {name} -n {tenant.namespace} --key FILE").wait_for()


def test_the_keyboard_alone_signs(
    installation: SignedInstallation, tenant: Tenant, console: Opens, page: "Page"
) -> None:
    VirtualAuthenticator(page)
    name = opened(tenant, "customers.export", "keys")
    with console("erin") as running:
        on_the_page(page, running.url, "customers.export", "keys")
        installation.enrol(registered(page).partition("\n")[0])
        page.goto(f"http://{running.site.host}/grants/{tenant.namespace}/{name}")
        to_sign(page, "keys")
        for _ in range(20):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.id") == "use-passkey":
                break
        with page.expect_navigation():
            page.keyboard.press("Enter")
        page.get_by_text("You approved it.").wait_for()
