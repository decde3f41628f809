"""What is witnessed of the decision point's logs, in real ConfigMaps: whoever leads, and whatever is done to them.

Holds: the witness runs in the test's process, as the operator's account; the time is the test's.
"""

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path

import pytest

from bailiwick_api.accounts import WITNESS_CONFIG_MAP, WITNESS_KEYS_ENTRY, Installation
from bailiwick_evidence.chainentry import Cosigners, verify_entry
from bailiwick_operator.evidence.store import MOST_BYTES, size_of
from cluster.operator.witness.localwitness import NOON, Memory, OneWitness, Pods
from support.callers import Callers
from support.logs import LoggedProcess, LogServer

MONTH = f"{WITNESS_CONFIG_MAP}-11"


@pytest.fixture
def server() -> Iterator[LogServer]:
    with LogServer() as server:
        yield server


@pytest.fixture
def log(server: LogServer) -> LoggedProcess:
    server.processes["p1"] = LoggedProcess(3)
    return server.processes["p1"]


@pytest.fixture
def pods(server: LogServer) -> Pods:
    return Pods(server)


@pytest.fixture
def memory(callers: Callers, installed: Installation) -> Memory:
    memory = Memory(callers.admin, installed)
    memory.reset()
    return memory


class Leaders:
    """Makes witnesses, each of another leader."""

    def __init__(self, stack: AsyncExitStack, account: Path, installed: Installation, pods: Pods) -> None:
        self._stack, self._account, self._installed, self._pods = stack, account, installed, pods

    async def next(self, minutes: float = 0) -> OneWitness:
        one = OneWitness(self._account, self._installed, self._pods, NOON + timedelta(minutes=minutes))
        return await self._stack.enter_async_context(one)


@pytest.fixture
async def leaders(account: Path, installed: Installation, pods: Pods, memory: Memory) -> AsyncIterator[Leaders]:
    async with AsyncExitStack() as stack:
        yield Leaders(stack, account, installed, pods)


async def test_each_poll_cosigns_what_the_log_has_become(leaders: Leaders, memory: Memory, log: LoggedProcess) -> None:
    one = await (await leaders.next()).round()
    assert one.witness.problem is None
    for more in (0, 1, 40):
        log.grow(more)
        await one.round()
        assert memory.of(log.id).checkpoint.size == log.size
    entry = memory.entry(log.id)
    assert (entry.pod, entry.replica, entry.key, entry.opened) == ("p1", "uid-p1", log.key, "2026-11-27T12:00:10Z")
    assert log.asked == [0, 3, 3, 4]
    assert [line["note"] for line in one.said("checkpoint")][-1] == entry.note
    assert one.events == []
    assert [line["witness"] for line in one.said("keys")] == [[str(key) for key in memory.verifiers()]]


async def test_the_process_is_told_of_the_ledger_with_each_poll(leaders: Leaders, log: LoggedProcess) -> None:
    one = await (await leaders.next()).round()
    await one.round()
    sizes = [int(note.split("\n")[1]) for note in log.told]
    assert sizes == [2, 3]
    assert log.told[0].startswith(f"bailiwick/bailiwick-system/{one.lines[0]['chain']}\n")
    assert one.lines[0]["key"].startswith(f"bailiwick/bailiwick-system/{one.lines[0]['log']['id']}+")


async def test_what_a_process_lost_is_stored_though_its_log_stands_still_and_outlives_leader_and_process(
    leaders: Leaders, memory: Memory, server: LogServer, log: LoggedProcess
) -> None:
    one = await (await leaders.next()).round()
    assert memory.entry(log.id).lost == 0
    log.lost = 5
    await one.round()
    assert (memory.entry(log.id).lost, memory.of(log.id).checkpoint.size) == (5, 3)
    assert [line["lost"] for line in one.said("checkpoint")] == [0, 5]
    # Whoever edits it, or answers with an older count, takes nothing back.
    memory.write({**memory.data(), log.id: memory.entry(log.id)._replace(lost=None).text()})
    log.lost = 4
    await one.round()
    assert memory.entry(log.id).lost == 5
    server.silent.add("p1")
    second = await (await leaders.next(minutes=1)).round()
    assert (memory.entry(log.id).lost, second.events) == (5, [])
    server.silent.clear()
    server.processes["p1"] = LoggedProcess(2)
    await second.round()
    await second.round(700)
    assert memory.away(log.id).lost == 5
    assert memory.entry(server.processes["p1"].id).lost == 0


