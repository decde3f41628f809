"""The chain of a process: its first line and its last, and that a number is never given to two lines."""

import asyncio
import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest

from bailiwick_evidence.chain import MOST_BYTES, link
from bailiwick_evidence.checkpoint import Checkpoint
from bailiwick_evidence.merkle import leaf_hash
from bailiwick_evidence.note import VerifierKey, open_note
from bailiwick_webhook.record.writing.chainlog import ChainLog, PodName, SignedCheckpoint
from bailiwick_webhook.record.writing.waitingline import RecordFailedError
from bailiwick_webhook.record.writing.writer import QueueLimits, RecordWriter
from support.chains import Stream, read

FULL: Final = Path("/dev/full")
LINE: Final = b'{"time":"t","kind":"evaluation","n":%d}\n'
POD: Final = PodName("bailiwick-webhook-0", "5f0e")


def log(**more: object) -> ChainLog:
    return ChainLog("bailiwick-system", pod=POD, about={"version": "0.1.0", **more}, clock=lambda: 1_800_000_000.0)


async def written(file: Path, *lines: bytes, chain: ChainLog | None = None) -> Stream:
    async with RecordWriter(file, fsync=False, chain=chain or log()) as writer:
        for line in lines:
            await writer.write(line)
    return read(await asyncio.to_thread(file.read_bytes))


def told(note: str, key: str) -> Checkpoint:
    return Checkpoint.parse(open_note(note, [VerifierKey.parse(key)]).text)


async def test_the_first_line_says_whose_chain_it_is_and_the_last_how_it_ended(tmp_path: Path) -> None:
    chain = log(engine="1")
    stream = await written(tmp_path / "records", LINE % 1, LINE % 2, chain=chain)
    first, *_, last = stream.lines()
    assert first == {
        "log": {"id": chain.id, "seq": 0, "prev": None},
        "time": "2027-01-15T08:00:00.000+00:00",
        "kind": "open",
        "chain": chain.id,
        "installation": "bailiwick-system",
        "pod": {"name": "bailiwick-webhook-0", "uid": "5f0e"},
        "key": chain.key,
        "version": "0.1.0",
        "engine": "1",
    }
    assert VerifierKey.parse(chain.key).name == f"bailiwick/bailiwick-system/{chain.id}"
    assert (last["kind"], last["reason"], last["written"], last["lost"]) == ("close", "stopped", 2, 0)
    assert [line["n"] for line in stream.records()] == [1, 2]


async def test_a_chain_that_ends_by_a_failure_says_so(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="elsewhere"):
        async with RecordWriter(tmp_path / "records", fsync=False, chain=log()):
            raise ValueError("elsewhere")
    assert read((tmp_path / "records").read_bytes()).lines()[-1]["reason"] == "failed"


async def test_each_process_has_a_chain_and_a_key_of_its_own_and_names_the_one_before(tmp_path: Path) -> None:
    file = tmp_path / "records"
    chains = [log(), log()]
    assert chains[0].id != chains[1].id
    assert VerifierKey.parse(chains[0].key).public != VerifierKey.parse(chains[1].key).public
    before = await written(file, LINE % 1, chain=chains[0])
    with file.open("ab") as torn:
        torn.write(before.chains[chains[0].id][1][:-5] + b"\nof another program\n" + LINE[:9])
    stream = file.read_bytes()
    async with RecordWriter(file, fsync=False, chain=chains[1]) as writer:
        await writer.write(LINE % 2)
    behind = file.read_bytes()[len(stream) :]
    (first, *_) = [json.loads(line) for line in behind.splitlines()[1:]]
    last = before.chains[chains[0].id][-1]
    (at,) = [found for found in [link(last)] if found is not None]
    head = link(b'{"log":{"id":"%b","seq":1,"prev":"%b"},' % (b"A" * 22, first["previous"]["head"].encode()))
    assert (first["previous"]["id"], first["previous"]["seq"]) == (at.id, at.seq)
    assert head is not None
    assert head.prev == leaf_hash(last)


async def test_a_line_of_which_only_the_newline_is_missing_is_the_last_of_its_chain(tmp_path: Path) -> None:
    file, chain = tmp_path / "records", log()
    before = await written(file, LINE % 1, chain=chain)
    await asyncio.to_thread(os.truncate, file, file.stat().st_size - 1)
    stream = await written(file, LINE % 2)
    (name,) = set(stream.chains) - {chain.id}
    assert stream.lines(name)[0]["previous"]["seq"] == len(before.chains[chain.id]) - 1
    assert stream.chains[chain.id] == before.chains[chain.id]


async def test_of_a_file_that_has_no_chain_none_is_named(tmp_path: Path) -> None:
    file = tmp_path / "records"
    file.write_bytes(LINE % 0 * 20_000)
    stream = await written(file, LINE % 1)
    assert "previous" not in stream.lines()[0]


async def test_a_list_of_policies_before_a_record_has_a_number_too(tmp_path: Path) -> None:
    stream = await written(tmp_path / "records", b'{"kind":"policies"}\n' + LINE % 1)
    assert [(line["log"]["seq"], line["kind"]) for line in stream.lines()] == [
        (0, "open"),
        (1, "policies"),
        (2, "evaluation"),
        (3, "close"),
    ]


