"""Receiving signals: acknowledged once stored, refused with the reason, and nobody is denied for what goes wrong."""

import asyncio
import json
import time
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Final

import pytest
import structlog

from bailiwick_api.kinds.subjectrevocation import RevokedIdentity
from bailiwick_engine.revocations import revocation_name
from bailiwick_kube.transport import UnreachableError
from bailiwick_operator.reconcile.securityevent import AHEAD_SECONDS, RefusedSet, SecurityEvent
from bailiwick_operator.signals import storage
from bailiwick_operator.signals.transmitter import MOST_BYTES, MOST_EVENTS
from bailiwick_operator.signals.verification import SetVerifier
from support.signals.caep import CAEP, RISC
from support.signals.revocationstore import RevocationServer
from support.signals.transmitter import AUDIENCE, BEARER, Fault, SignalTransmitter, transmitting
from unit.operator.signals.signalprocess import SignalProcess


class ProcessDeath(BaseException):
    """The process is gone."""


@pytest.fixture
def transmitter(tmp_path: Path) -> Iterator[SignalTransmitter]:
    with transmitting(tmp_path / "transmitter", waits=0.0) as transmitter:
        yield transmitter


@pytest.fixture
def server() -> RevocationServer:
    return RevocationServer()


@pytest.fixture
def receiving(transmitter: SignalTransmitter, server: RevocationServer) -> SignalProcess:
    return SignalProcess(transmitter, server)


async def test_a_signal_is_acknowledged_with_the_poll_after_it_was_stored(
    transmitter: SignalTransmitter, receiving: SignalProcess
) -> None:
    transmitter.signal("a", "dave")
    await receiving.rounds()
    assert receiving.server.spec().match == RevokedIdentity(sub="dave")
    assert transmitter.polls == [{"maxEvents": MOST_EVENTS, "returnImmediately": False, "ack": [], "setErrs": {}}]
    await receiving.rounds(2)
    assert transmitter.acknowledged == ["a"]
    assert [poll["ack"] for poll in transmitter.polls] == [[], ["a"], []]
    assert receiving.count("session-revoked", "stored") == 1
    assert receiving.counts.verified == pytest.approx(time.time(), abs=30)


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_a_process_that_dies_around_the_write_stores_and_acknowledges_with_the_next_one(
    transmitter: SignalTransmitter, server: RevocationServer, moment: str
) -> None:
    def die() -> None:
        raise ProcessDeath

    transmitter.signal("a", "dave")
    setattr(server, moment, die)
    with pytest.raises(ProcessDeath):
        await SignalProcess(transmitter, server).rounds()
    setattr(server, moment, lambda: None)
    assert transmitter.acknowledged == []
    assert len(server.objects) == (moment == "after")
    kept = [*server.objects.values()]
    again = SignalProcess(transmitter, server)
    await again.rounds(2)
    assert transmitter.acknowledged == ["a"]
    assert server.spec().match.sub == "dave"
    assert not kept or kept == [*server.objects.values()]
    assert again.count("session-revoked", "unchanged" if kept else "stored") == 1


@pytest.mark.parametrize("fault", [403, 422, 500, UnreachableError("no answer")])
async def test_what_cannot_be_stored_is_neither_acknowledged_nor_refused(
    transmitter: SignalTransmitter, receiving: SignalProcess, fault: int | Exception
) -> None:
    def fail() -> None:
        if isinstance(fault, Exception):
            raise fault
        receiving.server.status = fault

    transmitter.signal("a", "dave")
    receiving.server.before = fail
    pauses = [await receiving.rounds() for _ in range(4)]
    assert (transmitter.acknowledged, transmitter.refused) == ([], {})
    assert receiving.count("session-revoked", "unstored") == 4
    assert pauses[3] > 2 * pauses[0]
    assert "cannot be stored" in (receiving.receiver.problem or "")
    receiving.server.before, receiving.server.status = (lambda: None), None
    await receiving.rounds(2)
    assert transmitter.acknowledged == ["a"]
    assert receiving.receiver.problem is None