@pytest.mark.parametrize("told", [None, "many", -1], ids=["an older version", "a text", "less than none"])
async def test_a_process_that_tells_no_number_of_losses_is_witnessed_all_the_same(
    leaders: Leaders, memory: Memory, log: LoggedProcess, told: object
) -> None:
    log.lost = told
    one = await (await leaders.next()).round()
    assert (memory.entry(log.id).lost, memory.of(log.id).checkpoint.size) == (None, 3)
    assert (one.witness.problem, one.events) == (None, [])
    log.lost = 2
    await one.round()
    assert memory.entry(log.id).lost == 2


@pytest.mark.long
async def test_an_unchanged_log_is_written_once_a_minute_and_printed_every_ten(
    leaders: Leaders, memory: Memory, log: LoggedProcess
) -> None:
    one = await (await leaders.next()).round()
    versions, times = set(), set()
    for _ in range(12):
        await one.round()
        versions.add(memory.body()["metadata"]["resourceVersion"])
        times.add(memory.of(log.id).time)
    assert (len(versions), len(times)) == (3, 3)
    assert len(one.said("checkpoint")) == 1
    await one.round(600)
    assert len(one.said("checkpoint")) == 2


async def test_the_next_leader_goes_on_from_what_the_last_one_stored(
    leaders: Leaders, memory: Memory, log: LoggedProcess
) -> None:
    await (await leaders.next()).round()
    log.grow(5)
    second = await (await leaders.next(minutes=1)).round()
    assert log.asked[-1] == 3
    assert memory.of(log.id).checkpoint.size == 8
    assert memory.entry(log.id).opened == "2026-11-27T12:00:10Z"
    assert second.events == []


async def test_a_leader_that_ends_between_poll_and_store_loses_nothing(
    leaders: Leaders, memory: Memory, log: LoggedProcess
) -> None:
    first = await (await leaders.next()).round()

    async def dies() -> None:
        raise ConnectionAbortedError

    first.kube.before = dies
    log.grow(5)
    with pytest.raises(ConnectionAbortedError):
        await first.round()
    log.grow(5)
    second = await (await leaders.next(minutes=1)).round()
    assert memory.of(log.id).checkpoint.size == 13
    assert (second.events, second.witness.problem) == ([], None)


async def test_two_who_lead_for_a_moment_never_set_each_other_back(
    leaders: Leaders, memory: Memory, log: LoggedProcess
) -> None:
    first, second = await leaders.next(), await leaders.next()
    await first.round()
    log.grow(5)

    async def second_is_quicker() -> None:
        log.grow(5)
        await second.round()

    first.kube.before = second_is_quicker
    await first.round()
    # What the first was told is older than what the second stored meanwhile, and is no fault of the process.
    assert memory.of(log.id).checkpoint.size == 13
    assert (first.events, second.events, first.witness.problem) == ([], [], None)


async def test_a_witness_that_was_away_for_an_hour_takes_it_up_with_one_proof(
    leaders: Leaders, memory: Memory, log: LoggedProcess
) -> None:
    one = await (await leaders.next()).round()
    log.grow(5000)
    log.asked.clear()
    await one.round(3600)
    assert (log.asked, memory.of(log.id).checkpoint.size) == ([3], 5003)
    assert one.witness.problem is None


