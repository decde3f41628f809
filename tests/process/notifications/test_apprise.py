"""Services by Apprise, in the real process that calls them: confined, bounded, and without a word of what is secret.

Holds: each refusal is shown beside the same call that goes through where nothing refuses it.
"""

import asyncio
import os
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bailiwick_notifications.addresses import AddressRule, networks
from bailiwick_notifications.sending import servicecall
from bailiwick_notifications.sending.servicecall import call_service
from bailiwick_notifications.words import MessageText
from support.receiver import Receiver

ANYWHERE = AddressRule(public_only=False)
PUBLIC = AddressRule(public_only=True)
TEXT = MessageText("Approval requested: customers.export on customer/42", "Grant: crm/agr-1\nFor: alice")
SLACK = "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#c"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


def url(receiver: Receiver, host: str = "127.0.0.1", path: str = "") -> str:
    return f"json://{host}:{receiver.port}/{path}"


async def test_a_service_is_told_in_plain_text(receiver: Receiver) -> None:
    assert (await call_service(url(receiver), TEXT, ANYWHERE, 10)).result == "delivered"
    (one,) = receiver.received
    assert (one.json["title"], one.json["message"]) == TEXT
    assert one.json["attachments"] == []


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_the_address_is_looked_at_when_it_is_connected_to(host: str, receiver: Receiver) -> None:
    made = await call_service(url(receiver, host), TEXT, PUBLIC, 10)
    assert made.result == "failed"
    assert "the address 127.0.0.1 is not called: it is not public" in made.why
    assert receiver.received == []
    allowed = AddressRule(public_only=True, allowed=networks(("127.0.0.1/32",)))
    assert (await call_service(url(receiver, host), TEXT, allowed, 10)).result == "delivered"


@pytest.mark.parametrize("answer", [301, 302, 307, 308])
async def test_nobody_is_followed_to_another_place(answer: int) -> None:
    with Receiver(answer) as receiver:
        made = await call_service(url(receiver), TEXT, ANYWHERE, 10)
        assert (made.result, f"answered {answer}" in made.why) == ("refused", True)
        assert len(receiver.received) == 1


@pytest.mark.parametrize(("answer", "result"), [(404, "refused"), (429, "failed"), (503, "failed")])
async def test_what_the_service_answers_says_whether_to_try_again(answer: int, result: str) -> None:
    with Receiver(answer) as receiver:
        made = await call_service(url(receiver), TEXT, ANYWHERE, 10)
        assert (made.result, made.why) == (result, f"the service answered {answer}")


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (f"{SLACK}?template=/etc/passwd", "a file is not read or written"),
        ("syslog://", "syslog.openlog is not allowed"),
        ("rsyslog://127.0.0.1/kern", "is not allowed"),
    ],
    ids=["a file", "syslog", "datagrams"],
)
async def test_one_that_passed_the_list_still_reads_no_file_and_calls_no_other_way(bad: str, why: str) -> None:
    """The list of schemes and options refuses these before; this is the wall behind it."""
    made = await call_service(bad, TEXT, ANYWHERE, 10)
    assert made.result == "failed"
    assert why in made.why


async def test_one_that_answers_without_end_ends_its_own_process_alone() -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    with Receiver(answer_bytes=300 << 20) as receiver:
        made = await call_service(url(receiver), TEXT, ANYWHERE, 30)
        assert made.result == "failed"
        assert len(receiver.received) == 1
    # In kB, of the largest child that ended.
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss < max(before + 1, 256 << 10)


async def test_one_that_is_not_understood_is_refused_for_good() -> None:
    assert (await call_service("nothing://x", TEXT, ANYWHERE, 10)).result == "refused"


async def test_one_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\nexec /bin/sleep 100\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    monkeypatch.setattr(servicecall, "_STARTING_SECONDS", 0.0)
    began = time.monotonic()
    made = await call_service("json://127.0.0.1/", TEXT, ANYWHERE, 0.5)
    assert (made.result, made.why) == ("failed", "the service did not answer within 0.5 s")
    assert time.monotonic() - began < 60
    assert "sleep 100" not in await _children()


async def test_the_process_is_given_neither_the_environment_nor_the_url_by_its_arguments(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen = tmp_path / "seen"
    program = tmp_path / "python"
    program.write_text(f'#!/bin/sh\n/usr/bin/env > {seen}\necho "$@" >> {seen}\nexec {sys.executable} "$@"\n')
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1/")
    monkeypatch.setenv("SOME_TOKEN", "hidden-from-it")
    assert (await call_service(url(receiver, path="hidden-path"), TEXT, ANYWHERE, 10)).result == "delivered"
    said = seen.read_text()
    assert "hidden" not in said
    assert "PROXY" not in said


async def _children() -> str:
    process = await asyncio.create_subprocess_exec(
        *("ps", "--ppid", str(os.getpid()), "-o", "args="), stdout=asyncio.subprocess.PIPE
    )
    said, _ = await process.communicate()
    return said.decode()
