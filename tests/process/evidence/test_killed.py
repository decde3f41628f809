"""Of a decision point that is killed at any step, the audit calls nothing changed; and what is changed then, it names.

Holds: the process is the real one, and SIGKILL ends it within the step; the judge is `audit verify`.
"""

import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import pytest
import requests
import yaml

from bailiwick_evidence.chain import link
from process.evidence.test_attacks import witnessed
from support import commandline
from support.commandline import Ran
from support.evidence.logs import WITNESS_KEY, audited
from support.objects import policy, rule, settings
from support.pdp import crash
from support.pdp.standalone import Process
from support.waits import until

pytestmark = pytest.mark.long

STEPS: Final = {
    "before the opening line": "open:before",
    "in the opening line": "open:90",
    "before the newline of the opening line": "open:-1",
    "between the opening line and its fsync": "open:fsync",
    "after the opening line": "open:after",
    "at the first byte of a record": "evaluation:1",
    "in the place of a record": "evaluation:60",
    "in a record": "evaluation:600",
    "before the newline of a record": "evaluation:-1",
    "between a record and its fsync": "evaluation:fsync",
    "after a record, before it is answered": "evaluation:after",
    "before a checkpoint is signed": "checkpoint:before",
    "after a checkpoint was signed, before it is told": "checkpoint:after",
    "in the closing line": "close:90",
    "before the newline of the closing line": "close:-1",
    "between the closing line and its fsync": "close:fsync",
    "after the closing line": "close:after",
}
FLAGS: Final = ("--development", "--record-fsync", "--record-before-answer", "all")
CLOSED: Final = frozenset({"close:-1", "close:fsync", "close:after"})
UNOPENED: Final = frozenset({"open:before", "open:90"})
HONEST: Final = frozenset({"unclosed", "brief", "tail", "stale", "lost"})


class KilledPdp:
    """A decision point that dies at a step, and what follows in its file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.policies = folder / "policies"
        self.policies.mkdir()
        given = policy("crm", "crm-agent", endpointSettings=settings(), rules=[rule()])
        (self.policies / "crm.yaml").write_text(yaml.safe_dump(given))
        self.notes: list[str] = []

    def start(self, *command: str) -> Process:
        with (self.folder / "log").open("ab") as log:
            if command:
                return Process(self.folder, self.policies, log, *FLAGS, command=command, await_ready=False)
            return Process(self.folder, self.policies, log, *FLAGS)

    def dies(self, step: str) -> None:
        """Have one live as far as that; it is witnessed where it lives long enough."""
        point = self.start(sys.executable, str(Path(crash.__file__)), step)
        with suppress(requests.ConnectionError, AssertionError):
            until(lambda: point.readiness()[0] == 200, "ready")
            self.notes.append(witnessed(point, 0, self.notes))
            point.ask()
            witnessed(point, 1, [])
            point.process.terminate()
        assert point.process.wait(20) == -9, point.log.read_text()

    def follows(self) -> None:
        """Have another one go on in the file, to its end."""
        point = self.start()
        assert point.ask().decision is True
        self.notes.append(witnessed(point, 0, []))
        assert point.stop() == 0

    @property
    def records(self) -> Path:
        return self.folder / "records.jsonl"

    def found(self, data: bytes | None = None) -> dict[str, set[str]]:
        """Return by chain the codes of what is found."""
        _, reports = audited([self.records.read_bytes() if data is None else data], self.notes, step=1 << 20)
        return {report.chain: {found.code.value for found in report.findings} for report in reports}

    def verified(self) -> Ran:
        """Return what an auditor is told."""
        notes = self.folder / "notes"
        notes.write_text("\n".join(self.notes))
        flags = ("--checkpoints", str(notes), "--witness-key", str(WITNESS_KEY))
        return commandline.run("audit", "verify", str(self.records), *flags)


@pytest.fixture
def killed(tmp_path: Path) -> KilledPdp:
    return KilledPdp(tmp_path)


def chains(lines: Sequence[bytes]) -> dict[str, list[bytes]]:
    """Return the whole lines of each chain, in order."""
    found: dict[str, list[bytes]] = {}
    for line in lines:
        if (place := link(line)) is not None and line.endswith(b"}\n"):
            found.setdefault(place.id, []).append(line)
    return found


@pytest.mark.parametrize("at", STEPS)
def test_at_a_step(at: str, killed: KilledPdp) -> None:
    killed.dies(STEPS[at])
    if killed.records.exists():
        assert set().union(*killed.found().values()) <= HONEST
    killed.follows()
    found, ran = killed.found(), killed.verified()
    assert set().union(*found.values()) <= HONEST
    assert ran.code == 0, ran
    lines = killed.records.read_bytes().splitlines(keepends=True)
    *before, last = chains(lines)
    assert len(before) == (STEPS[at] not in UNOPENED)
    assert "unclosed" not in found[last]
    for chain in before:
        # It closed only if the closing line was written whole.
        assert ("unclosed" not in found[chain]) == (STEPS[at] in CLOSED)
        is_named_where_it_is_changed(killed, lines, chain)


def is_named_where_it_is_changed(killed: KilledPdp, lines: Sequence[bytes], chain: str) -> None:
    """Nothing can be taken out of the dead one, nor edited: its successor names its end."""
    for gone in chains(lines)[chain]:
        found = killed.found(b"".join(line for line in lines if line is not gone)).get(chain, {"missing"})
        assert found & {"truncated", "gap", "missing"}, gone
        other = gone.replace(b'"time":"2', b'"time":"1', 1)
        assert other != gone
        assert "altered" in killed.found(b"".join(other if line is gone else line for line in lines))[chain], gone