async def test_a_key_that_is_replaced_on_request_is_told_of_and_what_it_cosigned_goes_on_by_the_next(
    leaders: Leaders, memory: Memory, log: LoggedProcess, server: LogServer, pods: Pods
) -> None:
    server.processes["p2"] = over = LoggedProcess(2)
    pods.names = ["p1", "p2"]
    one = await (await leaders.next()).round()
    (old,) = memory.verifiers()
    server.processes.pop("p2")
    pods.names = ["p1"]
    memory.renew_key(one.now + timedelta(seconds=5))
    await one.round()
    assert memory.verifiers()[0] == old
    (new,) = memory.verifiers()[1:]
    # Until it is cosigned again, the one before verifies it: it is neither lost nor begun anew.
    await one.round(60)
    assert verify_entry(memory.entry(log.id), Cosigners((new,), (None,))).checkpoint.size == 3
    assert verify_entry(memory.entry(over.id), Cosigners((old,), (None,))).checkpoint.size == 2
    log.grow()
    await one.round(600)
    assert verify_entry(memory.entry(log.id), Cosigners((new,), (None,))).checkpoint.size == 4
    assert verify_entry(memory.away(over.id), Cosigners((old,), (None,))).checkpoint.size == 2
    assert [line["witness"] for line in one.said("keys")] == [[str(old)], [str(old), str(new)]]
    (event,) = one.events
    assert (event.type, event.reason, str(new) in event.note) == ("Normal", "WitnessKeyRotated", True)
    second = await (await leaders.next(minutes=20)).round()
    assert (memory.entry(log.id).opened, memory.entry(log.id).anew) == ("2026-11-27T12:00:10Z", None)
    assert (second.events, second.witness.problem, memory.verifiers()) == ([], None, [old, new])


async def test_a_process_that_forks_its_log_is_not_cosigned_and_told_of(
    leaders: Leaders, memory: Memory, log: LoggedProcess, server: LogServer
) -> None:
    one = await (await leaders.next()).round()
    server.processes["p1"] = log.forked(1, 9)
    for _ in range(2):
        await one.round()
        assert memory.of(log.id).checkpoint.size == 3
        assert (one.witness.inconsistent, one.reasons) == (1, ["LogRejected"])
    # Another leader is not told anything else.
    second = await (await leaders.next(minutes=1)).round()
    assert (memory.of(log.id).checkpoint.size, second.witness.inconsistent) == (3, 1)
    # It may have been somebody in between: what goes on from what was witnessed is cosigned.
    server.processes["p1"] = log.grow()
    await second.round()
    assert (memory.of(log.id).checkpoint.size, second.witness.inconsistent) == (4, 0)


async def test_a_process_that_signs_two_logs_of_one_size_is_refused_for_good_and_told_of(
    leaders: Leaders, memory: Memory, log: LoggedProcess, server: LogServer
) -> None:
    one = await (await leaders.next()).round()
    other = log.forked(1, 2)
    server.processes["p1"] = other
    await one.round()
    entry = memory.entry(log.id)
    assert entry.refused is not None
    assert entry.refused.note == other.note()
    assert memory.of(log.id).checkpoint.size == 3
    assert (one.witness.inconsistent, one.reasons) == (1, ["LogInconsistent"])
    # The good log does not make up for it, nor does another leader forget.
    server.processes["p1"] = log.grow()
    second = await (await leaders.next(minutes=1)).round()
    assert memory.of(log.id).checkpoint.size == 3
    assert second.witness.inconsistent == 1
    assert "refused" in second.said("checkpoint")[0]


async def test_a_process_that_tells_each_of_two_leaders_another_story_is_found_out(
    leaders: Leaders, memory: Memory, log: LoggedProcess, server: LogServer
) -> None:
    first, second = await leaders.next(), await leaders.next()
    await first.round()
    server.processes["p1"] = log.forked(1, 2)
    await second.round()
    assert memory.entry(log.id).refused is not None
    await first.round()
    assert first.witness.inconsistent == 1


