"""A log line is a warning or an error only where a person should act: not for what a start is, nor for a quiet hour."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from structlog.testing import capture_logs

from bailiwick_api.accounts import SIGNING_KEYS_SECRET, Installation
from bailiwick_kube.access import Access
from bailiwick_kube.connections import HttpTransport
from bailiwick_operator.certificates.keeper import PATIENCE as OPERATOR_PATIENCE, ExternalCertificate
from bailiwick_webhook.cluster.client import POLICIES, ApiClient, ClusterUnavailableError, SilentWatchError
from bailiwick_webhook.store.keys import PATIENCE as KEYS_PATIENCE, Keys
from bailiwick_webhook.tls.reload import PATIENCE as PAIR_PATIENCE, Certificates
from support.certificates import self_signed
from support.objects import Object
from support.signingkeys import secret, signing_key
from unit.operator import test_key_keeper
from unit.operator.certificates import test_certificate_keeper
from unit.operator.guard import test_guard_keeper
from unit.webhook.store.test_listwatch import Kept, Server, no_time, run

__all__ = ["no_time"]

NOW: Final = datetime(2026, 11, 1, tzinfo=UTC)
NAME: Final = ("bailiwick-system", SIGNING_KEYS_SECRET)

Logs = list[Any]


@pytest.fixture
def logs() -> Iterator[Logs]:
    with capture_logs() as found:
        yield found


def made(folder: Path) -> Path:
    (folder / "made").mkdir()
    return folder / "made"


def levels(logs: Logs) -> list[str]:
    return [entry["log_level"] for entry in logs]


class TestTheDecisionPointsCertificate:
    @staticmethod
    def watching(folder: Path) -> tuple[Certificates, list[datetime]]:
        now = [datetime.now(UTC)]
        for name in ("tls.crt", "tls.key"):
            (folder / name).write_bytes(b"")
        return Certificates(folder / "tls.crt", folder / "tls.key", interval=1, clock=lambda: now[0]), now

    def test_is_waited_for_and_missed_when_it_does_not_come(self, tmp_path: Path, logs: Logs) -> None:
        watching, now = self.watching(tmp_path)
        watching.look()
        watching.look()
        assert [(entry["log_level"], entry["event"]) for entry in logs] == [
            ("info", "waiting for the first certificate")
        ]
        now[0] += timedelta(seconds=PAIR_PATIENCE)
        watching.look()
        watching.look()
        assert levels(logs) == ["info", "error"]

    def test_that_comes_in_time_is_no_problem(self, tmp_path: Path, logs: Logs) -> None:
        watching, _ = self.watching(tmp_path)
        watching.look()
        certificate, key = (path.read_bytes() for path in self_signed(made(tmp_path)))
        (tmp_path / "tls.crt").write_bytes(certificate)
        (tmp_path / "tls.key").write_bytes(key)
        watching.look()
        assert levels(logs) == ["info", "info"]

    def test_that_goes_away_is_missed_at_once(self, tmp_path: Path, logs: Logs) -> None:
        watching, _ = self.watching(tmp_path)
        certificate, key = (path.read_bytes() for path in self_signed(made(tmp_path)))
        (tmp_path / "tls.crt").write_bytes(certificate)
        (tmp_path / "tls.key").write_bytes(key)
        watching.look()
        (tmp_path / "tls.crt").write_bytes(b"")
        watching.look()
        assert levels(logs) == ["info", "error"]

    def test_whose_file_is_not_there_is_missed_at_once(self, tmp_path: Path, logs: Logs) -> None:
        watching, _ = self.watching(tmp_path)
        (tmp_path / "tls.key").unlink()
        watching.look()
        assert levels(logs) == ["error"]


class TestTheSigningKeys:
    @staticmethod
    def stored(version: str, **data: object) -> Object:
        body = secret(())
        body["metadata"]["resourceVersion"] = version
        return {**body, "data": data}

    def test_are_waited_for_and_missed_when_they_do_not_come(self, logs: Logs) -> None:
        now = [0.0]
        keys = Keys(Installation(), clock=lambda: now[0])
        for _ in range(2):
            keys.sink.replace({NAME: self.stored("1")})
        assert [(entry["log_level"], entry["event"]) for entry in logs] == [
            ("info", "no signing keys yet: the operator creates them")
        ]
        now[0] += KEYS_PATIENCE
        for _ in range(2):
            keys.sink.replace({NAME: self.stored("1")})
        assert levels(logs) == ["info", "error"]

    def test_that_are_taken_away_are_missed_at_once(self, logs: Logs) -> None:
        keys = Keys(Installation(), clock=lambda: 0.0)
        body = secret((signing_key(NOW.timestamp()),))
        body["metadata"]["resourceVersion"] = "1"
        keys.sink.replace({NAME: body})
        keys.sink.apply("MODIFIED", NAME, self.stored("2"))
        assert levels(logs) == ["info", "error"]

    def test_without_their_secret_are_missed_at_once(self, logs: Logs) -> None:
        Keys(Installation(), clock=lambda: 0.0).sink.replace({})
        assert levels(logs) == ["error"]

    async def test_that_the_operator_makes_for_the_first_time_are_no_loss(self, logs: Logs) -> None:
        api = test_key_keeper.FakeSecrets()
        keeping = test_key_keeper.keeper(api)
        await keeping.round()
        assert set(levels(logs)) == {"info"}
        assert api.secret is not None
        api.store({**api.secret, "data": {}})
        await keeping.round()
        assert "warning" in levels(logs)


class TestACertificateThatSomebodyElseIssues:
    async def test_is_waited_for_and_missed_when_it_does_not_come(self, logs: Logs) -> None:
        now = [0.0]
        api = test_certificate_keeper.FakeApi()
        keeping = ExternalCertificate(api.client, Installation(), interval=10, now=lambda: NOW, clock=lambda: now[0])
        for _ in range(2):
            await keeping.round()
        assert [(entry["log_level"], entry["event"]) for entry in logs] == [
            ("info", "waiting for the first certificate")
        ]
        now[0] += OPERATOR_PATIENCE
        for _ in range(2):
            await keeping.round()
        assert levels(logs) == ["info", "error"]

    async def test_that_is_none_is_told_at_once(self, logs: Logs) -> None:
        api = test_certificate_keeper.FakeApi()
        api.store(
            test_certificate_keeper.SERVING,
            {**api.stored[test_certificate_keeper.SERVING], "data": {"tls.crt": "eA=="}},
        )
        await ExternalCertificate(api.client, Installation(), interval=10, now=lambda: NOW, clock=lambda: 0.0).round()
        assert levels(logs) == ["error"]


@pytest.mark.usefixtures("no_time")
class TestAWatch:
    async def test_in_which_nothing_happens_is_begun_anew_without_a_warning(self, logs: Logs) -> None:
        await run(Server(SilentWatchError("no word")), Kept())
        assert levels(logs) == ["info"]

    async def test_that_breaks_is_a_warning_if_it_breaks_again_before_it_said_anything(self, logs: Logs) -> None:
        cut = ClusterUnavailableError("cut")
        await run(Server(cut, cut), Kept())
        assert levels(logs) == ["info", "warning"]


class TestTheGuard:
    async def test_that_is_recorded_for_the_first_time_is_no_change(self, logs: Logs) -> None:
        await test_guard_keeper.proven_api()
        assert set(levels(logs)) == {"info"}


@pytest.mark.parametrize(("cut", "expected"), [(False, SilentWatchError), (True, ClusterUnavailableError)])
async def test_a_watch_that_stands_and_says_nothing_is_told_from_one_that_breaks(
    cut: bool, expected: type[Exception]
) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
        await writer.drain()
        if not cut:
            await reader.read()
        writer.close()
        await writer.wait_closed()
        ended.set()

    ended = asyncio.Event()
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    cluster = ApiClient(
        HttpTransport(
            Access(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", static_token="none"), 5.0, "test"
        )
    )
    try:
        with pytest.raises(ClusterUnavailableError) as raised:
            async for _ in cluster.watch(POLICIES, "1", silence=0.2, seconds=5):
                pass
        assert type(raised.value) is expected
    finally:
        await cluster.close()
        await ended.wait()
        server.close()
