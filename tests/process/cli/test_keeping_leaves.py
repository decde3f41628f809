"""`audit leaves`, and what `verify` and `prove` make of a log of which old lines were removed."""

import json
from pathlib import Path

import pytest

from support import commandline
from support.commandline import Ran
from support.evidence.logs import WITNESS_KEY, ProcessLog


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A log of which the older file is gone, one that is gone as a whole, and the leaves of all."""
    long, over = ProcessLog(2).records(10).close(), ProcessLog(3).records(2).close()
    (tmp_path / "old.log").write_bytes(b"".join([*over.lines, *long.lines[:5]]))
    (tmp_path / "new.log").write_bytes(b"".join(long.lines[5:]))
    (tmp_path / "notes").write_text(f"{long.checkpoint()}\n{over.checkpoint()}")
    (tmp_path / "witness.vkey").write_text(f"{WITNESS_KEY}\n")
    ran = commandline.run("audit", "leaves", str(tmp_path / "old.log"))
    assert (ran.code, len(ran.out.splitlines())) == (0, 9), ran
    assert "leaves of 9 lines of 2 chains" in ran.err
    (tmp_path / "leaves").write_text(ran.out)
    (tmp_path / "old.log").unlink()
    return tmp_path


def run(folder: Path, verb: str, *arguments: str) -> Ran:
    flags = ("--checkpoints", str(folder / "notes"), "--witness-key", str(folder / "witness.vkey"))
    return commandline.run("audit", verb, *arguments, str(folder / "new.log"), *flags)


def test_leaves_prove_that_nothing_else_is_missing(folder: Path) -> None:
    without = run(folder, "verify")
    assert (without.code, "gap 0-4" in without.out, "missing" in without.out) == (1, True, True), without
    ran = run(folder, "verify", "--leaves", str(folder / "leaves"))
    assert ran.code == 0, ran
    first, *_ = ran.out.splitlines()
    assert first.startswith("Nothing changed, and nothing removed but 9 lines whose leaves you gave, up to 2023-11-14T")
    assert ": intact; 7 lines, 5 removed, witnessed 12 up to " in ran.out
    assert "\n  removed 0-4: 5 lines were removed, and their leaves prove that no other line is missing\n" in ran.out
    body = json.loads(run(folder, "verify", "--leaves", str(folder / "leaves"), "-o", "json").out)
    assert sorted((one["lines"], one["removed"], one["intact"]) for one in body["chains"]) == [
        (0, 4, True),
        (7, 5, True),
    ]


def test_a_record_that_is_left_is_proven_as_before(folder: Path) -> None:
    without = run(folder, "prove", "Ag-7")
    assert (without.code, without.out) == (1, ""), without
    record = str(folder / "record.json")
    ran = run(folder, "prove", "Ag-7", "--leaves", str(folder / "leaves"), "--record", record)
    assert ran.code == 0, ran
    (folder / "proof").write_text(ran.out)
    key = str(folder / "witness.vkey")
    told = commandline.run("audit", "check-proof", str(folder / "proof"), record, "--witness-key", key)
    assert (told.code, told.out.startswith("proven: line 8 of the log ")) == (0, True), told


def test_a_record_that_is_gone_is_proven_by_a_proof_from_before(folder: Path) -> None:
    process = ProcessLog(2).records(10).close()
    (folder / "all.log").write_bytes(b"".join(process.lines))
    record, key = str(folder / "record.json"), str(folder / "witness.vkey")
    made = run(folder, "prove", "Ag-1", str(folder / "all.log"), "--record", record)
    (folder / "proof").write_text(made.out)
    (folder / "all.log").unlink()
    told = commandline.run("audit", "check-proof", str(folder / "proof"), record, "--witness-key", key)
    assert (told.code, told.out.startswith("proven: line 2 of the log ")) == (0, True), told


@pytest.mark.parametrize(
    ("held", "said"),
    [
        (b"no leaf\n", "line 1: not a leaf"),
        (b"\xff\n", "is not what `audit leaves` prints"),
        (None, "cannot be read: No such file or directory"),
    ],
)
def test_what_is_no_file_of_leaves_exits_with_2(folder: Path, held: bytes | None, said: str) -> None:
    if held is not None:
        (folder / "other").write_bytes(held)
    for verb in (("verify",), ("prove", "Ag-7")):
        ran = run(folder, *verb, "--leaves", str(folder / "other"))
        assert (ran.code, ran.out, said in ran.err) == (2, "", True), ran


def test_a_file_without_a_chain_has_no_leaves(folder: Path) -> None:
    ran = commandline.run("audit", "leaves", str(folder / "notes"))
    assert (ran.code, ran.out, "no line of a chain in these files" in ran.err) == (1, "", True), ran