async def test_a_line_that_is_too_long_for_a_log_stands_behind_its_hash(tmp_path: Path) -> None:
    longest = LINE[:-2] % 1 + b',"x":"'
    longest += b"x" * (MOST_BYTES - 131 - len(longest)) + b'"}\n'
    longer = longest.replace(b'"x":"', b'"x":"x')
    stream = await written(tmp_path / "records", longest, longer, LINE % 3)
    assert [line["kind"] for line in stream.lines()] == ["open", "evaluation", "hash", "evaluation", "close"]
    assert max(map(len, stream.chains[stream.lines()[0]["chain"]])) <= MOST_BYTES
    hashed = stream.lines()[2]
    assert stream.others == [longer[:-1]]
    assert (hashed["sha256"], hashed["bytes"]) == (hashlib.sha256(longer[:-1]).hexdigest(), len(longer) - 1)


class Disk:
    """What `os.write` finds: room for so many bytes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, room: int) -> None:
        self.room = room
        write = os.write

        def until_full(descriptor: int, data: memoryview) -> int:
            if not self.room:
                raise OSError(28, "No space left on device")
            done = write(descriptor, data[: self.room])
            self.room -= done
            return done

        monkeypatch.setattr(os, "write", until_full)


async def test_a_line_that_was_cut_keeps_its_number_and_its_bytes_though_its_call_was_denied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, disk = tmp_path / "records", Disk(monkeypatch, 10_000)
    async with RecordWriter(file, fsync=False, chain=log()) as writer:
        await writer.write(LINE % 1)
        disk.room = 30
        with pytest.raises(RecordFailedError):
            await writer.write(LINE % 2)
        # It has no byte in the file, so nobody has seen its number.
        with pytest.raises(RecordFailedError):
            await writer.write(LINE % 3)
        assert (writer.held, writer.lost) == (1, 1)
        disk.room = 10_000
        await writer.write(LINE % 4)
        assert (writer.held, writer.written) == (0, 3)
    stream = read(file.read_bytes())
    assert [line["n"] for line in stream.records()] == [1, 2, 4]
    assert len(stream.fragments) == 1
    assert stream.lines()[-1]["lost"] == 1


async def test_what_a_disk_did_not_confirm_is_written_again_byte_for_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, failures = tmp_path / "records", [False]

    def fsync(descriptor: int) -> None:
        if failures.pop() if failures else False:
            raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", fsync)
    async with RecordWriter(file, fsync=True, chain=log()) as writer:
        await writer.write(LINE % 1)
        failures[:] = [True]
        with pytest.raises(RecordFailedError, match="Input/output error"):
            await writer.write(LINE % 2)
        await writer.write(LINE % 3)
    stream = read(file.read_bytes())
    assert [line["n"] for line in stream.records()] == [1, 2, 3]
    assert stream.repeats == 1


async def test_a_checkpoint_covers_what_stands_and_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chain, disk = log(), Disk(monkeypatch, 10_000)
    async with RecordWriter(tmp_path / "records", fsync=False, chain=chain) as writer:
        await writer.write(LINE % 1)
        disk.room = 200
        with pytest.raises(RecordFailedError):
            await writer.write(LINE % 2 * 5)
        found = chain.checkpoint(0)
        assert isinstance(found, SignedCheckpoint)
        assert told(found.note, chain.key).size == 2
        assert chain.size == 2


@pytest.mark.skipif(not FULL.exists(), reason="this system has no disk that is always full")
async def test_of_a_disk_that_is_full_from_the_start_every_use_is_refused_and_nothing_is_signed() -> None:
    chain = log()
    async with RecordWriter(FULL, fsync=False, limits=QueueLimits(timeout=0.3), chain=chain) as writer:
        for _ in range(3):
            with pytest.raises(RecordFailedError):
                await writer.write(LINE % 1)
        found = chain.checkpoint(0)
        assert isinstance(found, SignedCheckpoint)
        assert told(found.note, chain.key).size == 0
    assert (writer.lost, writer.written) == (3, 0)


async def test_nothing_is_written_behind_the_line_that_closes(tmp_path: Path) -> None:
    async with RecordWriter(tmp_path / "records", fsync=False, chain=log()) as writer:
        await writer.write(LINE % 1)
    assert not writer.take(LINE % 2)
    with pytest.raises(RecordFailedError):
        await writer.write(LINE % 2)
    assert read((tmp_path / "records").read_bytes()).lines()[-1]["kind"] == "close"


async def ledgers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: Sequence[tuple[str, float]]) -> list[str]:
    """Return which of these checkpoints come to stand in the chain, each told so many seconds after the beginning."""
    file = tmp_path / "records"
    async with RecordWriter(file, fsync=False, chain=log()) as writer:
        loop, passed = asyncio.get_running_loop(), 0.0
        monkeypatch.setattr(
            writer,
            "_loop",
            type(
                "Later",
                (),
                {
                    "time": lambda _: loop.time() + passed,
                    "__getattr__": lambda _, name: getattr(loop, name),
                },
            )(),
        )
        for note, seconds in told:
            passed = seconds
            writer.witness(note)
        passed = 0.0
    return [line["note"] for line in read(file.read_bytes()).lines() if line["kind"] == "ledger"]


async def test_a_ledger_is_told_of_once_a_minute_and_only_if_it_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = [("1", 0.0), ("2", 30.0), ("1", 61.0), ("2", 61.0), ("3", 90.0), ("3", 122.0)]
    kept = await ledgers(tmp_path, monkeypatch, [(f"log\n{size}\n", seconds) for size, seconds in told])
    assert kept == ["log\n1\n", "log\n2\n", "log\n3\n"]


async def test_the_ledger_of_who_leads_next_does_not_wait_for_the_minute_to_be_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = [("one\n1\n", 0.0), ("two\n1\n", 5.0), ("two\n2\n", 15.0), ("two\n3\n", 65.0)]
    assert await ledgers(tmp_path, monkeypatch, told) == ["one\n1\n", "two\n1\n", "two\n3\n"]