async def test_bad_tokens_are_refused_with_the_reason_and_keep_no_good_one(
    transmitter: SignalTransmitter, receiving: SignalProcess
) -> None:
    transmitter.send("junk", "x")
    transmitter.signal("good", "dave")
    transmitter.send("bare", transmitter.sign({"jti": "bare"}))
    claims = {"iss": transmitter.url, "aud": AUDIENCE, "iat": int(time.time()), "jti": "another"}
    transmitter.send("taken", transmitter.sign(claims))
    await receiving.rounds(2)
    assert receiving.server.spec().match.sub == "dave"
    assert {jti: one["err"] for jti, one in transmitter.refused.items()} == {
        "junk": "invalid_request",
        "bare": "invalid_issuer",
        "taken": "invalid_request",
    }
    assert transmitter.acknowledged == ["good"]
    assert receiving.count("other", "refused") == 3


async def test_a_token_that_cannot_be_judged_keeps_no_other_one_out(
    transmitter: SignalTransmitter, receiving: SignalProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    verify = SetVerifier.verify

    async def fail(self: SetVerifier, jti: str, token: str, arrived: float) -> SecurityEvent | RefusedSet | None:
        if jti == "odd":
            raise RuntimeError("unforeseen")
        return await verify(self, jti, token, arrived)

    monkeypatch.setattr(SetVerifier, "verify", fail)
    transmitter.signal("odd", "erin")
    transmitter.signal("good", "dave")
    await receiving.rounds(2)
    assert receiving.server.spec().match.sub == "dave"
    assert (transmitter.acknowledged, transmitter.refused) == (["good"], {})


async def test_subjects_of_another_issuer_are_refused_and_stop_nobody(
    transmitter: SignalTransmitter, receiving: SignalProcess, tmp_path: Path
) -> None:
    with transmitting(tmp_path / "other") as other:
        foreign = {"format": "iss_sub", "iss": other.url, "sub": "dave"}
        base = {"iss": transmitter.url, "aud": AUDIENCE, "iat": int(time.time()), "jti": "a", "sub_id": foreign}
        transmitter.send("a", transmitter.sign(base | {"events": {CAEP + "session-revoked": {}}}))
        # Signed by the other issuer, in this one's name and in its own.
        theirs = base | {"events": {RISC + "account-disabled": {}}}
        transmitter.send("b", other.sign(theirs | {"jti": "b"}))
        transmitter.send("c", other.sign(theirs | {"jti": "c", "iss": other.url}))
        await receiving.rounds(2)
    assert {jti: one["err"] for jti, one in transmitter.refused.items()} == {
        "a": "invalid_request",
        "b": "invalid_key",
        "c": "invalid_key",
    }
    assert receiving.server.objects == {}
    assert receiving.count("session-revoked", "refused") == 1


async def test_a_service_account_of_the_cluster_is_not_stopped_by_an_issuers_word(
    transmitter: SignalTransmitter, receiving: SignalProcess
) -> None:
    transmitter.signal("a", "system:serviceaccount:agents:crm-agent")
    await receiving.rounds()
    assert receiving.server.spec().issuer == "corp"


async def test_a_key_that_was_just_published_is_read_and_one_that_never_was_is_refused(
    transmitter: SignalTransmitter, receiving: SignalProcess
) -> None:
    transmitter.signal("a", "dave")
    await receiving.rounds()
    transmitter.signer.rotate()
    transmitter.signal("b", "erin")
    await receiving.rounds()
    assert {spec.match.sub for spec in receiving.server.specs()} == {"dave", "erin"}
    token = transmitter.sign({"iss": transmitter.url, "jti": "c"}, kid="unpublished")
    transmitter.send("c", token)
    await receiving.rounds(2)
    assert transmitter.refused["c"]["err"] == "invalid_key"


async def test_while_the_keys_cannot_be_read_a_token_is_neither_accepted_nor_refused(
    transmitter: SignalTransmitter, receiving: SignalProcess
) -> None:
    transmitter.keys_down = True
    transmitter.signal("a", "dave")
    await receiving.rounds(2)
    assert (receiving.server.objects, transmitter.acknowledged, transmitter.refused) == ({}, [], {})
    assert receiving.count("other", "unverifiable") == 2
    transmitter.keys_down = False
    await receiving.rounds(2)
    assert transmitter.acknowledged == ["a"]


def _answering(status: int, body: bytes, headers: dict[str, str] | None = None) -> Fault:
    return lambda handler: handler.answer(status, body, headers)


def _writing(raw: bytes) -> Fault:
    def fault(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(raw)
        handler.close_connection = True

    return fault


FAULTS: Final[dict[str, tuple[Fault, str]]] = {
    "hangs": (lambda handler: handler.hang(), "TimeoutError"),
    "redirects": (_answering(307, b"", {"Location": "/poll"}), "status 307"),
    "redirects elsewhere": (_answering(302, b"", {"Location": "https://127.0.0.1:1/poll"}), "status 302"),
    "answers huge": (
        _answering(200, b'{"sets": {"a": "' + b"x" * MOST_BYTES + b'"}}'),
        f"more than {MOST_BYTES} bytes",
    ),
    "refuses": (_answering(401, b"{}"), "status 401"),
    "fails": (_answering(500, b"{}"), "status 500"),
    "answers nothing": (_answering(200, b""), "JSONDecodeError"),
    "answers a page": (_answering(200, b"<html>"), "JSONDecodeError"),
    "answers a list": (_answering(200, b"[]"), "no sets"),
    "answers no sets": (_answering(200, b'{"moreAvailable": false}'), "no sets"),
    "answers a list of sets": (_answering(200, b'{"sets": ["x"]}'), "no sets"),
    "answers sets that are no text": (_answering(200, b'{"sets": {"a": {"iss": "x"}}}'), "no sets"),
    "answers deep": (_answering(200, b'{"sets":' + b"[" * 100_000 + b"]" * 100_000 + b"}"), "JSONDecodeError"),
    "answers no HTTP": (_writing(b"garbage\r\n\r\n"), "ClientResponseError"),
    "answers with a length that is none": (
        _writing(b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"),
        "ClientResponseError",
    ),
    "answers with the token": (
        lambda handler: _writing(f"{handler.headers['Authorization']}\r\n\r\n".encode())(handler),
        "ClientResponseError: the answer is not valid HTTP",
    ),
    "answers endless text": (_writing(b"x" * 200_000 + b"\r\n\r\n"), "ClientResponseError"),
    "breaks off": (_writing(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"), "ClientPayloadError"),
    "hangs up": (_writing(b""), "ServerDisconnectedError"),
}


@pytest.mark.parametrize("name", FAULTS)
async def test_a_transmitter_that_gives_no_answer_denies_nobody_and_is_asked_less_and_less(
    transmitter: SignalTransmitter, server: RevocationServer, name: str
) -> None:
    receiving = SignalProcess(transmitter, server, seconds=0.4)
    transmitter.signal("a", "dave")
    transmitter.fault, said = FAULTS[name]
    with structlog.testing.capture_logs() as log:
        pauses = [await receiving.rounds() for _ in range(3)]
    assert BEARER not in f"{log} {receiving.receiver.problem}"
    assert "\n" not in (receiving.receiver.problem or "")
    assert len(receiving.receiver.problem or "") < 400
    assert receiving.server.objects == {}
    assert receiving.count("poll", "unanswered") == 3
    assert said in (receiving.receiver.problem or "")
    assert 0.8 <= pauses[0] <= 1.2
    assert pauses[0] < pauses[1] < pauses[2]
    transmitter.fault = None
    await receiving.rounds(2)
    assert receiving.receiver.problem is None
    assert transmitter.acknowledged == ["a"]
    assert 0.5 < await receiving.rounds() <= 1.0
    # A connection that was given up ends when its other end lets go of it.
    await asyncio.sleep(0.2)


async def test_the_pause_has_an_end(transmitter: SignalTransmitter, receiving: SignalProcess) -> None:
    transmitter.fault = _answering(500, b"")
    assert max([await receiving.rounds() for _ in range(9)]) <= 72


async def test_a_report_is_not_lost_with_a_poll_that_is_not_answered(
    transmitter: SignalTransmitter, receiving: SignalProcess
) -> None:
    transmitter.signal("a", "dave")
    transmitter.send("bad", "x")
    await receiving.rounds()
    transmitter.fault = _answering(500, b"")
    await receiving.rounds()
    transmitter.fault = None
    await receiving.rounds()
    assert (transmitter.acknowledged, [*transmitter.refused]) == (["a"], ["bad"])


async def test_an_address_that_is_not_public_is_called_only_if_the_issuer_is_allowed_to_be_there(
    transmitter: SignalTransmitter, server: RevocationServer
) -> None:
    transmitter.signal("a", "dave")
    receiving = SignalProcess(transmitter, server, allowPrivateAddresses=False)
    await receiving.rounds()
    assert transmitter.polls == []
    assert "allowPrivateAddresses" in (receiving.receiver.problem or "")


async def test_the_token_file_is_read_for_each_poll(transmitter: SignalTransmitter, receiving: SignalProcess) -> None:
    right = transmitter.token_file.read_text()
    for wrong in ("", "two words", "x" * 20_000, "ä"):
        transmitter.token_file.write_text(wrong)
        await receiving.rounds()
        assert "tokenFile" in (receiving.receiver.problem or "")
    transmitter.token_file.unlink()
    await receiving.rounds()
    assert "tokenFile" in (receiving.receiver.problem or "")
    assert transmitter.polls == []
    transmitter.token_file.write_text(right)
    await receiving.rounds()
    assert len(transmitter.polls) == 1


async def test_a_transmitter_that_sends_more_than_was_asked_for_sends_the_rest_again(
    transmitter: SignalTransmitter, receiving: SignalProcess
) -> None:
    tokens = {f"j{number}": "x" for number in range(MOST_EVENTS + 7)}
    transmitter.fault = lambda handler: handler.answer(200, json.dumps({"sets": tokens}).encode())
    await receiving.rounds()
    assert receiving.count("other", "refused") == MOST_EVENTS


async def test_a_subject_that_does_not_fit_any_more_stops_everybody_of_this_issuer_and_no_one_else(
    transmitter: SignalTransmitter, receiving: SignalProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "MOST_REVOCATIONS", 3)
    for number in range(5):
        transmitter.signal(f"j{number}", f"person-{number}")
    await receiving.rounds()
    assert sorted(str(spec.match.sub) for spec in receiving.server.specs()) == [
        "None",
        *(f"person-{n}" for n in range(3)),
    ]
    assert {spec.issuer for spec in receiving.server.specs()} == {"corp"}
    assert receiving.count("session-revoked", "everybody") == 2
    # Who has an object already gets no worse one, and the end of a hold needs none.
    transmitter.signal("again", "person-1")
    transmitter.signal("enabled", "person-9", "account-enabled", RISC)
    await receiving.rounds(2)
    assert len(receiving.server.objects) == 4
    assert receiving.count("account-enabled", "unchanged") == 1


async def test_what_is_over_makes_room_at_once(
    transmitter: SignalTransmitter, receiving: SignalProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "MOST_REVOCATIONS", 1)
    transmitter.signal("a", "dave")
    await receiving.rounds()
    receiving.server.objects.clear()
    receiving.moved = timedelta(seconds=6)
    transmitter.signal("b", "erin")
    await receiving.rounds()
    assert receiving.server.spec().match.sub == "erin"


async def test_the_object_of_another_subject_under_its_name_keeps_no_signal_out(
    transmitter: SignalTransmitter, receiving: SignalProcess
) -> None:
    name = revocation_name("corp", RevokedIdentity(sub="dave"), "Signal")
    times = dict.fromkeys(("issuedBefore", "asOf", "until"), "2026-11-30T16:00:00Z")
    cause = {"kind": "Signal", "event": "x"}
    receiving.server.put(name, {"issuer": "corp", "match": {"sub": "mallory"}, "hold": False, "cause": cause} | times)
    transmitter.signal("a", "dave")
    await receiving.rounds(2)
    assert {spec.match.sub for spec in receiving.server.specs()} == {"dave", "mallory"}
    assert transmitter.acknowledged == ["a"]
    # It is found again by whom it names.
    again = SignalProcess(transmitter, receiving.server)
    transmitter.signal("b", "dave", at=time.time() - 1)
    await again.rounds(2)
    assert len(receiving.server.objects) == 2


async def test_an_end_of_a_hold_that_is_stored_as_of_the_future_keeps_no_hold_out(
    transmitter: SignalTransmitter, receiving: SignalProcess
) -> None:
    name = revocation_name("corp", RevokedIdentity(sub="dave"), "Signal")
    times = {"issuedBefore": "2000-01-01T00:00:00Z", "asOf": "2999-01-01T00:00:00Z", "until": "2999-01-01T00:00:00Z"}
    cause = {"kind": "Signal", "event": "account-enabled"}
    receiving.server.put(name, {"issuer": "corp", "match": {"sub": "dave"}, "hold": False, "cause": cause} | times)
    transmitter.signal("a", "dave", "account-disabled", RISC)
    await receiving.rounds(2)
    assert transmitter.acknowledged == ["a"]
    assert {spec.hold for spec in receiving.server.specs()} == {True, False}


async def test_a_hold_as_of_an_issuers_clock_that_is_a_little_ahead_is_still_the_operators(
    transmitter: SignalTransmitter, receiving: SignalProcess
) -> None:
    transmitter.signal("a", "dave", "account-disabled", RISC, at=time.time() + AHEAD_SECONDS - 1)
    await receiving.rounds(2)
    again = SignalProcess(transmitter, receiving.server)
    again.moved = timedelta(seconds=60)
    transmitter.signal("b", "dave", "account-enabled", RISC, at=time.time() + 59)
    await again.rounds(2)
    assert receiving.server.spec().hold is False


async def test_what_is_kept_for_a_hold_that_ended_is_deleted_once_no_token_from_before_is_left(
    transmitter: SignalTransmitter, receiving: SignalProcess
) -> None:
    now = time.time()
    transmitter.signal("a", "dave", "account-disabled", RISC, at=now - 60)
    transmitter.signal("b", "dave", "account-enabled", RISC, at=now - 30)
    transmitter.signal("c", "erin", "account-disabled", RISC, at=now - 60)
    await receiving.rounds()
    await receiving.store.tidy()
    assert len(receiving.server.objects) == 2
    receiving.moved = timedelta(seconds=3600 + 60 + 600 + 5)
    await receiving.store.tidy()
    assert [spec.match.sub for spec in receiving.server.specs()] == ["erin"]
    # That it ended is still known.
    transmitter.signal("again", "dave", "account-disabled", RISC, at=now - 60)
    await receiving.rounds()
    assert [spec.hold for spec in receiving.server.specs() if spec.match.sub == "dave"] == [False]


async def test_a_change_by_somebody_else_is_built_upon_and_not_undone(
    transmitter: SignalTransmitter, receiving: SignalProcess
) -> None:
    transmitter.signal("a", "dave", at=time.time() - 10)
    await receiving.rounds()
    ((name, body),) = receiving.server.objects.items()
    later = "2036-01-01T00:00:00Z"
    receiving.server.put(name, body["spec"] | {"until": later})
    transmitter.signal("b", "dave", at=time.time() - 5)
    await receiving.rounds()
    assert receiving.server.spec().until.year == 2036
    assert receiving.server.spec().cause.jti == "b"


async def test_a_transmitter_that_hangs_delays_no_other(
    transmitter: SignalTransmitter, server: RevocationServer, tmp_path: Path
) -> None:
    with transmitting(tmp_path / "other") as other:
        transmitter.fault = lambda handler: handler.hang()
        other.signal("a", "dave")
        hanging, quick = SignalProcess(transmitter, server), SignalProcess(other, server, name="partner")
        tasks = [asyncio.create_task(one.receiver.run()) for one in (hanging, quick)]
        began = time.monotonic()
        while not server.objects:
            await asyncio.sleep(0.01)
            assert time.monotonic() - began < 1.5
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert server.spec().issuer == "partner"
        transmitter.fault = None
        await asyncio.sleep(0.2)