async def test_a_process_that_cannot_show_that_it_goes_on_is_not_cosigned_and_is_asked_again(
    leaders: Leaders, memory: Memory, log: LoggedProcess
) -> None:
    one = await (await leaders.next()).round()
    log.forgets.add(3)
    log.grow(5)
    await one.round()
    assert memory.of(log.id).checkpoint.size == 3
    assert one.witness.problem == "no checkpoint of p1: it keeps nothing of size 3"
    log.forgets.clear()
    await one.round()
    assert memory.of(log.id).checkpoint.size == 8
    assert one.witness.problem is None


async def test_a_process_that_comes_anew_in_its_pod_is_another_log_beside_the_old_one(
    leaders: Leaders, memory: Memory, log: LoggedProcess, server: LogServer
) -> None:
    one = await (await leaders.next()).round()
    server.processes["p1"] = anew = LoggedProcess(1)
    await one.round()
    assert {memory.of(each.id).checkpoint.size for each in (log, anew)} == {3, 1}
    assert one.events == []


async def test_a_ready_process_without_a_chain_is_told(leaders: Leaders, server: LogServer) -> None:
    one = await (await leaders.next()).round()
    assert (one.witness.without_chain, one.witness.problem) == (1, "p1 keeps no chain, though it should")


async def test_a_log_that_is_over_moves_to_its_month_and_goes_on_from_there_if_it_comes_back(
    leaders: Leaders, memory: Memory, log: LoggedProcess, pods: Pods
) -> None:
    one = await (await leaders.next()).round()
    pods.names = []
    await one.round(590)
    assert log.id in memory.data()
    await one.round(20)
    assert log.id not in memory.data()
    assert json.loads(memory.data(MONTH)[log.id])["pod"] == "p1"
    assert memory.data(MONTH)["month"] == "2026-11"
    pods.names = ["p1"]
    log.grow(4)
    await one.round()
    await one.round()
    assert memory.of(log.id).checkpoint.size == 7
    assert memory.entry(log.id).opened == "2026-11-27T12:00:10Z"
    assert one.events == []


async def test_the_month_of_last_year_and_what_finds_no_room_are_printed_before_they_go(
    leaders: Leaders, memory: Memory, log: LoggedProcess, pods: Pods, callers: Callers, installed: Installation
) -> None:
    one = await (await leaders.next()).round()
    old = {f"{number:022}": "x" * 40_000 for number in range(24)}
    metadata = {"name": MONTH, "namespace": installed.namespace}
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"month": "2026-11"} | old}
    assert callers.admin.create(body).ok
    pods.names = []
    await one.round(700)
    kept = memory.data(MONTH)
    assert log.id in kept
    assert {line["chain"] for line in one.said("dropped")} == old.keys() - kept.keys() != set()
    assert sum(len(text) for text in kept.values()) <= MOST_BYTES


