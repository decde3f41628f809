"""One namespace holds up no other: names whose servers hang, receivers and services that are slow."""

import asyncio
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from bailiwick_notifications.addresses import AddressRule, networks
from bailiwick_notifications.notification import Notification, NotificationType
from bailiwick_notifications.sending import sender as sending
from bailiwick_notifications.sending.attempt import DELIVERED, DeliveryAttempt
from bailiwick_notifications.sending.sender import SLOW_SECONDS, NotificationSender
from bailiwick_notifications.targets import Target
from support.receiver import Receiver

RULE = AddressRule(public_only=True, allowed=networks(("127.0.0.0/8", "::1/128")))
TOLD = Notification("1", NotificationType.TEST, datetime(2026, 11, 27, tzinfo=UTC))
KEY = bytes(32)


class Names(list[str]):
    """The names that were looked up at servers that hang."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = threading.Event()


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch) -> Iterator[Names]:
    answered, asked, resolve = threading.Event(), Names(), socket.getaddrinfo

    def look(host: str, *rest: Any) -> list[Any]:  # noqa: ANN401 - as it is called
        if host.endswith("hanging.example"):
            asked.append(host)
            asked.asked.set()
            answered.wait(60)
            raise socket.gaierror(socket.EAI_AGAIN, "no answer")
        return resolve(host, *rest)

    monkeypatch.setattr(socket, "getaddrinfo", look)
    yield asked
    answered.set()


@pytest.mark.parametrize("failing", [False, True])
async def test_a_namespace_of_names_that_hang_holds_up_no_other(hanging: Names, failing: bool) -> None:
    sender = NotificationSender("/x", None, RULE, 5)
    theirs = [Target(f"t{n}", "cloudevents", f"https://t{n}.hanging.example/", KEY) for n in range(20)]
    with Receiver() as receiver:
        tasks = [asyncio.create_task(sender.send(one, TOLD, holder="theirs", failing=failing)) for one in theirs]
        assert await asyncio.to_thread(hanging.asked.wait, 30)
        ours = Target("ours", "cloudevents", f"http://localhost:{receiver.port}/", KEY)
        began = time.monotonic()
        made = await sender.send(ours, TOLD, holder="ours", failing=failing)
        assert (made.result, time.monotonic() - began < 25) == ("delivered", True), made
    assert (await tasks[0]).why == "the receiver did not answer within 5 s"
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    # Its attempt has ended, its lookup has not: no second one runs beside it.
    assert hanging == ["t0.hanging.example"]


async def test_a_service_that_is_slow_holds_up_its_own_namespace_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    at = 0.0
    running: list[str] = []
    ended = asyncio.Event()

    async def called(url: str, *_: object) -> DeliveryAttempt:
        nonlocal at
        running.append(url)
        if "slow" in url:
            await ended.wait()
            at += 13
        return DELIVERED

    monkeypatch.setattr(sending, "call_service", called)
    sender = NotificationSender("/x", None, RULE, 10, monotonic=lambda: at)
    slow = [
        asyncio.create_task(sender.send(Target(f"t{n}", "apprise", f"slow{n}"), TOLD, holder="theirs"))
        for n in range(6)
    ]
    await asyncio.sleep(0)
    assert await asyncio.wait_for(sender.send(Target("t", "apprise", "ours"), TOLD, holder="ours"), 10) == DELIVERED
    assert running == ["slow0", "ours"]
    ended.set()
    assert set(await asyncio.gather(*slow)) == {DELIVERED}
    # From now on it is among the slow ones, although they took it; and later it is not.
    assert sender._is_slow("theirs")
    assert not sender._is_slow("ours")
    at += SLOW_SECONDS
    assert not sender._is_slow("theirs")


async def test_who_gets_no_turn_in_time_is_tried_again_and_not_called_failing(monkeypatch: pytest.MonkeyPatch) -> None:
    async def called(*_: object) -> DeliveryAttempt:
        await asyncio.sleep(60)
        return DELIVERED

    monkeypatch.setattr(sending, "call_service", called)
    sender = NotificationSender("/x", None, RULE, 10)
    sender._processes._wait = 0.05
    target = Target("t", "apprise", "x")
    first = asyncio.create_task(sender.send(target, TOLD, holder="h"))
    await asyncio.sleep(0)
    made = await sender.send(target, TOLD, holder="h")
    assert (made.result, made.tried) == ("failed", False)
    first.cancel()


def test_a_process_ends_although_a_name_is_still_being_looked_up() -> None:
    words = """
import asyncio, socket, time
socket.getaddrinfo = lambda *_: time.sleep(100)
from bailiwick_notifications.addresses import AddressRule
from bailiwick_notifications.sending.webhook import post
print(asyncio.run(post("https://hanging.example/", {}, b"", AddressRule(True), 0.1)).why)
"""
    ran = subprocess.run([sys.executable, "-P", "-c", words], capture_output=True, text=True, check=True, timeout=60)
    assert ran.stdout == "the receiver did not answer within 0.1 s\n"
