"""Notes, checkpoints and proofs are read by libraries that are not ours, and theirs by us.

Go's `golang.org/x/mod/sumdb/note` signs and opens notes; `transparency-dev` has the cosignatures and the tree.
"""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from bailiwick_evidence.base64text import encode_base64
from bailiwick_evidence.merkle import Forest, consistency, inclusion, leaf_hash, root
from bailiwick_evidence.note import SignatureType, VerifierKey, open_note, verifier_key
from bailiwick_evidence.tlogproof import LogProof
from localcluster import build
from support.evidence.logs import WITNESS_KEY, ProcessLog

Notary = Callable[..., "subprocess.CompletedProcess[bytes]"]
PROCESS: Final = ProcessLog().records(20).close()
KEY: Final = verifier_key(PROCESS.origin, SignatureType.ED25519, PROCESS.key)
LEAVES: Final = [leaf_hash(line[:-1]) for line in PROCESS.lines]
# It takes a minute and a half where nothing of Go was ever built.
pytestmark = pytest.mark.long
SIZES: Final = [1, 2, 3, 7, 8, 9, 16, 21, 22]


@pytest.fixture(scope="module")
def notary() -> Notary:
    """Run the program, which is built once and kept."""
    program = build.ensure(build.notary()) / "notary"

    def run(*arguments: object, given: bytes = b"") -> "subprocess.CompletedProcess[bytes]":
        return subprocess.run(
            [program, *map(str, arguments)], input=given, capture_output=True, check=False, timeout=30
        )

    return run


def test_a_checkpoint_is_opened_with_the_key_of_the_process_and_with_that_of_the_witness(notary: Notary) -> None:
    note = PROCESS.checkpoint().encode()
    text = note.partition(b"\n\n")[0] + b"\n"
    assert (notary("open", KEY, given=note).stdout, text.split(b"\n")[1]) == (text, b"22")
    assert notary("open", "--cosigned", WITNESS_KEY, given=note).stdout == text


@pytest.mark.parametrize(("changed", "to"), [(b"\n22\n", b"\n23\n"), (b"bailiwick/5a1e/A", b"bailiwick/5a1e/B")])
def test_a_checkpoint_that_was_changed_is_refused_by_both(notary: Notary, changed: bytes, to: bytes) -> None:
    note = PROCESS.checkpoint().encode().replace(changed, to, 1)
    assert notary("open", KEY, given=note).returncode == 1
    assert notary("open", "--cosigned", WITNESS_KEY, given=note).returncode == 1


def test_a_note_of_gos_is_opened_by_us(notary: Notary) -> None:
    private, public = notary("generate", "example.org/log").stdout.decode().split()
    made = notary("sign", private, given=b"any\n\ntext\n").stdout.decode()
    note = open_note(made, [VerifierKey.parse(public)])
    assert (note.text, str(note.signatures[0].key)) == ("any\n\ntext\n", public)


@pytest.mark.parametrize("size", [0, *SIZES])
def test_the_root_over_lines_is_the_same(notary: Notary, size: int) -> None:
    found = notary("root", given=b"".join(PROCESS.lines[:size])).stdout.decode().strip()
    assert found == encode_base64(root(LEAVES[:size]))


@pytest.mark.parametrize("size", SIZES)
def test_a_proof_that_a_line_is_in_the_log_is_accepted_and_of_another_line_it_is_not(notary: Notary, size: int) -> None:
    for index in {0, size // 2, size - 1}:
        proof = LogProof.parse(LogProof(index, tuple(inclusion(LEAVES[:size], index)), "-\n").text())
        top, path = encode_base64(root(LEAVES[:size])), [encode_base64(one) for one in proof.path]
        assert notary("included", index, size, top, encode_base64(LEAVES[index]), *path).returncode == 0
        assert notary("included", index, size, top, encode_base64(leaf_hash(b"other")), *path).returncode == 1


@pytest.mark.parametrize("size", SIZES)
def test_a_proof_that_the_log_only_grew_is_accepted_and_of_another_log_it_is_not(notary: Notary, size: int) -> None:
    before, since = Forest(), Forest(size)
    for leaf in LEAVES[:size]:
        before.append(leaf)
    for leaf in LEAVES[size:]:
        since.append(leaf)
    path = [encode_base64(one) for one in consistency(before, since)]
    old, new = encode_base64(before.root), encode_base64(root(LEAVES))
    assert notary("consistent", size, len(LEAVES), old, new, *path).returncode == 0
    assert notary("consistent", size, len(LEAVES), encode_base64(leaf_hash(b"other")), new, *path).returncode == 1


def test_what_the_program_is_made_of_is_pinned_by_hash() -> None:
    folder = Path(build.__file__).parent / "pins" / "notary"
    named = {line.split()[0] for line in (folder / "go.sum").read_text().splitlines()}
    assert {"golang.org/x/mod", "github.com/transparency-dev/merkle", "github.com/transparency-dev/formats"} <= named
