"""CloudEvents over HTTP, to a receiver that listens: which addresses are called, and what an answer means."""

import socket
import time
from typing import Any

import pytest

from bailiwick_notifications.addresses import AddressRule, networks
from bailiwick_notifications.sending.webhook import post
from support.receiver import Receiver

ANYWHERE = AddressRule(public_only=False)
PUBLIC = AddressRule(public_only=True)
HEADERS = {"Content-Type": "application/cloudevents+json", "webhook-id": "1"}


async def test_the_body_arrives_byte_for_byte() -> None:
    with Receiver() as receiver:
        made = await post(f"http://127.0.0.1:{receiver.port}/x?y=1", HEADERS, b'{"a": "\xc3\xa9"}', ANYWHERE, 5)
        assert made.result == "delivered"
        (one,) = receiver.received
        assert (one.path, one.body, one.headers["webhook-id"]) == ("/x?y=1", b'{"a": "\xc3\xa9"}', "1")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "127.1", "0x7f000001"])
async def test_the_address_is_looked_at_when_it_is_connected_to(host: str) -> None:
    with Receiver() as receiver:
        url = f"http://{host}:{receiver.port}/"
        made = await post(url, HEADERS, b"{}", PUBLIC, 5)
        assert made.result == "failed"
        assert "is not called: it is not public" in made.why or "not reached" in made.why
        assert receiver.received == []


async def test_a_name_that_resolves_to_another_address_meanwhile_leads_nowhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The name is public while somebody looks, and loopback when it is connected to."""
    answers = iter(["93.184.216.34", "127.0.0.1", "127.0.0.1"])
    with Receiver() as receiver:

        def rebound(*_: object) -> list[Any]:
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(answers), receiver.port))]

        monkeypatch.setattr(socket, "getaddrinfo", rebound)
        assert rebound()[0][4][0] == "93.184.216.34"
        made = await post(f"http://rebound.example:{receiver.port}/", HEADERS, b"{}", PUBLIC, 5)
        assert "the address 127.0.0.1 is not called" in made.why
        assert receiver.received == []
        allowed = AddressRule(public_only=True, allowed=networks(("127.0.0.0/8",)))
        made = await post(f"http://x.example:{receiver.port}/", HEADERS, b"{}", allowed, 5)
        assert made.result == "delivered"


async def test_a_public_address_is_not_called_without_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    def public(*_: object) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("93.184.216.34", 80))]

    monkeypatch.setattr(socket, "getaddrinfo", public)
    made = await post("http://public.example/", HEADERS, b"{}", ANYWHERE, 5)
    assert made.why == "a public address is called with https alone"


async def test_a_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with Receiver() as receiver, Receiver() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("no_proxy", "")
        made = await post(f"http://127.0.0.1:{receiver.port}/", HEADERS, b"{}", ANYWHERE, 20)
        assert (made.result, len(receiver.received), proxy.received) == ("delivered", 1, [])


@pytest.mark.parametrize("answer", [301, 302, 303, 307, 308])
async def test_nobody_is_followed_to_another_place(answer: int) -> None:
    with Receiver(answer) as receiver:
        made = await post(f"http://127.0.0.1:{receiver.port}/", HEADERS, b"{}", ANYWHERE, 5)
        assert made.result == "refused"
        assert "redirects are not followed" in made.why
        assert len(receiver.received) == 1


@pytest.mark.parametrize(
    ("answer", "result"),
    [
        *((200, "delivered"), (202, "delivered"), (204, "delivered"), (400, "refused"), (401, "refused")),
        *((410, "refused"), (408, "failed"), (425, "failed"), (429, "failed"), (500, "failed"), (503, "failed")),
    ],
)
async def test_what_is_answered_says_whether_to_try_again(answer: int, result: str) -> None:
    with Receiver(answer) as receiver:
        made = await post(f"http://127.0.0.1:{receiver.port}/hidden", HEADERS, b"{}", ANYWHERE, 5)
        assert made.result == result
        assert "hidden" not in made.why


async def test_one_that_hangs_is_left_after_its_time() -> None:
    with Receiver(hangs=True) as receiver:
        began = time.monotonic()
        made = await post(f"http://127.0.0.1:{receiver.port}/", HEADERS, b"{}", ANYWHERE, 0.3)
        assert made.why == "the receiver did not answer within 0.3 s"
        assert time.monotonic() - began < 10


async def test_one_that_is_not_there_is_tried_again_and_its_url_is_not_told() -> None:
    with Receiver() as receiver:
        port = receiver.port
    made = await post(f"http://127.0.0.1:{port}/hidden", HEADERS, b"{}", ANYWHERE, 5)
    assert (made.result, "hidden" in made.why, str(port) in made.why) == ("failed", False, False)
