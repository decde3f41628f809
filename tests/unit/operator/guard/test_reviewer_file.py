"""The file of reviewers' keys as the operator reads it beside a proof: recorded, in the ledger, and said if refused."""

from pathlib import Path
from typing import Any, cast

import pytest

from bailiwick_api.accounts import Installation
from bailiwick_engine.signatures.registrars import (
    NO_FLOOR,
    NO_REGISTRARS,
    Registrars,
    ReviewerKeyFile,
    SerialFloor,
    parse_registrars,
)
from bailiwick_kube.responses import ApiResponse
from bailiwick_operator.guard.reviewerfile import ReviewerFile
from bailiwick_operator.reconcile.transitions import EventDraft
from support.signatures.keys import KeyFile, SecurityKey, config_map, entry_line, reviewers_text


class Bench:
    """An API server that answers with one ConfigMap, and what was said."""

    def __init__(self, folder: Path) -> None:
        self.registrar = KeyFile.make(folder / "registrar")
        self.answer = ApiResponse(404, {}, None)
        self.accepted: list[tuple[ReviewerKeyFile, int]] = []
        self.events: list[EventDraft] = []
        self.asked: list[str] = []
        self.file = self.make(Registrars(parse_registrars(self.registrar.line)))

    def make(self, registrars: Registrars) -> ReviewerFile:
        return ReviewerFile(
            cast("Any", self),
            Installation(),
            registrars,
            accepted=lambda file, serial: self.accepted.append((file, serial)),
            tell=self.events.append,
        )

    async def get(self, path: str) -> ApiResponse:
        self.asked.append(path)
        return self.answer

    def store(self, serial: int, *lines: str) -> None:
        self.answer = ApiResponse(200, config_map(reviewers_text(*lines, serial=serial), self.registrar), None)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


async def test_a_file_is_in_the_ledger_before_it_counts_and_once(bench: Bench) -> None:
    bench.store(3, entry_line("carol", SecurityKey.make().public))
    newest = await bench.file.read(NO_FLOOR)
    assert newest.serial == 3
    assert bench.file.trust.keys is not None
    assert await bench.file.read(newest) == newest
    ((file, serial),) = bench.accepted
    assert (file.digest, serial) == (newest.digest, 3)
    assert bench.events == []


@pytest.mark.invariant(30)
async def test_an_older_file_gives_no_key_and_lowers_no_record(bench: Bench) -> None:
    bench.store(4)
    newest = await bench.file.read(NO_FLOOR)
    bench.store(3, entry_line("carol", SecurityKey.make().public))
    for recorded in (newest, NO_FLOOR, None, SerialFloor(3, newest.digest)):
        assert await bench.file.read(recorded) == newest
        assert bench.file.trust.keys is None
    refused = next(event for event in bench.events if event.reason == "ReviewersRefused")
    fallen = [event for event in bench.events if event.reason != "ReviewersRefused"]
    assert refused.type == "Warning"
    assert "apply the newest file" in refused.note
    assert [(event.reason, event.type) for event in fallen] == [("ReviewersSerialFell", "Warning")] * 3
    fresh = bench.make(Registrars(parse_registrars(bench.registrar.line)))
    assert await fresh.read(newest) == newest
    assert fresh.trust.keys is None


@pytest.mark.invariant(30)
async def test_a_recorded_serial_outlives_its_removal_though_its_file_was_never_read(bench: Bench) -> None:
    bench.store(3, entry_line("carol", SecurityKey.make().public))
    newest = SerialFloor(4, "sha256:" + "0" * 64)
    assert await bench.file.read(newest) == newest
    assert await bench.file.read(None) == newest
    assert bench.file.trust.keys is None
    assert bench.file.floor(None) == newest
    # The other way round too: the process before knew a newer one.
    later = SerialFloor(5, "sha256:" + "1" * 64)
    assert bench.file.floor(later) == later == await bench.file.read(None)


async def test_the_first_file_of_an_installation_is_no_fall(bench: Bench) -> None:
    bench.store(3)
    assert (await bench.file.read(None)).serial == 3
    assert bench.events == []


@pytest.mark.parametrize("status", [403, 404])
async def test_what_cannot_be_read_gives_no_key(bench: Bench, status: int) -> None:
    bench.store(4)
    floor = await bench.file.read(NO_FLOOR)
    bench.answer = ApiResponse(status, {"message": "no"}, None)
    assert await bench.file.read(floor) == floor
    assert bench.file.trust.keys is None


async def test_without_registrars_nothing_is_read(bench: Bench) -> None:
    file = bench.make(NO_REGISTRARS)
    assert await file.read(NO_FLOOR) == NO_FLOOR
    # Those of registrars who come back later are still the newest.
    assert await file.read(SerialFloor(4, "sha256:" + "0" * 64)) == SerialFloor(4, "sha256:" + "0" * 64)
    assert (bench.asked, file.trust.keys, file.expected) == ([], None, False)
