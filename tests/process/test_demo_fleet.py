"""The demo of a fleet fails where it does not see what it promises, and its intruder does no more than it says."""

import gzip
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import pytest
import yaml

from bailiwick_evidence.derive.versions import engine_versions
from demo.fleet import __main__ as demo
from demo.fleet.acts import Acts
from demo.fleet.storage import Intruder, LogShippers
from demo.fleet.world import BUCKET, Shell
from demo.narrator import Silent, Terminal
from demo.s1 import NotAsToldError
from localcluster.progress import Silent as NoProgress
from support.decisions import MARCH, crm_calls, decided, ledger_of, written
from support.evidence.logs import WITNESS_KEY, ProcessLog
from support.fleetsync import EXAMPLES
from support.objectstore import S3Server, s3_server

ALLOWED: Final = rb'{"body":{"stringValue":"{\"decision\":true}\n"}}' + b"\n"
DENIED: Final = rb'{"body":{"stringValue":"{\"decision\":false}\n"}}' + b"\n"


class Store:
    """The objects of one bucket; stands in for the S3 server."""

    def __init__(self, objects: Mapping[str, bytes]) -> None:
        self._kept = {name: gzip.compress(lines) for name, lines in objects.items()}

    def objects(self, bucket: str, prefix: str) -> dict[str, bytes]:
        assert bucket == "bailiwick-records"
        return {name: content for name, content in self._kept.items() if name.startswith(prefix)}

    def put(self, bucket: str, objects: Mapping[str, bytes]) -> None:
        assert bucket == "bailiwick-records"
        self._kept |= objects

    def lines(self) -> dict[str, bytes]:
        return {name: gzip.decompress(content) for name, content in self._kept.items()}


def intruder(store: Store) -> Intruder:
    return Intruder(store)  # type: ignore[arg-type]  # of the server it needs these two


@pytest.mark.parametrize(("ends", "expected"), [(0, 1), (1, 0), (2, 1)])
def test_a_command_that_ends_otherwise_is_not_as_told(tmp_path: Path, ends: int, expected: int) -> None:
    (tmp_path / "program").write_text(f"#!/bin/sh\necho words\nexit {ends}\n", encoding="utf-8")
    (tmp_path / "program").chmod(0o755)
    shell = Shell(tmp_path, Silent(), {})
    assert shell.type("./program", "verb", code=ends).out == "words\n"
    with pytest.raises(NotAsToldError, match=f"verb` should exit with {expected}, but exited with {ends}: words"):
        shell.type("./program", "verb", code=expected)


def test_what_is_shown_is_the_command_as_it_is_typed_and_what_it_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "program").write_text("#!/bin/sh\necho $WORDS\n", encoding="utf-8")
    (tmp_path / "program").chmod(0o755)
    shell = Shell(tmp_path, Terminal(), {"WORDS": "of the environment"})
    shell.type("./program", "with space")
    shell.type("./program", "quiet", into="kept")
    shown = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert shown == ["$ ./program 'with space'", "| of the environment", "$ ./program quiet > kept"]
    assert (tmp_path / "kept").read_text(encoding="utf-8") == "of the environment\n"


def test_the_demo_exits_with_1_if_a_step_is_not_as_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def not_as_told(*_: object, **__: object) -> None:
        raise NotAsToldError("`verify` should exit with 1, but exited with 0")

    monkeypatch.setattr(demo, "play", not_as_told)
    monkeypatch.setattr("sys.argv", ["demo.fleet"])
    assert demo.main() == 1
    printed = capsys.readouterr()
    assert printed.err == "\nThe demo did not go as expected: `verify` should exit with 1, but exited with 0\n"
    assert "What the demo showed" not in printed.out


