"""A witness of C2SP cosigns what a real decision point signs, as docs/concepts/evidence.md says; an audit counts it."""

import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
import requests

from bailiwick_evidence.audit.claims import notes_of
from bailiwick_evidence.checkpoint import Checkpoint
from bailiwick_evidence.note import VerifierKey, cosigned, split
from support import commandline
from support.commandline import Ran
from support.evidence.logs import WITNESS, WITNESS_KEY, WITNESS_NAME
from support.evidence.outside import OutsideWitness
from support.objects import policy, rule, settings
from support.pages import script
from support.pdp.standalone import Process
from support.waiting import until

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


@pytest.fixture
def outside() -> Iterator[OutsideWitness]:
    with OutsideWitness() as outside:
        yield outside


def typed(folder: Path, point: Process, outside: OutsideWitness, size: int) -> subprocess.CompletedProcess[str]:
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
def test_its_cosignatures_count_beside_those_of_the_operator(
    point: Process, outside: OutsideWitness, tmp_path: Path
) -> None:
    grow(point)
    answer = requests.get(f"http://127.0.0.1:{point.status_port}/checkpoint", timeout=5).json()
    key = VerifierKey.parse(answer["key"])
    unknown = typed(tmp_path, point, outside, 0)
    assert (unknown.returncode, "404" in unknown.stderr) == (22, True), unknown
    outside.known[key.name] = key
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
    (tmp_path / "inside.notes").write_text(cosigned(inside, WITNESS_NAME, WITNESS, int(time.time())))
    both = audited(tmp_path, point, outside, "inside.notes", "outside.notes")
    found = json.loads(both.out)["chains"][0]
    assert (both.code, found["intact"], found["witnessed"]) == (0, True, size), both
    assert Checkpoint.parse(split(inside)[0]).size >= size
    assert audited(tmp_path, point, outside, "inside.notes").code == 1


def audited(folder: Path, point: Process, outside: OutsideWitness, *notes: str) -> Ran:
    checkpoints = [word for name in notes for word in ("--checkpoints", str(folder / name))]
    keys = ("--witness-key", str(WITNESS_KEY), "--witness-key", outside.key, "--witness-quorum", "2")
    return commandline.run("audit", "verify", str(point.records), *checkpoints, *keys, "-o", "json")
