"""A witness of C2SP cosigns what a real decision point signs, as docs/concepts/evidence.md says; an audit counts it.

One is ours, which answers with the statuses that C2SP asks for today; the other is litewitness, which others wrote.
"""

import json
import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import pytest
import requests

from bailiwick_evidence.base64text import encode_base64
from bailiwick_evidence.checkpoint import Checkpoint
from bailiwick_evidence.merkle import Forest, consistency, leaf_hash
from bailiwick_evidence.note import SignatureType, VerifierKey, cosign_note, split, verifier_key
from support import commandline
from support.commandline import Ran
from support.evidence.litewitness import Witness
from support.evidence.logs import WITNESS, WITNESS_KEY, WITNESS_NAME, ProcessLog, notes_of, private_key
from support.objects import policy, rule, settings
from support.pages import script
from support.pdp.standalone import Process
from support.waits import until

SCRIPT: Final = script("concepts/evidence.md", "asked=$(curl")


@pytest.fixture
def point(tmp_path: Path) -> Iterator[Process]:
    policies = tmp_path / "policies"
    policies.mkdir()
    with (tmp_path / "log").open("wb") as log:
        point = Process(tmp_path, policies, log)
        point.write("crm.yaml", policy("crm", "crm-agent", endpointSettings=settings(), rules=[rule()]))
        yield point
        point.stop()


def posted(outside: Witness, old: int, proof: Sequence[bytes], note: str) -> int:
    """Ask for a cosignature, and return the status of the answer."""
    lines = [f"old {old}", *map(encode_base64, proof), "", note]
    return requests.post(f"{outside.url}/add-checkpoint", "\n".join(lines).encode(), timeout=10).status_code


def grown(log: ProcessLog, since: int) -> list[bytes]:
    """Return the proof that the first so many lines are a beginning of the log."""
    leaves = [leaf_hash(line[:-1]) for line in log.lines]
    before, rest = Forest(), Forest(since)
    before.append_leaves(leaves[:since])
    rest.append_leaves(leaves[since:])
    return consistency(before, rest)


@pytest.mark.parametrize("since", [1, 7, 8, 15])
def test_a_log_that_was_rewritten_is_refused_and_the_true_one_is_not(outside: Witness, since: int) -> None:
    log, other = ProcessLog().records(since - 1), ProcessLog(seconds=9).records(since - 1)
    outside.know(verifier_key(log.origin, SignatureType.ED25519, log.key))
    assert posted(outside, 0, [], log.signed(log.lines)) == 200
    # The thief has the key of the process, and can sign whatever it likes.
    assert posted(outside, since, [], other.signed(other.lines)) in {409, 422}
    log.records(5)
    other.records(5)
    assert posted(outside, since, grown(other, since), other.signed(other.lines)) == 422
    assert posted(outside, since - 1, grown(log, since), log.signed(log.lines)) == 409
    assert posted(outside, since, grown(log, since), log.signed(log.lines, private_key(99))) == 403
    assert posted(outside, since, grown(log, since), log.signed(log.lines)) == 200


def typed(folder: Path, point: Process, outside: Witness, size: int) -> subprocess.CompletedProcess[str]:
    """Type what the page says, in a folder of its own."""
    where = {"STATUS": f"http://127.0.0.1:{point.status_port}", "SIZE": str(size), "WITNESS": outside.url}
    command = ["bash", "-euo", "pipefail", "-c", SCRIPT]
    return subprocess.run(
        command, cwd=folder, env={**os.environ, **where}, capture_output=True, text=True, check=False, timeout=30
    )


def grow(point: Process) -> None:
    """Have something recorded, and wait until it stands in the file."""
    before = point.records.read_bytes().count(b"\n") if point.records.exists() else 0
    point.ask()
    until(lambda: point.records.read_bytes().count(b"\n") > before, "it is recorded", 5)


def sizes(folder: Path) -> list[int]:
    """Return the sizes of what was cosigned, in order."""
    return [Checkpoint.parse(split(note)[0]).size for note in notes_of((folder / "outside.notes").read_text())]


@pytest.mark.long
def test_its_cosignatures_count_beside_those_of_the_operator(point: Process, outside: Witness, tmp_path: Path) -> None:
    grow(point)
    answer = requests.get(f"http://127.0.0.1:{point.status_port}/checkpoint", timeout=5).json()
    key = VerifierKey.parse(answer["key"])
    unknown = typed(tmp_path, point, outside, 0)
    assert (unknown.returncode, str(int(outside.unknown)) in unknown.stderr) == (22, True), unknown
    outside.know(key)
    size = 0
    for _ in range(3):
        grow(point)
        done = typed(tmp_path, point, outside, size)
        assert done.returncode == 0, done
        size = sizes(tmp_path)[-1]
    again = typed(tmp_path, point, outside, 0)
    assert (again.returncode, "409" in again.stderr) == (22, True), again
    cosigned_sizes = sizes(tmp_path)
    assert (len(cosigned_sizes), sorted({*cosigned_sizes})) == (3, cosigned_sizes)
    inside = requests.get(f"http://127.0.0.1:{point.status_port}/checkpoint", timeout=5).json()["checkpoint"]
    (tmp_path / "inside.notes").write_text(cosign_note(inside, WITNESS_NAME, WITNESS, int(time.time())))
    both = audited(tmp_path, point, outside, "inside.notes", "outside.notes")
    found = json.loads(both.out)["chains"][0]
    assert (both.code, found["intact"], found["witnessed"]) == (0, True, size), both
    assert Checkpoint.parse(split(inside)[0]).size >= size
    assert audited(tmp_path, point, outside, "inside.notes").code == 1


def audited(folder: Path, point: Process, outside: Witness, *notes: str) -> Ran:
    checkpoints = [word for name in notes for word in ("--checkpoints", str(folder / name))]
    keys = ("--witness-key", str(WITNESS_KEY), "--witness-key", outside.key, "--witness-quorum", "2")
    return commandline.run("audit", "verify", str(point.records), *checkpoints, *keys, "-o", "json")
