"""A real decision point that a real operator witnesses, through the death of either, as an auditor would verify it."""

import hashlib
import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from bailiwick_api.accounts import Installation
from bailiwick_evidence.chain import link
from bailiwick_evidence.chainentry import Cosigners, verify_entry
from bailiwick_evidence.checkpoint import Checkpoint
from bailiwick_evidence.merkle import leaf_hash, root
from bailiwick_evidence.note import NoteError, VerifierKey, open_note
from cluster.operator.grants.grants import Grants
from cluster.operator.witness.localwitness import Memory
from demo.stack import DecisionPoint, Stack
from localcluster.access import Cluster
from support import commandline
from support.callers import Callers
from support.commandline import Ran
from support.events import await_event
from support.installation import accepted
from support.namespaces import Namespaces
from support.pdp.tenant import Tenant, Tenants
from support.shell import Shell, succeeded
from support.stacks import stack_on
from support.waits import until

pytestmark = pytest.mark.long

FLAGS: Final = ("--witness-interval=0.5", "--lease-seconds=4", "--renew-seconds=3", "--retry-seconds=1")
WAITS: Final = "--witness-wait-seconds=60"


@pytest.fixture(scope="module")
def stack(cluster: Cluster, installed: Installation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """An operator that polls twice a second, and a decision point."""
    with stack_on(cluster, tmp_path_factory.mktemp("stack"), installed) as stack:
        stack.start_operator(*FLAGS)
        stack.await_guard()
        stack.start_decision_point(WAITS)
        yield stack


@pytest.fixture
def memory(callers: Callers, installed: Installation) -> Memory:
    return Memory(callers.admin, installed)


@pytest.fixture
def tenant(stack: Stack, callers: Callers, cluster: Cluster, namespaces: Namespaces) -> Tenant:
    return Tenants(cluster, callers, [stack.decision_points[-1].url], namespaces).make("witnessed")


def lines(path: Path) -> list[bytes]:
    """Return the whole lines of a log."""
    held = path.read_bytes() if path.exists() else b""
    return [line[:-1] for line in held.splitlines(keepends=True) if line.endswith(b"\n")]


def operator(stack: Stack) -> str:
    """Return the name of the one that runs."""
    return [one.name for one in stack.processes if one.name.startswith("operator")][-1]


def chain(point: DecisionPoint) -> str:
    found = link(lines(point.records)[0])
    assert found is not None
    return found.id


def await_witnessed(memory: Memory, point: DecisionPoint) -> Checkpoint:
    """Wait until all that stands in its file is witnessed; returns what is stored."""
    name = chain(point)

    def all_of_it() -> Checkpoint | None:
        found = memory.of(name).checkpoint if name in memory.data() else None
        return found if found is not None and found.size == len(lines(point.records)) else None

    until(all_of_it, "every line is witnessed", 20)
    return memory.of(name).checkpoint


def test_what_was_decided_is_witnessed_and_the_ledger_says_by_which_policy(
    stack: Stack, memory: Memory, tenant: Tenant
) -> None:
    point = stack.decision_points[-1]
    assert tenant.ask("customers.list").body["decision"] is True
    found = await_witnessed(memory, point)
    held = lines(point.records)
    assert found.root == root(map(leaf_hash, held))
    stored = memory.entry(chain(point)).note

    def ledger() -> list[dict[str, Any]]:
        return [json.loads(line) for line in lines(stack.ledger(operator(stack)))]

    # It is stored first.
    until(
        lambda: stored in [line["note"] for line in ledger() if line["kind"] == "checkpoint"], "the ledger says so", 20
    )
    policy = next(line for line in ledger() if line["kind"] == "policy" and line["policy"].startswith(tenant.namespace))
    digest = policy["digest"]
    assert digest == f"sha256:{hashlib.sha256(policy['text'].encode()).hexdigest()}"
    assert any(digest.encode() in line for line in held)


def test_the_log_of_the_process_vouches_for_the_ledger(stack: Stack, memory: Memory) -> None:
    def told() -> list[dict[str, Any]]:
        records = [json.loads(line) for line in lines(stack.decision_points[-1].records)]
        return [line for line in records if line.get("kind") == "ledger"]

    until(told, "the ledger stands in the log", 20)
    note = told()[0]["note"]
    logs = [lines(stack.ledger(one.name)) for one in stack.processes if one.name.startswith("operator")]
    (ledger,) = (log for log in logs if note.startswith(f"{_key(log).name}\n"))
    checkpoint = Checkpoint.parse(open_note(note, [_key(ledger)]).text)
    assert checkpoint.root == root(map(leaf_hash, ledger[: checkpoint.size]))


def _key(ledger: list[bytes]) -> VerifierKey:
    return VerifierKey.parse(json.loads(ledger[0])["key"])


def test_a_grant_that_ended_stands_in_the_ledger(stack: Stack, grants: Grants) -> None:
    grant = grants.open()
    grants.await_phase(grant, "Pending")
    accepted(grants.review(grant, decision="Deny"))
    grants.await_phase(grant, "Denied")

    def said() -> list[dict[str, Any]]:
        ledger = [json.loads(line) for line in lines(stack.ledger(operator(stack)))]
        return [line for line in ledger if line["kind"] == "grant" and line["uid"] == grant["metadata"]["uid"]]

    until(said, "the grant stands in the ledger")
    (line,) = said()
    assert (line["phase"], line["reviews"][0]["reviewer"], line["name"]) == (
        "Denied",
        "dave",
        grant["metadata"]["name"],
    )
    assert "display" not in json.dumps(line)


def test_a_decision_point_that_was_killed_keeps_what_was_witnessed_beside_its_successor(
    stack: Stack, memory: Memory
) -> None:
    first = stack.decision_points[-1]
    before = await_witnessed(memory, first)
    first.process.id.send(signal.SIGKILL)
    first.process.handle.wait()
    # The next one, at another place.
    second = stack.start_decision_point(WAITS)
    await_witnessed(memory, second)
    assert memory.of(chain(first)).checkpoint == before
    assert chain(second) != chain(first)


def test_an_operator_that_was_killed_is_followed_by_one_that_goes_on(stack: Stack, memory: Memory) -> None:
    point = stack.decision_points[-1]
    await_witnessed(memory, point)
    opened_at = memory.entry(chain(point)).opened
    killed = next(one for one in stack.processes if one.name == operator(stack))
    killed.id.send(signal.SIGKILL)
    killed.handle.wait()
    stack.start_operator(*FLAGS, name="operator-next")

    def kinds() -> list[str]:
        return [json.loads(line)["kind"] for line in lines(stack.ledger("operator-next"))]

    until(lambda: "checkpoint" in kinds(), "the next one witnesses", 60)
    entry = memory.entry(chain(point))
    assert (entry.opened, entry.anew, entry.refused) == (opened_at, None, None)
    assert (kinds()[0], "close" in kinds(), "witness" in kinds()) == ("open", False, False)


def test_a_key_that_is_replaced_as_the_runbook_says_leaves_all_of_the_log_intact_for_who_keeps_both(
    stack: Stack, memory: Memory, cluster: Cluster, callers: Callers, namespaces: Namespaces, tmp_path: Path
) -> None:
    shell, kept = Shell(cluster, "operations/runbook.md"), tmp_path / "witness.vkey"
    over = stack.decision_points[-1]
    await_witnessed(memory, over)
    over.process.id.send(signal.SIGKILL)
    over.process.handle.wait()
    point = stack.start_decision_point(WAITS)
    await_witnessed(memory, point)
    old = memory.verifiers()
    kept.write_text("".join(f"{key}\n" for key in old))
    succeeded(shell.run("kubectl annotate secret bailiwick-witness"))
    until(lambda: len(memory.verifiers()) > len(old), "there is another key")
    succeeded(shell.run("kubectl get configmap bailiwick-witness", **{">> witness.vkey": f">> {kept}"}))
    new = memory.verifiers()[-1]
    assert kept.read_text().splitlines() == [*map(str, old), str(new)]
    tenant = Tenants(cluster, callers, [point.url], namespaces).make("rotated")
    assert tenant.ask("customers.list").body["decision"] is True

    def goes_on() -> bool:
        try:
            found = verify_entry(memory.entry(chain(point)), Cosigners((new,), (None,)))
        except NoteError:
            return False
        return found.checkpoint.size == len(lines(point.records))

    until(goes_on, "the new key cosigned all of it")
    assert verify_entry(memory.entry(chain(over)), Cosigners(tuple(old), (None,) * len(old))).checkpoint.size > 0
    ledger = [json.loads(line) for line in lines(stack.ledger(operator(stack)))]
    assert [line["witness"][-1] for line in ledger if line["kind"] == "keys" and "witness" in line][-1] == str(new)
    await_event(callers.admin, "bailiwick-system", "WitnessKeyRotated", lambda event: str(new) in event["note"])
    both, alone = (audited(stack, cluster, keys) for keys in (str(kept), str(new)))
    assert (both.code, found_of(both, chain(over))["intact"], found_of(both, chain(point))["intact"]) == (0, True, True)
    assert (alone.code, found_of(alone, chain(point))["intact"]) == (1, True), alone
    (finding,) = (one for one in found_of(alone, chain(over))["findings"] if one["bad"])
    assert (finding["code"], old[-1].label in finding["message"]) == ("unknown", True)


def test_a_decision_point_that_is_told_to_stop_is_witnessed_to_its_last_line(stack: Stack, memory: Memory) -> None:
    point = stack.decision_points[-1]
    await_witnessed(memory, point)
    # Tests run in any order, and each asks the newest.
    stack.start_decision_point(WAITS)
    point.process.id.send(signal.SIGTERM)
    assert point.process.handle.wait(90) == 0
    assert json.loads(lines(point.records)[-1])["kind"] == "close"
    assert await_witnessed(memory, point).size == len(lines(point.records))


def audited(stack: Stack, cluster: Cluster, keys: str) -> Ran:
    """Verify everything that was ever written here."""
    operators = [one.name for one in stack.processes if one.name.startswith("operator")]
    files = [*(point.records for point in stack.decision_points), *map(stack.ledger, operators)]
    flags = ("--checkpoints", "cluster", "--witness-key", keys, "-o", "json")
    return commandline.run("audit", "verify", *map(str, files), *flags, kubeconfig=cluster.kubeconfig("admin"))


def found_of(ran: Ran, chain: str) -> dict[str, Any]:
    """Return what an audit says of a chain."""
    (found,) = (one for one in json.loads(ran.out)["chains"] if one["chain"] == chain)
    return dict(found)
