"""A log of ten gigabytes in one process: what memory each command takes that reads logs.

Standing: a section by itself, which runs only where it is named, since it takes more than an hour. Writes a log of one
process, the worst case: nothing can be left out, and its tree is the largest. `--quick`: a fiftieth of it.
"""

import json
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from bailiwick_api.kinds.endpointpolicy import EndpointPolicySpec
from bailiwick_engine.compile.policydigest import policy_digest, policy_text
from bailiwick_engine.steps import whole
from bailiwick_evidence.derive.versions import engine_versions
from benchmarks.rig.commandrun import COLUMNS, run_command
from benchmarks.rig.plan import Plan
from benchmarks.rig.results import Section
from benchmarks.rig.servers import Servers
from benchmarks.tools import replay
from benchmarks.tools.cosign import WitnessedChain

_BYTES: Final = 10_000_000_000
_PART: Final = 50
_GOAL: Final = "< 300 MB"
_BEGAN: Final = 1_772_000_000
_DAY: Final = 86_400


def section(plan: Plan, servers: Servers) -> Section:  # noqa: ARG001 - as sections are called
    """Measure."""
    size = _BYTES // _PART if plan.quick else _BYTES
    made = Section("Memory over a large log", COLUMNS)
    with tempfile.TemporaryDirectory(prefix="bailiwick-bench-large-") as name:
        folder = Path(name)
        plan.progress.say(f"Writing a log of {size / 1e9:.1f} GB ...")
        count, flags = _write(folder, size)
        for title, words, exits in _commands(folder, count, flags):
            plan.progress.say(f"{title} ...")
            made.rows.append(run_command(title, words, count, _GOAL, exits=exits))
    return made


def _write(folder: Path, size: int) -> tuple[int, tuple[str, ...]]:
    """Write the policies, a ledger that has them, and a log; return its decisions and the flags of its checkpoint."""
    before, after = replay.policy(500), replay.policy(700)
    for name, made in (("before", before), ("after", after)):
        (folder / f"{name}.json").write_text(json.dumps(made), encoding="utf-8")
    (folder / "ledger.log").write_bytes(b"".join(_ledger(before)))
    bodies, chain = list(replay.bodies(before)), WitnessedChain()
    # About 90 bytes a line are the link.
    count = size // (sum(map(len, bodies)) // len(bodies) + 90)
    with (folder / "decisions.log").open("wb") as file:
        file.writelines(replay.lines(chain, bodies, count))
    return count, chain.cosign(folder)


def _ledger(policy: replay.Object) -> Iterator[bytes]:
    """Yield the lines of an operator that saw one policy."""
    chain, spec = WitnessedChain(), EndpointPolicySpec.model_validate(policy["spec"])
    yield chain.opening(component="operator", **engine_versions())
    members: dict[str, Any] = {
        "kind": "policy",
        "time": datetime.fromtimestamp(_BEGAN - _DAY, UTC).isoformat(timespec="milliseconds"),
        "policy": "shop/shop",
        "digest": whole(policy_digest(spec)),
        "text": whole(policy_text(spec)).decode(),
    }
    yield chain.append(json.dumps(members, separators=(",", ":")).encode() + b"\n")


def _commands(folder: Path, count: int, flags: tuple[str, ...]) -> Iterator[tuple[str, tuple[str, ...], int]]:
    """Yield each command with what it is called and how it exits."""
    log, ledger, policies = (str(folder / name) for name in ("decisions.log", "ledger.log", "before.json"))
    at = datetime.fromtimestamp(_BEGAN + 3 * _DAY, UTC).isoformat()
    until = datetime.fromtimestamp(_BEGAN + 8 * _DAY, UTC).isoformat()
    last, past = f"eval-{count - 1}", ("-n", "shop", "--at", at, "--log", log, "--log", ledger)
    candidate = ("--candidate", str(folder / "after.json"), "--fail-on", "maybe")
    # No witness saw the ledger.
    yield "audit verify", ("audit", "verify", log, ledger, *flags), 1
    yield "audit verify --policies", ("audit", "verify", log, *flags, "--policies", policies), 0
    yield "audit report", ("audit", "report", log, *flags, "--from", "2026-02-01", "--to", until), 0
    yield "audit leaves", ("audit", "leaves", log), 0
    yield "audit prove", ("audit", "prove", last, log, *flags), 0
    yield "explain", ("explain", last, log, ledger), 0
    yield "who-can --at", ("who-can", "orders.refund", "--on", "order/1", *past), 0
    yield "replay", ("replay", log, "--policies", policies, *candidate), 0
    yield "unused", ("unused", log, "-f", policies, "--window", "6d"), 1
    yield "suggest", ("suggest", log, ledger, "-f", policies), 0
