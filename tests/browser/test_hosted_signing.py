"""A person registers a passkey and signs with it on the console in the cluster, in a real browser, over TLS.

Standing: the API server is real; what counts there, tests/browser/test_signing.py and tests/cluster show. Holds:
`ssh-keygen -Y verify` judges what is stored.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from support.console.axe import violations
from support.console.browser import OTHER_RP, arrived, follow, launched, read_through
from support.console.clusterconsole import NAME, RunningHosted
from support.console.issuertrust import OWNERS, TrustingServer
from support.console.virtualauthenticator import VirtualAuthenticator
from support.signing.sshkeygen import SshOracle, made_key
from support.signing.statements import stored_statement
from support.signing.storedkeys import apply, config_map, reader_role
from support.waits import until

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page

REASON: Final = "Reason (recorded; required to approve)"


@pytest.fixture(scope="module")
def trusting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrustingServer]:
    with TrustingServer.running(tmp_path_factory.mktemp("trusting")) as server:
        reader_role(server.callers.admin, "bailiwick-system", f"group:{OWNERS}")
        yield server


@pytest.fixture(scope="module")
def registrar(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_key(tmp_path_factory.mktemp("registrar") / "key")


@pytest.fixture
def context(playwright: Any, tmp_path: Path) -> Iterator["BrowserContext"]:  # noqa: ANN401 - of a library that may be missing
    """A browser that takes the certificates of the test."""
    made = launched(playwright, tmp_path / "profile", strict_tls=False)
    yield made
    made.close()


def logged_in(page: "Page", console: RunningHosted, path: str, person: str = "carol") -> None:
    """Log in, and go to a page."""
    until(lambda: console.health() == 200, "the console has its certificate")
    page.goto(f"{console.site.url}{path}")
    page.get_by_role("button", name="Log in at").click()
    page.get_by_role("link", name=person).click()
    arrived(page, f"You act as oidc:{person}")
    follow(page, page.get_by_role("link", name="Go on"))


def registered(page: "Page") -> str:
    follow(page, page.get_by_role("button", name="Make a passkey for"))
    follow(page, page.get_by_role("button", name="Sign this line"))
    arrived(page, "Send this to a registrar")
    return page.get_by_label("Your line and your proof:").input_value()


def to_sign(page: "Page") -> None:
    read_through(page)
    page.get_by_label(REASON).fill("seen")
    follow(page, page.get_by_role("button", name="Approve", exact=True))


@pytest.mark.invariant(30)
def test_a_passkey_is_registered_enrolled_and_signs(
    trusting: TrustingServer, registrar: Path, page: "Page", tmp_path: Path
) -> None:
    authenticator = VirtualAuthenticator(page)
    path = trusting.wanted("signed", signature="Required")
    with trusting.console("--registrar-keys", f"{registrar}.pub") as console:
        # A link of a registrar leads there.
        logged_in(page, console, "/passkeys")
        line, _, proof = registered(page).partition("\n")
        assert line.startswith("oidc:carol namespaces=")
        enrolling = SshOracle(tmp_path, line.replace("review@", "enrol@") + "\n")
        assert enrolling.accepts("oidc:carol", "enrol@bailiwick.dev", f"{line}\n".encode(), proof)
        assert authenticator.credentials[0]["rpId"] == NAME
        apply(trusting.callers.admin, config_map(line, registrar=registrar))
        page.goto(f"{console.site.url}{path}")
        to_sign(page)
        assert violations(page) == []
        # A user who is not recognized signs nothing.
        authenticator.verify_user(verified=False)
        page.get_by_role("button", name="Sign and approve").click()
        page.get_by_text("There is no signature:").wait_for()
        assert trusting.reviews("signed") == []
        authenticator.verify_user(verified=True)
        follow(page, page.get_by_role("button", name="Sign and approve"))
        page.get_by_text("You approved it.").wait_for()
        page.get_by_text("(verified)").wait_for()
    stored = trusting.grant("signed")
    (review,) = stored["spec"]["reviews"]
    signed = stored_statement(stored, review)
    oracle = SshOracle(tmp_path, f"{line}\n")
    assert oracle.accepts("oidc:carol", "review@bailiwick.dev", signed, review["signature"])
    assert not oracle.accepts("oidc:carol", "review@bailiwick.dev", signed + b" ", review["signature"])


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
    trusting: TrustingServer, registrar: Path, page: "Page", name: str, value: str, said: str
) -> None:
    VirtualAuthenticator(page)
    grant = f"forged-{name.lower()}"
    path = trusting.wanted(grant, signature="Key")
    with trusting.console() as console:
        logged_in(page, console, "/passkeys", "dave")
        line = registered(page).partition("\n")[0]
        apply(trusting.callers.admin, config_map(line, registrar=registrar))
        page.goto(f"{console.site.url}{path}")
        to_sign(page)
        page.evaluate(f"document.getElementById('passkey').dataset.{name} = '{value}'")
        page.get_by_role("button", name="Sign and approve").click()
        page.get_by_text(said).wait_for()
    assert trusting.reviews(grant) == []


@pytest.mark.invariant(30)
def test_a_signature_of_another_grant_is_replayed_in_vain(
    trusting: TrustingServer, registrar: Path, page: "Page"
) -> None:
    VirtualAuthenticator(page)
    first, second = (trusting.wanted(one, signature="Required") for one in ("replayed", "victim"))
    fields = ("authenticator", "client", "signature")
    with trusting.console() as console:
        logged_in(page, console, "/passkeys")
        line = registered(page).partition("\n")[0]
        apply(trusting.callers.admin, config_map(line, registrar=registrar))
        page.goto(f"{console.site.url}{first}")
        to_sign(page)
        # What is sent is kept instead.
        page.evaluate("HTMLFormElement.prototype.submit = () => (document.title = 'kept')")
        page.get_by_role("button", name="Sign and approve").click()
        page.wait_for_function("document.title === 'kept'")
        kept = {one: page.locator(f"#passkey [name={one}]").input_value() for one in fields}
        page.goto(f"{console.site.url}{second}")
        to_sign(page)
        for one, value in kept.items():
            page.evaluate(f"value => document.forms.passkey.elements.{one}.value = value", value)
        with page.expect_navigation():
            page.evaluate("document.forms.passkey.submit()")
        page.get_by_text("no passkey that is enrolled for you signed this statement").wait_for()
    assert [trusting.reviews(one) for one in ("replayed", "victim")] == [[], []]
