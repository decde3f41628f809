"""What is not added up: shards that are missing, there twice, cut, changed, or of something else."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from bailiwick_cli.commands import unused
from bailiwick_cli.commands.audit import verification, verify
from bailiwick_cli.shards.shardfile import LogShard
from bailiwick_cli.verbs.auditverbs import VerifyFlags
from bailiwick_cli.verbs.logverbs import UnusedFlags
from bailiwick_evidence.audit.chainshares import ChainShare
from support.evidence.logs import WITNESS_KEY, ProcessLog
from support.evidence.shardruns import Command, command, merged, shards_of
from support.evidence.tilelogs import CLUSTERS, EAST, WEST, process_log
from support.pages import DOCS

LOGS: Final = [ProcessLog(number).records(4).close() for number in (2, 3, 4, 5)]
CLUSTER_LOGS: Final = [process_log(number).records(4).close() for number in (2, 3, 4, 5)]
COUNT: Final = 3


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "decisions.log"
    path.write_bytes(b"".join(line for log in LOGS for line in log.lines))
    return path


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    path = tmp_path / "notes"
    path.write_text("\n".join(log.checkpoint() for log in LOGS), encoding="utf-8")
    return path


@pytest.fixture
def run(log: Path, notes: Path) -> Command:
    return command(verify.run, VerifyFlags, files=[str(log)], checkpoints=[str(notes)], witness_key=[str(WITNESS_KEY)])


@pytest.fixture
def shards(run: Command, tmp_path: Path) -> list[Path]:
    return shards_of(run, COUNT, tmp_path)


def test_all_of_them_are_intact_as_the_log_is(run: Command, shards: list[Path]) -> None:
    assert merged(shards) == run()
    assert run().code == 0


def test_a_chain_of_two_clusters_is_contradicted_as_the_log_is(log: Path, tmp_path: Path) -> None:
    log.write_bytes(b"".join(line for one in CLUSTER_LOGS for line in one.lines))
    notes = [one.checkpoint(by=EAST) for one in CLUSTER_LOGS] + [CLUSTER_LOGS[0].checkpoint(by=WEST)]
    (tmp_path / "notes").write_text("\n".join(notes), encoding="utf-8")
    keys = [f"{name}={key}" for key, name in CLUSTERS.items()]
    run = command(verify.run, VerifyFlags, files=[str(log)], checkpoints=[str(tmp_path / "notes")], witness_key=keys)
    found = merged(shards_of(run, COUNT, tmp_path))
    assert found == run()
    assert (found.code, found.out.count("contradicted"), found.out.count(" of east: intact")) == (1, 1, 3)


def test_shards_by_other_names_of_clusters_are_refused(log: Path, notes: Path, tmp_path: Path) -> None:
    paths = []
    for index, name in enumerate(("east", "west")):
        key = [f"{name}={WITNESS_KEY}"]
        run = command(verify.run, VerifyFlags, files=[str(log)], checkpoints=[str(notes)], witness_key=key)
        paths.append(tmp_path / f"{index}")
        paths[-1].write_text(run(shards=2, shard=index).out, encoding="utf-8")
    assert merged(paths).code == 2


def test_they_may_be_in_one_file_with_what_was_said_beside_them(run: Command, shards: list[Path]) -> None:
    text = "".join(f"warning: a note\n{path.read_text(encoding='utf-8')}" for path in shards)
    shards[0].write_text(text, encoding="utf-8")
    assert merged(shards[:1]) == run()


def changed(path: Path, **members: Any) -> None:  # noqa: ANN401 - of any member
    """Change members of a shard, and make its own digest fit, as somebody who can write it would."""
    made = json.loads(path.read_text(encoding="utf-8")) | members | {"sha256": ""}
    raw = msgspec.json.decode(json.dumps(made, separators=(",", ":")).encode(), type=LogShard)
    path.write_bytes(msgspec.json.encode(raw.sealed()) + b"\n")


def missing(paths: list[Path], _: Command) -> None:
    del paths[1]


def twice(paths: list[Path], _: Command) -> None:
    paths.append(paths[0])


def cut(paths: list[Path], _: Command) -> None:
    paths[1].write_bytes(paths[1].read_bytes()[:-40])


def edited(paths: list[Path], _: Command) -> None:
    paths[1].write_bytes(paths[1].read_bytes().replace(b'"lines":', b'"lines":1', 1))


def empty(paths: list[Path], _: Command) -> None:
    paths[1].write_bytes(b"")


def of_other_count(paths: list[Path], run: Command) -> None:
    paths[1].write_text(run(shards=COUNT + 1, shard=1).out, encoding="utf-8")


def of_other_log(paths: list[Path], run: Command) -> None:
    log = paths[0].parent / "decisions.log"
    log.write_bytes(log.read_bytes() + b"{}\n")
    paths[1].write_text(run(shards=COUNT, shard=1).out, encoding="utf-8")


def of_log_without_a_chain(paths: list[Path], run: Command) -> None:
    log = paths[0].parent / "decisions.log"
    log.write_bytes(b"".join(line for one in LOGS[1:] for line in one.lines))
    paths[1].write_text(run(shards=COUNT, shard=1).out, encoding="utf-8")


def of_other_options(paths: list[Path], run: Command) -> None:
    paths[1].write_text(run(shards=COUNT, shard=1, since="2026-01-01T00:00:00Z").out, encoding="utf-8")


def of_other_files_of_options(paths: list[Path], run: Command) -> None:
    (paths[0].parent / "notes").write_text(LOGS[0].checkpoint(), encoding="utf-8")
    paths[1].write_text(run(shards=COUNT, shard=1).out, encoding="utf-8")


def of_other_version(paths: list[Path], _: Command) -> None:
    versions = json.loads(paths[1].read_text(encoding="utf-8"))["versions"]
    changed(paths[1], versions=versions | {"engine": "0.0.1"})


def of_other_verb(paths: list[Path], _: Command) -> None:
    changed(paths[1], verb="unused")


def of_other_totals(paths: list[Path], _: Command) -> None:
    whole = json.loads(paths[1].read_text(encoding="utf-8"))["whole"]
    changed(paths[1], whole=whole | {"lines": whole["lines"] - 1})


def without_a_chain(paths: list[Path], _: Command) -> None:
    path = next(one for one in paths if json.loads(one.read_text(encoding="utf-8"))["share"]["reports"])
    share = json.loads(path.read_text(encoding="utf-8"))["share"]
    changed(path, share=share | {"reports": share["reports"][1:]})


def with_a_chain_twice(paths: list[Path], _: Command) -> None:
    path = next(one for one in paths if json.loads(one.read_text(encoding="utf-8"))["share"]["reports"])
    share = json.loads(path.read_text(encoding="utf-8"))["share"]
    changed(path, share=share | {"reports": [share["reports"][0], *share["reports"]]})


def with_a_chain_of_another(paths: list[Path], _: Command) -> None:
    path = next(one for one in paths if json.loads(one.read_text(encoding="utf-8"))["share"]["reports"])
    found = json.loads(path.read_text(encoding="utf-8"))
    other = next(log.id for log in LOGS if not ChainShare(found["shard"], COUNT).owns(log.id))
    changed(path, share=found["share"] | {"reports": [found["share"]["reports"][0] | {"chain": other}]})


def of_unknown_verb(paths: list[Path], _: Command) -> None:
    for path in paths:
        changed(path, verb="audit prove")


def without_members(paths: list[Path], _: Command) -> None:
    changed(paths[1], share={"reports": []})


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (missing, "1 of 3 shards are missing: 1"),
        (twice, "shard 0 is there twice"),
        (cut, "the shard was cut"),
        (edited, "the shard was changed after it was written"),
        (empty, "is no shard"),
        (of_other_count, "one is of 4 shards, and one of 3"),
        (of_other_log, "they did not read the same log"),
        (of_log_without_a_chain, "they did not read the same log"),
        (of_other_options, "their options differ"),
        (of_other_files_of_options, "their options differ, or the files that these name"),
        (of_other_version, "another version wrote the shard"),
        (of_other_verb, "one is of `unused`, and one of `audit verify`"),
        (of_other_totals, "what they say of the whole log differs"),
        (without_a_chain, "the log has 4 chains, and the shards have 3"),
        (with_a_chain_twice, "has a chain twice"),
        (with_a_chain_of_another, "which is another shard's"),
        (of_unknown_verb, "cannot be added up by this version"),
        (without_members, "a shard holds something else than its command writes"),
    ],
    ids=lambda one: one.__name__ if callable(one) else "",
)
def test_what_is_not_all_of_one_log_is_never_an_answer(
    harm: Callable[[list[Path], Command], None], said: str, run: Command, shards: list[Path]
) -> None:
    harm(shards, run)
    ran = merged(shards)
    assert ran.code == 2
    assert said in ran.out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"shards": 2}, "set both --shards N and --shard I"),
        ({"shard": 0}, "set both --shards N and --shard I"),
        ({"shards": 2, "shard": 2}, "set 0 to 1"),
        ({"shards": 2, "shard": 0, "since": "24h"}, "is another moment in each shard"),
        ({"shards": 2, "shard": 0, "output": "json"}, "a shard is always JSON"),
        ({"shards": 2, "shard": 0, "image": "x"}, "are for --as-job"),
        ({"shards": 2, "shard": 0, "cluster_log": "clusters"}, "verify the cluster log without --shards"),
    ],
)
def test_what_no_shard_can_be_is_refused(options: dict[str, Any], said: str, run: Command) -> None:
    ran = run(**options)
    assert (ran.code, said in ran.out) == (2, True), ran


def test_a_state_of_uses_is_refused(log: Path, tmp_path: Path) -> None:
    run = command(unused.run, UnusedFlags, files=[str(log)], file=[str(tmp_path)], state=str(tmp_path / "state"))
    ran = run(shards=2, shard=0)
    assert (ran.code, "remove it, or --shards" in ran.out) == (2, True), ran


def test_a_form_that_the_divided_command_does_not_have_is_refused(shards: list[Path]) -> None:
    ran = merged(shards, "junit")
    assert (ran.code, "is not printed as junit" in ran.out) == (2, True), ran


def test_shards_by_policies_that_changed_in_between_are_refused(run: Command, tmp_path: Path) -> None:
    policies, paths = tmp_path / "policies.yaml", [tmp_path / "0", tmp_path / "1"]
    example = (DOCS.parent / "examples" / "crm" / "policy.yaml").read_text(encoding="utf-8")
    for index, path in enumerate(paths):
        policies.write_text(example.replace("customers.get", f"customers.get{index}"), encoding="utf-8")
        ran = run(shards=2, shard=index, policies=str(policies))
        assert ran.code == 0, ran
        path.write_text(ran.out, encoding="utf-8")
    ran = merged(paths)
    assert (ran.code, "or the files that these name" in ran.out) == (2, True), ran


def test_a_log_that_changes_between_two_readings_is_refused(
    log: Path, run: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def grown(*_: object, **__: object) -> tuple[str, ...]:
        with log.open("ab") as file:
            file.write(b"plain\n")
        return ()

    # Said between the two readings.
    monkeypatch.setattr(verification, "hints", grown)
    ran = run(shards=2, shard=0, policies="ledger")
    assert (ran.code, "the log changed while it was read" in ran.out) == (2, True), ran


def test_a_share_has_each_chain_once() -> None:
    for count in range(1, 9):
        for log in LOGS:
            assert sum(ChainShare(index, count).owns(log.id) for index in range(count)) == 1