class TestWhatIsStoredIsBroken:
    async def test_the_config_map_that_was_deleted_is_made_again_with_what_is_known(
        self, leaders: Leaders, memory: Memory, log: LoggedProcess
    ) -> None:
        one = await (await leaders.next()).round()
        memory.delete()
        log.grow()
        await one.round()
        assert memory.of(log.id).checkpoint.size == 4
        assert memory.entry(log.id).anew is None
        assert set(one.reasons) == {"WitnessLost", "WitnessChanged"}

    async def test_what_nobody_knows_any_more_is_begun_anew_and_says_so(
        self, leaders: Leaders, memory: Memory, log: LoggedProcess
    ) -> None:
        await (await leaders.next()).round()
        memory.delete()
        second = await (await leaders.next(minutes=1)).round()
        assert memory.entry(log.id).anew == "ConfigMap bailiwick-witness is missing"
        assert second.reasons == ["WitnessLost"]
        assert second.said("checkpoint")[0]["anew"] == "ConfigMap bailiwick-witness is missing"

    async def test_the_first_of_all_witnesses_says_nothing(
        self, leaders: Leaders, memory: Memory, log: LoggedProcess
    ) -> None:
        memory.delete()
        one = await (await leaders.next()).round()
        assert (one.events, memory.entry(log.id).anew) == ([], None)

    async def test_an_emptied_config_map_is_told_and_filled_again(
        self, leaders: Leaders, memory: Memory, log: LoggedProcess
    ) -> None:
        one = await (await leaders.next()).round()
        memory.write({})
        await one.round()
        assert memory.of(log.id).checkpoint.size == 3
        assert "WitnessLost" in one.reasons

    @pytest.mark.long
    @pytest.mark.parametrize("edit", ["cut", "garbage", "another size", "set back", "removed"])
    async def test_an_entry_that_was_edited_is_put_back(
        self, edit: str, leaders: Leaders, memory: Memory, log: LoggedProcess
    ) -> None:
        one = await (await leaders.next()).round()
        old = memory.data()
        log.grow(5)
        await one.round()
        text = memory.data()[log.id]
        edited = {
            "cut": text[:-9],
            "garbage": "{}",
            "another size": text.replace("\\n8\\n", "\\n9\\n"),
            "set back": old[log.id],
        }
        data = {name: value for name, value in memory.data().items() if name != log.id}
        memory.write(data | ({log.id: edited[edit]} if edit in edited else {}))
        await one.round()
        assert memory.of(log.id).checkpoint.size == 8
        assert one.reasons == ["WitnessChanged"]
        assert one.witness.changes == 1

    @pytest.mark.parametrize("edit", ["smaller", "left out"])
    async def test_a_figure_of_losses_that_was_made_smaller_is_put_back_and_told(
        self, edit: str, leaders: Leaders, memory: Memory, log: LoggedProcess
    ) -> None:
        log.lost = 7
        one = await (await leaders.next()).round()
        entry = json.loads(memory.data()[log.id])
        assert entry.pop("lost") == 7
        memory.write(memory.data() | {log.id: json.dumps(entry | ({"lost": 2} if edit == "smaller" else {}))})
        await one.round()
        assert memory.entry(log.id).lost == 7
        # An operator of an older version leaves it out, and may lead for a moment besides.
        assert one.reasons == (["WitnessChanged"] if edit == "smaller" else [])

    async def test_an_edited_entry_that_nobody_can_put_back_is_told_and_begun_anew(
        self, leaders: Leaders, memory: Memory, log: LoggedProcess
    ) -> None:
        await (await leaders.next()).round()
        memory.write(memory.data() | {log.id: "{}"})
        second = await (await leaders.next(minutes=1)).round()
        assert memory.entry(log.id).anew == "its entry was edited"
        assert second.reasons == ["WitnessChanged"]

    async def test_a_key_of_another_in_the_config_map_vouches_for_nothing(
        self, leaders: Leaders, memory: Memory, log: LoggedProcess
    ) -> None:
        one = await (await leaders.next()).round()
        memory.write(memory.data() | {WITNESS_KEYS_ENTRY: "bailiwick/bailiwick-system/witness+00000000+AAAA\n"})
        await one.round(60)
        assert memory.of(log.id).checkpoint.size == 3

    async def test_a_full_config_map_takes_no_new_log_and_is_told(
        self, leaders: Leaders, memory: Memory, log: LoggedProcess, server: LogServer, pods: Pods
    ) -> None:
        one = await (await leaders.next()).round()
        room = MOST_BYTES - size_of(memory.data()) - 100
        memory.write(memory.data() | {"0" * 22: "x" * (room - 22)})
        server.processes["p2"] = LoggedProcess(1)
        pods.names = ["p1", "p2"]
        await one.round(60)
        assert memory.of(log.id).checkpoint.size == 3
        assert server.processes["p2"].id not in memory.data()
        assert one.witness.problem == "ConfigMap bailiwick-witness is full: some logs do not fit in it"
        assert "WitnessFull" in one.reasons
