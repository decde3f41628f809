"""The law of shards: what they come to is, to the byte, what one process prints of all lines.

The logs are those of true histories and of the games of the auditor: edited, cut, spliced, repeated, reordered and
forged; cut again, also within lines. Each chain stands for one process that wrote it.
"""

import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from msgspec.structs import replace

from bailiwick_cli.commands import replay, unused
from bailiwick_cli.commands.audit import verify
from bailiwick_cli.options import LogOutput, ReportOutput
from bailiwick_cli.verbs.auditverbs import VerifyFlags
from bailiwick_cli.verbs.logverbs import ReplayFlags, ReplayOutput, UnusedFlags
from bailiwick_engine.call import Resource
from bailiwick_evidence.audit.chainshares import ChainOutline, ChainShare
from bailiwick_evidence.audit.logaudit import LogAudit
from bailiwick_evidence.derive.versions import engine_versions
from support.decisions import crm_calls, decided, ledger_of
from support.evidence.forgery.games import game
from support.evidence.logs import WITNESS_KEY, ProcessLog
from support.evidence.shardruns import Command, CommandAnswer, command, merged, shards_of
from support.objects import Object
from support.pages import DOCS

EXAMPLE: Final = (DOCS.parent / "examples" / "crm" / "policy.yaml").read_text(encoding="utf-8")
STANDS: Final[Object] = yaml.safe_load(EXAMPLE)
CHANGED: Final = EXAMPLE.replace("customers.list, customers.get", "customers.list").replace(
    "[customers.notify]", "[customers.notify, customers.archive]"
)
ACTIONS: Final = ("customers.list", "customers.get", "customers.export", "customers.archive")
SEEDS: Final = range(40)
KINDS: Final = pytest.mark.parametrize("captive", [False, True], ids=["all files", "a decision point's key"])