def test_one_line_is_changed_and_it_is_the_first_denial() -> None:
    store = Store({"east/f.0/010.log.gz": DENIED + ALLOWED * 2, "east/f.0/000.log.gz": ALLOWED + DENIED * 2})
    intruder(store).change_a_line("east")
    assert store.lines() == {
        "east/f.0/000.log.gz": ALLOWED * 2 + DENIED,
        "east/f.0/010.log.gz": DENIED + ALLOWED * 2,
    }


def test_so_many_lines_are_cut_from_the_end_and_from_no_other_log() -> None:
    others = {"west/ledger/f.0/000.log.gz": ALLOWED * 9}
    store = Store({"west/decisions/f.0/010.log.gz": DENIED * 2, "west/decisions/f.0/000.log.gz": ALLOWED * 5} | others)
    assert intruder(store).cut("west/decisions", 4) == 3
    assert (
        store.lines()
        == {
            "west/decisions/f.0/010.log.gz": b"",
            "west/decisions/f.0/000.log.gz": ALLOWED * 3,
        }
        | others
    )


def test_an_intruder_that_finds_nothing_to_do_is_not_as_told() -> None:
    store = Store({"east/f.0/000.log.gz": ALLOWED})
    for act in (lambda: intruder(store).change_a_line("east"), lambda: intruder(store).cut("east", 2)):
        with pytest.raises(NotAsToldError):
            act()


class Fleet:
    """Logs of two clusters as a decision point and an operator write them, and what their witnesses cosigned."""

    def __init__(self, folder: Path, server: S3Server) -> None:
        self.folder = folder
        self.shell = Shell(folder, Silent(), {**server.environment, "KUBECONFIG": str(folder / "none")})
        self.members: dict[str, Any] = {}
        policy = yaml.safe_load((EXAMPLES / "fleet" / "base" / "policy.yaml").read_text(encoding="utf-8"))
        actions = ["customers.get"] * 80 + ["customers.purge"] * 40 + ["customers.get"] * 80
        for part in ("kept", "state", "east", "west"):
            (folder / part).mkdir()
        versions: dict[str, Any] = {**engine_versions()}
        for number, name in enumerate(("east", "west"), 10):
            records = decided([policy], crm_calls(actions), log=ProcessLog(number, **versions), every=1)
            ledger = ledger_of([policy], number + 10)
            notes = "\n".join(log.checkpoint(now=int(MARCH) + 300) for log in (records, ledger))
            (folder / "kept" / f"{name}.notes").write_text(notes, encoding="utf-8")
            (folder / "kept" / f"{name}.vkey").write_text(f"{WITNESS_KEY}\n", encoding="utf-8")
            self.members[name] = SimpleNamespace(
                name=name,
                records=written(folder / name / "webhook-0.records.jsonl", records),
                ledger=written(folder / name / "operator.ledger.jsonl", ledger),
            )

    def ship(self) -> None:
        with ExitStack() as closing:
            shipping = LogShippers(self.shell, closing, lambda _: None)
            shipping.collect(self.members["east"])
            shipping.ship("west/webhook-0.records.jsonl", "west/decisions")
            shipping.ship("west/operator.ledger.jsonl", "west/ledger")
            shipping.await_collected()
            shipping.end()


@pytest.mark.long
def test_what_collector_and_shippers_store_is_whole_answers_for_a_moment_and_shows_what_is_changed(
    tmp_path: Path,
) -> None:
    (tmp_path / "home").mkdir()
    with s3_server(tmp_path) as server:
        server.bucket(BUCKET)
        fleet = Fleet(tmp_path / "home", server)
        fleet.ship()
        acts = Acts(fleet.shell, None, fleet.members, NoProgress())  # type: ignore[arg-type]  # nothing is rolled out
        acts.moment = "2026-03-05T09:00:40Z"
        acts.who_could()
        acts.verify()
        acts.tamper(Intruder(server))
        # Of a log that was changed, the act that finds it intact fails.
        with pytest.raises(NotAsToldError, match="should exit with 0, but exited with 1: This log is not what it was"):
            acts.verify()
