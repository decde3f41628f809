"""What a stream of lines says of its chains: read back as strictly as who verifies a log has to.

Holds: a line that is whole stands under one number alone, however often it was written.
"""

import json
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from bailiwick_evidence.chain import link
from bailiwick_evidence.merkle import leaf_hash


@dataclass
class Stream:
    """The lines of each chain, in order, each without its newline; and what stood between."""

    chains: dict[str, list[bytes]] = field(default_factory=dict)
    fragments: list[bytes] = field(default_factory=list)
    repeats: int = 0
    others: list[bytes] = field(default_factory=list)

    def records(self, chain: str | None = None) -> list[dict[str, Any]]:
        """Return the records of one chain, or of the only one: no line that tells of the chain itself."""
        lines = self.lines(chain)
        return [line for line in lines if line["kind"] not in {"open", "close", "ledger", "hash"}]

    def lines(self, chain: str | None = None) -> list[dict[str, Any]]:
        """Return all lines of one chain, or of the only one."""
        lines = self.chains[chain] if chain is not None else next(iter(self.chains.values()))
        return [json.loads(line) for line in lines]


def read(stream: bytes) -> Stream:
    """Return what is in it. Fails where a chain is not whole from its first line to its last."""
    found, numbered = Stream(), defaultdict[str, dict[int, bytes]](dict)
    for line in stream.split(b"\n"):
        stands = link(line)
        try:
            json.loads(line)
        except ValueError:
            found.fragments += [line] if line else []
            continue
        if stands is None:
            found.others.append(line)
            continue
        same = numbered[stands.id].setdefault(stands.seq, line)
        assert same == line, f"forked at {stands.seq}: {same!r} and {line!r}"
        found.repeats += same is not line
    for name, lines in numbered.items():
        assert sorted(lines) == list(range(len(lines))), f"a gap in {name}"
        found.chains[name] = [lines[seq] for seq in range(len(lines))]
        head = None
        for seq, line in enumerate(found.chains[name]):
            stands = link(line)
            assert stands is not None
            assert stands.prev == head, f"{name} is altered before {seq}"
            head = leaf_hash(line)
    for fragment in found.fragments:
        # What was cut off was written whole behind it.
        whole = [found.others, *found.chains.values()]
        assert any(line.startswith(fragment) for lines in whole for line in lines), f"of no line: {fragment!r}"
    return found
