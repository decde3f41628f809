"""The demo ends what it started, and takes away no cluster that somebody kept."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from demo import __main__ as demo
from demo.leftover import KeptError, clear_the_ground, keep
from localcluster.named import Named
from localcluster.process import Running, spawn, stop
from localcluster.progress import Silent
from localcluster.tokenrequest import Account

SLEEPER: Final = [sys.executable, "-c", "import time; time.sleep(60)"]


@pytest.fixture
def named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Named:
    """A cluster of which there is a folder, and nothing that runs."""
    monkeypatch.setenv("BAILIWICK_CACHE", str(tmp_path))
    found = Named("demo")
    (found.folder / "etcd").mkdir(parents=True)
    return found


def answering(*answers: str) -> Iterator[str]:
    return iter(answers)


class TestAClusterThatIsThereAlready:
    def test_is_taken_away_where_nothing_runs_and_nobody_kept_it(self, named: Named) -> None:
        clear_the_ground(named, Silent(), ask=None)
        assert not named.exists

    @pytest.mark.parametrize("how", ["kept", "running"])
    def test_is_not_taken_away_without_a_terminal(
        self, named: Named, how: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self._make(named, how, monkeypatch)
        with pytest.raises(KeptError, match="make cluster-down ARGS='--name demo'"):
            clear_the_ground(named, Silent(), ask=None)
        assert named.exists

    @pytest.mark.parametrize("answer", ["", "n", "no", "maybe"])
    def test_is_not_taken_away_unless_somebody_says_yes(self, named: Named, answer: str) -> None:
        keep(named)
        with pytest.raises(KeptError):
            clear_the_ground(named, Silent(), ask=lambda _: answer)
        assert named.exists

    @pytest.mark.parametrize("answer", ["y", "Yes"])
    def test_is_taken_away_where_somebody_says_yes(self, named: Named, answer: str) -> None:
        keep(named)
        clear_the_ground(named, Silent(), ask=lambda _: answer)
        assert not named.exists

    def test_is_taken_away_where_the_command_says_so(self, named: Named) -> None:
        keep(named)
        clear_the_ground(named, Silent(), ask=None, replace=True)
        assert not named.exists

    @staticmethod
    def _make(named: Named, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
        if how == "kept":
            keep(named)
        else:
            monkeypatch.setattr(Named, "is_up", property(lambda _: True))


def test_what_keeps_a_token_fresh_ends_with_the_cluster_whenever_it_was_started(
    named: Named, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Running] = []

    def sleeping(name: str, _command: object, log: Path) -> Running:
        started.append(spawn(name, SLEEPER, log))
        return started[-1]

    monkeypatch.setattr(demo, "spawn", sleeping)
    processes: list[Running] = []
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
