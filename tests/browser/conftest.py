"""A real Chromium, a running Bailiwick on a real API server, and the console as the people of the cluster."""

import importlib.util
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from browsers.chromium import chromium
from browsers.programs import NPM, path_of
from demo.stack import Stack
from support.console import consoleprocess
from support.console.browser import Opens, launched
from support.console.consoleprocess import RunningConsole
from support.objects import gated_rule
from support.pdp.fixtures import pdp, tenants
from support.pdp.tenant import PLENTY, RULES, STEPS, Tenant, Tenants
from support.stacks import demo_stack

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page

__all__ = ["pdp", "tenants"]

# That a page has the status 409, say, is no fault of a script. SSH signatures know passkeys of ES256 alone.
EXPECTED: Final = ("Failed to load resource", "publicKey.pubKeyCredParams is missing at least one of the default")
TWO: Final = [*STEPS, {"name": "security", "kind": "Human", "groups": ["sec-oncall"]}]


def pytest_collection_finish(session: pytest.Session) -> None:
    # Before anything is started: what is missing is said at once, and how to have it.
    ours = any(Path(__file__).parent in item.path.parents for item in session.items)
    if ours and not session.config.option.collectonly:
        chromium()
        path_of(NPM, "npm")
        assert importlib.util.find_spec("playwright"), (
            "the tests of the browser need playwright, of requirements/dev.txt"
        )


@pytest.fixture(scope="module")
def tenant(tenants: Tenants, request: pytest.FixtureRequest) -> Tenant:
    """A tenant for a module, with one action that two people have to review."""
    rules = [*RULES, gated_rule("merge", actions=["customers.merge"], approval={"steps": TWO, "limits": PLENTY})]
    return tenants.make(request.module.__name__.rpartition(".")[2], rules)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """What the demo plays on, for a module, with a control plane of its own: the demo counts on nobody's requests."""
    with demo_stack(tmp_path_factory.mktemp("stack")) as stack:
        yield stack


@pytest.fixture
def console(tenant: Tenant) -> Opens:
    """Starts a console as somebody: `with console("carol") as running`."""

    def open_(person: str, *arguments: str, **more: Any) -> AbstractContextManager[RunningConsole]:  # noqa: ANN401 - as `started`
        return consoleprocess.started(
            "-n", tenant.namespace, *arguments, kubeconfig=tenant.cluster.kubeconfig(person), **more
        )

    return open_


@pytest.fixture(scope="session")
def playwright() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - said to be missing before, in words

    with sync_playwright() as started:
        yield started


@pytest.fixture(params=[True], ids=["script"])
def context(
    playwright: Any,  # noqa: ANN401 - of a library that may be missing
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> Iterator["BrowserContext"]:
    """A browser of its own, with nothing in it. Parametrize it indirectly with False for one without scripts."""
    made = launched(playwright, tmp_path / "profile", scripts=request.param)
    yield made
    made.close()


@pytest.fixture
def complaints() -> list[str]:
    """What the browser complained of on any page: a script, the security policy, a request. A test may empty it."""
    return []


@pytest.fixture
def page(context: "BrowserContext", complaints: list[str]) -> Iterator["Page"]:
    """A page that fails the test where the browser had anything to complain of."""

    def told(message: Any) -> None:  # noqa: ANN401 - of a library that may be missing
        if message.type in {"error", "warning"} and not message.text.startswith(EXPECTED):
            complaints.append(message.text)

    def dismiss(dialog: Any) -> None:  # noqa: ANN401 - likewise
        complaints.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    context.on("console", told)
    context.on("weberror", lambda error: complaints.append(str(error.error)))
    context.on("dialog", dismiss)
    yield context.new_page()
    assert complaints == []
