"""An operator that is killed at any step of witnessing is followed by one that goes on from what was stored.

Holds: the operators are processes that SIGKILL ends, the decision point and the API server are real; proxies between
them hold one request up, before it arrives or before its answer does, until the operator is dead.
"""

import json
import resource
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest

from bailiwick_api.accounts import WITNESS_CONFIG_MAP, Installation
from bailiwick_evidence.chain import link
from bailiwick_evidence.chainentry import verify_entry
from bailiwick_evidence.merkle import leaf_hash, root
from bailiwick_evidence.note import VerifierKey
from bailiwick_operator.reconcile.witness import GONE_SECONDS
from cluster.operator.operatorprocess import NewOperator
from cluster.operator.witness.crash import OperatorRuns, Step
from cluster.operator.witness.localwitness import Memory
from demo.stack import DecisionPoint, Stack
from localcluster.access import Cluster
from support import commandline
from support.callers import Callers
from support.faultkinds import Held
from support.faultproxy import FaultFront, FaultProxy
from support.logs import LoggedProcess, LogServer
from support.loopserver import LOOPBACK
from support.namespaces import Namespaces
from support.pdp.tenant import Tenant, Tenants
from support.shiftedclock import Shifter
from support.stacks import stack_on
from support.waits import until

pytestmark = pytest.mark.long

KEY, STORED, POINT = r"/secrets/bailiwick-witness(\?|$)", r"/configmaps/bailiwick-witness(\?|$)", r"^/checkpoint$"
AWAY = r"/configmaps/bailiwick-witness-\d\d(\?|$)"
# Of the first round of all: the key is made, the first checkpoint stored, and that there was one is remembered.
FIRST: Final = {
    "the key is made": Step("PUT", KEY, before=True),
    "the key was made": Step("PUT", KEY, before=False),
    "the first checkpoint is asked for": Step("POST", POINT, before=True, to_point=True),
    "the first checkpoint is stored": Step("PUT", STORED, before=True),
    "the first checkpoint was stored": Step("PUT", STORED, before=False),
}
LATER: Final = {
    "the key was read": Step("GET", KEY, before=False),
    "what is stored was read": Step("GET", STORED, before=False),
    "the checkpoint is asked for": Step("POST", POINT, before=True, to_point=True),
    "the checkpoint was given": Step("POST", POINT, before=False, to_point=True),
    "the checkpoint is stored": Step("PUT", STORED, before=True),
    "the checkpoint was stored": Step("PUT", STORED, before=False),
}
BEGUN: Final = {"before": Step("PUT", KEY, before=True), "after": Step("PUT", KEY, before=False)}
# How much of the line of a checkpoint comes to be written.
TORN: Final = (1, 90, 600)
PADDING: Final = 1 << 20


