"""Ports are given to one process at a time, since what is started there takes a moment until it listens."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from localcluster import ports
from localcluster.errors import StartError

ROOM: Final = range(18000, 18060)
# Takes half of them, says which, and keeps them until its input ends.
TAKING: Final = f"""
import sys
from localcluster import ports
ports._RANGE = {ROOM!r}
print(*ports.free_ports(30), flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def room(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Give ports that no other test is given, from a book of their own."""
    monkeypatch.setattr(ports, "_RANGE", ROOM)
    monkeypatch.setattr(ports, "_given", set())
    monkeypatch.setenv("BAILIWICK_CACHE", str(tmp_path))
    ports._book.cache_clear()
    yield
    ports._book.cache_clear()


def test_what_another_process_was_given_is_given_to_nobody_until_it_ends() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", TAKING], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        theirs = {int(port) for port in other.stdout.readline().split()}
        assert len(theirs) == 30
        assert theirs.isdisjoint(ports.free_ports(20))
        with pytest.raises(StartError, match="No 30 free ports"):
            ports.free_ports(30)
        other.communicate()
    # Three of four that were not given here are theirs.
    assert theirs & {*ports.free_ports(20)}
