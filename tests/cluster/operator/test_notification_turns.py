"""One namespace asks for much, and another for a little: the targets of the installation hear of both."""

import base64
from collections.abc import Iterator, Sequence

import pytest

from bailiwick_api.accounts import Installation
from cluster.operator.grants.grants import Grants
from cluster.operator.operatorprocess import Operator
from support.callers import Callers
from support.namespaces import Namespaces
from support.receiver import Receiver
from support.waits import until

# A minute of the rate has to pass; by themselves, the turns stand in unit/notifications.
pytestmark = pytest.mark.long
PER_MINUTE = 20
QUIET = 15


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def lowered(receiver: Receiver, tmp_path_factory: pytest.TempPathFactory) -> Sequence[str]:
    folder = tmp_path_factory.mktemp("targets")
    (folder / "audit").write_text(f"cloudevents+http://127.0.0.1:{receiver.port}/audit")
    (folder / "audit.secret").write_text("whsec_" + base64.b64encode(b"0123456789abcdef0123456789abcdef").decode())
    return ("--proof-interval", "3", f"--notifications-dir={folder}", f"--notify-per-minute={PER_MINUTE}")


def test_one_namespace_hides_no_request_of_another(
    operator: Operator, callers: Callers, installed: Installation, receiver: Receiver
) -> None:
    namespaces = Namespaces(callers.admin)
    loud, quiet = (Grants(callers, installed, namespaces.make(name)) for name in ("loud", "quiet"))
    for _ in range(3 * PER_MINUTE):
        loud.open()
    until(lambda: len(receiver.events()) >= PER_MINUTE, "as many as the rate are told", 30)
    asked = [quiet.open()["metadata"] for _ in range(QUIET)]
    names = {f"{metadata['namespace']}/{metadata['name']}" for metadata in asked}
    until(
        lambda: any(event["type"] == "dev.bailiwick.digest" for event in receiver.events()),
        "a digest counts what is too much",
        90,
    )
    # At the latest in the next minute: on a slow machine this one may be spent before they ask.
    until(lambda: names <= {event.get("subject") for event in receiver.events()}, "each of the quiet ones is told", 75)