@pytest.fixture(scope="module")
def stack(cluster: Cluster, installed: Installation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A decision point, and no operator."""
    with stack_on(cluster, tmp_path_factory.mktemp("stack"), installed) as stack:
        stack.start_decision_point()
        yield stack


@pytest.fixture
def point(stack: Stack) -> DecisionPoint:
    return stack.decision_points[0]


@pytest.fixture(scope="module")
def in_front(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultProxy]:
    """Stands before the API server, for the operators alone."""
    with FaultProxy(cluster, tmp_path_factory.mktemp("proxy")) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def before_point(stack: Stack) -> Iterator[FaultFront]:
    """Stands before the decision point, for the operators alone."""
    with FaultFront(LOOPBACK, stack.status_ports[0]) as front:
        yield front


@pytest.fixture
def runs(
    in_front: FaultProxy,
    before_point: FaultFront,
    account: Path,
    memory: Memory,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[OperatorRuns]:
    operators = NewOperator(account, tmp_path_factory.mktemp("operators"))
    yield OperatorRuns(in_front, before_point, operators, account)
    operators.kill_all()
    in_front.clear()
    before_point.clear()


@pytest.fixture
def memory(callers: Callers, installed: Installation) -> Memory:
    memory = Memory(callers.admin, installed)
    memory.reset()
    return memory


@pytest.fixture
def tenant(stack: Stack, callers: Callers, cluster: Cluster, namespaces: Namespaces) -> Tenant:
    return Tenants(cluster, callers, [stack.decision_points[0].url], namespaces).make("killed")


class Evidence:
    """What there is when it is over, as an auditor would look at it."""

    def __init__(self, point: DecisionPoint, memory: Memory, cluster: Cluster, folder: Path) -> None:
        self._point, self._memory, self._cluster, self._folder = point, memory, cluster, folder

    @property
    def lines(self) -> list[bytes]:
        held = self._point.records.read_bytes()
        return [line[:-1] for line in held.splitlines(keepends=True) if line.endswith(b"\n")]

    @property
    def chain(self) -> str:
        found = link(self.lines[0])
        assert found is not None
        return found.id

    def await_whole(self) -> None:
        """Wait until everything that stands in the log is stored."""

        def whole() -> bool:
            size = len(self.lines)
            return self.chain in self._memory.data() and self._memory.of(self.chain).checkpoint.size == size

        until(whole, "every line is witnessed", 60)

    def assert_sound(self, runs: OperatorRuns, opened: str | None, keys: int = 1) -> None:
        """Look at all of it. `opened`: when the chain was seen first, where that was stored before somebody died.

        `keys`: how many the witness ever had.
        """
        entry, lines = self._memory.entry(self.chain), self.lines
        assert (entry.anew, entry.refused) == (None, None)
        assert opened in {None, entry.opened}
        assert runs.said("witness", "dropped") == []
        # The same ones, whoever made them.
        found = self._memory.verifiers()
        logged = {tuple(line["witness"]) for line in runs.said("keys") if "witness" in line}
        assert logged == {tuple(map(str, found[:count])) for count in range(1, keys + 1)}
        assert len(found) == keys
        roots: dict[int, set[bytes]] = {}
        for checkpoint in runs.cosigned(found):
            if checkpoint.origin.endswith(self.chain):
                roots.setdefault(checkpoint.size, set()).add(checkpoint.root)
        assert roots == {size: {root(map(leaf_hash, lines[:size]))} for size in roots}
        sizes = runs.stored_sizes(self.chain)
        assert sizes == sorted(sizes)
        self._assert_intact(runs, found)

    def _assert_intact(self, runs: OperatorRuns, keys: Sequence[VerifierKey]) -> None:
        files = [str(self._point.records), *map(str, runs.ledgers)]
        config = self._cluster.kubeconfig("admin")
        flags = ("--checkpoints", "cluster", *(f"--witness-key={key}" for key in keys), "-o", "json")
        least = len(self.lines)
        ran = commandline.run("audit", "verify", *files, *flags, kubeconfig=config)
        audit = json.loads(ran.out)
        assert (ran.code, audit["message"].split(" up to ")[0]) == (0, "Nothing removed or changed"), ran
        # Checkpoints of the ledgers stand in the decision point's log, so that also those are witnessed, or were brief.
        mine = next(one for one in audit["chains"] if one["chain"] == self.chain)
        # Race: the process writes on, such as the checkpoint of a ledger, while the log is audited.
        assert mine["intact"], ran
        assert least <= mine["lines"] <= len(self.lines), ran


@pytest.fixture
def evidence(point: DecisionPoint, memory: Memory, cluster: Cluster, tmp_path: Path) -> Evidence:
    return Evidence(point, memory, cluster, tmp_path)


def grow(tenant: Tenant) -> None:
    assert tenant.ask("customers.list").body["decision"] is True


def stored_at(memory: Memory, chain: str) -> str | None:
    return memory.entry(chain).opened if chain in memory.data() else None


@pytest.mark.parametrize("at", FIRST)
def test_in_its_first_round_of_all(
    at: str, runs: OperatorRuns, evidence: Evidence, memory: Memory, tenant: Tenant
) -> None:
    grow(tenant)
    runs.killed_at(FIRST[at])
    opened = stored_at(memory, evidence.chain)
    grow(tenant)
    runs.start()
    evidence.await_whole()
    evidence.assert_sound(runs, opened)


@pytest.mark.parametrize("at", BEGUN)
def test_before_it_is_remembered_that_anything_was_witnessed(
    at: str, runs: OperatorRuns, evidence: Evidence, memory: Memory, tenant: Tenant, in_front: FaultProxy
) -> None:
    grow(tenant)
    # Its key is made; the next write of the Secret says that something was witnessed.
    made = Step("PUT", KEY, before=False)
    runs.killed_at(made)
    runs.killed_at(BEGUN[at])
    opened = stored_at(memory, evidence.chain)
    assert opened is not None
    grow(tenant)
    runs.start()
    evidence.await_whole()
    evidence.assert_sound(runs, opened)


@pytest.mark.parametrize("at", LATER)
def test_in_a_later_round(at: str, runs: OperatorRuns, evidence: Evidence, memory: Memory, tenant: Tenant) -> None:
    grow(tenant)
    first = runs.start()
    evidence.await_whole()
    opened = stored_at(memory, evidence.chain)
    before = memory.of(evidence.chain).checkpoint
    # It writes only what has changed, so somebody asks while it is awaited.
    grow(tenant)
    runs.killed_at(LATER[at], first)
    assert memory.of(evidence.chain).checkpoint.size >= before.size
    grow(tenant)
    runs.start()
    evidence.await_whole()
    evidence.assert_sound(runs, opened)


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
def test_while_its_key_is_replaced(
    before: bool, runs: OperatorRuns, evidence: Evidence, memory: Memory, tenant: Tenant
) -> None:
    grow(tenant)
    first = runs.start()
    evidence.await_whole()
    opened = stored_at(memory, evidence.chain)
    until(lambda: memory.begun, "nothing else is to be written to the Secret")
    memory.renew_key(datetime.now(UTC) + timedelta(seconds=1))
    runs.killed_at(Step("PUT", KEY, before=before), first)
    assert len(memory.verifiers()) == 1
    grow(tenant)
    runs.start()
    until(lambda: len(memory.verifiers()) == 2, "there is another key")
    grow(tenant)
    evidence.await_whole()
    # The first of them never led by two keys, and so said nothing of the second.
    evidence.assert_sound(runs, opened, keys=2)


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("path", [AWAY, STORED], ids=["it is added to the month", "it is taken out of what lives"])
def test_while_a_chain_that_is_over_is_put_away(
    path: str, before: bool, runs: OperatorRuns, memory: Memory, tenant: Tenant, tmp_path: Path
) -> None:
    grow(tenant)
    with LogServer() as server:
        server.processes["over"] = over = LoggedProcess(3)
        runs.start(f"--replica={server.url}/over")
        until(lambda: over.id in memory.data() and memory.begun, "it is witnessed", 60)
        # By another one, or the last write of the first would be taken for the one that is meant.
        runs.operators[-1].kill()
    entry = memory.entry(over.id)
    clock = Shifter(tmp_path / "clock")
    clock.set(GONE_SECONDS + 60)
    month = (datetime.now(UTC) + timedelta(seconds=GONE_SECONDS + 60)).month
    memory.make_month(month)
    if path == STORED:
        # The write of what lives that comes after the one of the month.
        runs.killed_at(Step("PUT", AWAY, before=False), runs.start(clock=clock))
        assert {over.id} <= memory.data().keys()
    runs.killed_at(Step("PUT", path, before=before), runs.start(clock=clock))
    assert over.id in {**memory.data(), **memory.data(f"{WITNESS_CONFIG_MAP}-{month:02}")}
    runs.start(clock=clock)
    until(lambda: over.id not in memory.data(), "it is put away", 60)
    assert memory.away(over.id, month) == entry
    assert verify_entry(entry, memory.cosigners()).checkpoint.size == over.size
    assert runs.said("witness", "dropped") == []


@pytest.mark.parametrize("count", TORN)
def test_in_the_middle_of_a_line_of_its_ledger(
    count: int,
    runs: OperatorRuns,
    evidence: Evidence,
    memory: Memory,
    tenant: Tenant,
    before_point: FaultFront,
    tmp_path: Path,
) -> None:
    grow(tenant)
    asked = Held(before=True)
    before_point.on("POST", POINT, asked)
    # Longer than any other file that the operator writes, since the limit is one for all.
    written = tmp_path / "ledger"
    written.write_bytes(b"\n" * PADDING)
    operator = runs.start(f"--ledger-file={written}")
    until(asked.reached.is_set, "the first checkpoint is asked for", 60)
    until(lambda: b'"kind":"guard"' in written.read_bytes(), "what comes before was said")
    most = written.stat().st_size + count
    resource.prlimit(operator.process.pid, resource.RLIMIT_FSIZE, (most, most))
    asked.go.set()
    until(lambda: written.stat().st_size == most, "the line is written in part")
    operator.kill()
    operator.ledger.write_bytes(written.read_bytes().lstrip(b"\n"))
    # What is printed was stored before.
    opened = memory.entry(evidence.chain).opened
    grow(tenant)
    runs.start()
    evidence.await_whole()
    evidence.assert_sound(runs, opened)
