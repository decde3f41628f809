"""Checkpoints, proofs in files, and the lines of a chain: what is written is read again, and nothing else is."""

import json

import pytest

from bailiwick_evidence import chain
from bailiwick_evidence.chain import ChainLink, ChainWriter, link
from bailiwick_evidence.checkpoint import Checkpoint, chain_of, origin
from bailiwick_evidence.merkle import EMPTY, leaf_hash, root
from bailiwick_evidence.note import NoteError
from bailiwick_evidence.tlogproof import LogProof

ID = "A" * 22
GOOD = Checkpoint(origin("5a1e", ID), 3, EMPTY)


def test_a_checkpoint_is_read_as_it_was_written() -> None:
    assert Checkpoint.parse(GOOD.text()) == GOOD
    assert Checkpoint.parse(GOOD.text() + "for others\n") == GOOD


@pytest.mark.parametrize(
    "text",
    ["", "a\n3\n", "\n3\n" + GOOD.text().split("\n")[2], GOOD.text().replace("\n3\n", "\n03\n"), GOOD.text()[:-3]],
)
def test_what_is_no_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(NoteError):
        Checkpoint.parse(text)


def test_an_origin_names_installation_and_chain() -> None:
    assert chain_of(GOOD.origin) == ("5a1e", ID)
    for other in ("", "example.com/log", GOOD.origin + "A", "bailiwick/a/b/" + ID):
        assert chain_of(other) is None


def test_a_proof_is_read_as_it_was_written() -> None:
    for proof in (LogProof(0, (), "a\n\nb\n"), LogProof(7, (EMPTY, bytes(32)), GOOD.text(), b"more")):
        assert LogProof.parse(proof.text()) == proof


@pytest.mark.parametrize(
    ("changed", "to"),
    [
        ("c2sp.org/tlog-proof@v1", "c2sp.org/tlog-proof@v2"),
        ("index 7", "index 07"),
        ("index 7\n", ""),
        ("extra ", "extra !"),
        ("\n\n", "\n"),
        ("AAAA=\n", "AAA=\n"),
    ],
)
def test_what_is_no_proof_is_refused(changed: str, to: str) -> None:
    text = LogProof(7, (EMPTY, bytes(32)), GOOD.text(), b"more").text()
    assert changed in text
    with pytest.raises(NoteError):
        LogProof.parse(text.replace(changed, to))


def test_a_line_names_the_one_before_and_is_otherwise_as_it_was() -> None:
    writer = ChainWriter(ID)
    bodies = [b'{"kind":"open"}\n', b'{"a":1}\n', b'{"b":{"c":2}}\n']
    lines = [writer.append(one) for one in bodies]
    assert [json.loads(line)["log"]["seq"] for line in lines] == [0, 1, 2]
    assert link(lines[0]) == ChainLink(ID, 0, None)
    assert link(lines[2]) == ChainLink(ID, 2, leaf_hash(lines[1][:-1]))
    assert [chain.body(line) for line in lines] == bodies
    assert next(iter(json.loads(lines[1]))) == "log"
    assert writer.forest.root == root(leaf_hash(line[:-1]) for line in lines)
    assert (writer.size, writer.head) == (3, leaf_hash(lines[2][:-1]))


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{}",
        b'{"time":"now"}',
        b'{"log":{"id":"short","seq":0,"prev":null},"a":1}',
        b'{"log":{"id":"AAAAAAAAAAAAAAAAAAAAAA","seq":01,"prev":null},"a":1}',
        b'{"log":{"id":"AAAAAAAAAAAAAAAAAAAAAA","seq":0,"prev":"AAAA"},"a":1}',
        b' {"log":{"id":"AAAAAAAAAAAAAAAAAAAAAA","seq":0,"prev":null},"a":1}',
    ],
)
def test_a_line_of_no_chain_says_nothing_of_one(line: bytes) -> None:
    assert link(line) is None


def test_an_id_is_made_of_sixteen_bytes_and_can_be_read() -> None:
    for held in (bytes(16), bytes(range(16)), b"\xff" * 16):
        name = chain.chain_id(held)
        assert len(name) == 22
        assert link(ChainWriter(name).append(b'{"a":1}\n')) == ChainLink(name, 0, None)