@pytest.fixture(autouse=True)
def _no_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody decides twice in the same time."""
    monkeypatch.setattr(time, "perf_counter_ns", lambda: 0)


def recut(files: list[bytes], chance: random.Random) -> list[bytes]:
    """Return files that end elsewhere, also within lines."""
    found = [*files]
    for index in range(1, len(found)):
        if chance.random() < 0.4:
            moved = chance.randrange(min(len(found[index]), 2_000) + 1)
            found[index - 1] += found[index][:moved]
            found[index] = found[index][moved:]
    if found and chance.random() < 0.4:
        place = chance.randrange(len(found))
        at = chance.randrange(len(found[place]) + 1)
        found[place : place + 1] = [found[place][:at], found[place][at:]]
    if chance.random() < 0.2:
        chance.shuffle(found)
    return found


def stored(folder: Path, files: list[bytes]) -> list[str]:
    """Write files, and return their names."""
    folder.mkdir(exist_ok=True)
    for number, content in enumerate(files):
        (folder / f"{number}.log").write_bytes(content)
    return [str(folder / f"{number}.log") for number in range(len(files))]


def is_alike(run: Command, forms: dict[str, Any], folder: Path, counts: range = range(1, 6)) -> CommandAnswer:
    """Hold what shards come to against what one process prints, in every form; return the first answer."""
    alone = {form: run(output=output) for form, output in forms.items()}
    first = next(iter(alone.values()))
    for count in counts:
        if first.code == 2:
            # What one process cannot answer, no shard answers.
            ran = run(shards=count, shard=0)
            if ran.code == 0:
                ran = merged(shards_of(run, count, folder))
            assert ran.code == 2, ran
            continue
        paths = shards_of(run, count, folder)
        random.Random(count).shuffle(paths)  # noqa: S311 - their order says nothing
        for form, answer in alone.items():
            assert merged(paths, form) == answer, (count, form)
    return first


@KINDS
@pytest.mark.parametrize("seed", SEEDS)
def test_an_audit_of_shards_is_that_of_one_process(seed: int, captive: bool, tmp_path: Path) -> None:
    played = game(seed, captive=captive)
    chance = random.Random(seed)  # noqa: S311 - so that a seed tells all
    notes = None
    if played.forger.notes and chance.random() < 0.7:
        (tmp_path / "notes").write_text("\n".join(played.forger.notes), encoding="utf-8")
        notes = [str(tmp_path / "notes")]
    names = stored(tmp_path / "logs", recut(played.files, chance))
    run = command(verify.run, VerifyFlags, files=names, checkpoints=notes, witness_key=[str(WITNESS_KEY)])
    is_alike(run, {"table": LogOutput.TABLE, "json": LogOutput.JSON}, tmp_path)


def processes(chance: random.Random) -> list[list[bytes]]:
    """Return the logs of decision points and of an operator."""
    found = [ledger_of([STANDS]).lines]
    for number in range(10, 10 + chance.randrange(2, 6)):
        versions: dict[str, Any] = {**engine_versions()}
        if chance.random() < 0.2:
            versions["engine"] = "0.0.1"
        log = ProcessLog(number, **versions)
        calls = crm_calls(chance.choices(ACTIONS, k=chance.randrange(1, 12)))
        if chance.random() < 0.3:
            # Its record is too long for an entry of a log.
            place = chance.randrange(len(calls))
            calls[place] = replace(calls[place], resource=Resource("customer", str(number) * 40_000))
        decided([STANDS], calls, log=log, began=1_772_700_000.0 + chance.randrange(80) * 86_400, every=3_600.0)
        found.append(log.close().stream if chance.random() < 0.5 else log.stream)
    return found


def damaged(logs: list[list[bytes]], chance: random.Random) -> list[bytes]:
    """Return logs as files in any order, some with lines that are gone, there twice, torn, forged or of no chain."""
    files = []
    for log in logs:
        lines = list(log)
        for _ in range(chance.choice((0, 0, 0, 1, 2))):
            place = chance.randrange(len(lines))
            line = lines[place]
            lines[place : place + 1] = chance.choice(
                (
                    [],
                    [line, line],
                    [line[: len(line) // 2] + b"\n", line],
                    [line.replace(b'"decision":true', b'"decision":false')],
                    [line, b'{"kind":"evaluation","decision":true}\n'],
                    [line.replace(b'"kind":"evaluation"', b'"kind":"evaluation","kind":"policies"')],
                )
            )
        files.append(b"".join(lines))
    chance.shuffle(files)
    return recut(files, chance)


@pytest.mark.parametrize("seed", SEEDS)
def test_derived_decisions_of_shards_are_those_of_one_process(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)  # noqa: S311 - so that a seed tells all
    names = stored(tmp_path / "logs", damaged(processes(chance), chance))
    run = command(verify.run, VerifyFlags, files=names, policies="ledger", witness_key=[str(WITNESS_KEY)])
    is_alike(run, {"table": LogOutput.TABLE, "json": LogOutput.JSON}, tmp_path)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_replay_of_shards_is_that_of_one_process(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)  # noqa: S311 - so that a seed tells all
    (tmp_path / "candidate.yaml").write_text(chance.choice((CHANGED, EXAMPLE)), encoding="utf-8")
    names = stored(tmp_path / "logs", damaged(processes(chance), chance))
    run = command(replay.run, ReplayFlags, files=names, candidate=[str(tmp_path / "candidate.yaml")])
    is_alike(run, {form.value: form for form in ReplayOutput}, tmp_path)


@pytest.mark.parametrize("seed", SEEDS)
def test_uses_of_shards_are_those_of_one_process(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)  # noqa: S311 - so that a seed tells all
    (tmp_path / "policy.yaml").write_text(chance.choice((CHANGED, EXAMPLE)), encoding="utf-8")
    names = stored(tmp_path / "logs", damaged(processes(chance), chance))
    run = command(unused.run, UnusedFlags, files=names, file=[str(tmp_path / "policy.yaml")], window="30d")
    is_alike(run, {form.value: form for form in ReportOutput}, tmp_path)


class TestTheLawNotices:
    """The tests above are red without what they are there for."""

    @staticmethod
    def fails(test: Callable[..., None], folder: Path, **given: object) -> bool:
        for seed in SEEDS:
            (folder / str(seed)).mkdir()
            try:
                test(seed, tmp_path=folder / str(seed), **given)
            except AssertionError:
                return True
        return False

    def test_where_a_share_does_not_keep_what_its_chains_depend_on(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setattr(LogAudit, "lacking", frozenset())
        assert self.fails(test_an_audit_of_shards_is_that_of_one_process, tmp_path, captive=True)

    def test_where_chains_are_in_no_share(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setattr(ChainShare, "owns", lambda self, _: self.count == 1)
        assert self.fails(test_an_audit_of_shards_is_that_of_one_process, tmp_path, captive=False)

    def test_where_a_line_of_another_share_counts_each_time(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setattr(ChainOutline, "add", lambda *_: True)
        assert self.fails(test_an_audit_of_shards_is_that_of_one_process, tmp_path, captive=True)
