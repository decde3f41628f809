"""What several processes said, put together: the latest day, the sum of counts, over restarts."""

import pytest

from bailiwick_operator.reconcile.usage import PolicyUse
from bailiwick_operator.usage.memory import ReplicaUsage, UsageMemory

ASKED = {"p", "q"}


def shadows(memory: str, generation: int, compared: int, different: int) -> ReplicaUsage:
    return ReplicaUsage(memory, shadows={"p": (generation, compared, different)})


def test_the_latest_day_of_all_processes_stays() -> None:
    memory = UsageMemory()
    for name, day in (("a", 7), ("b", 9), ("c", 8)):
        memory.take(ReplicaUsage(name, {"p": day}), ASKED)
    assert (memory.day("p"), memory.day("q")) == (9, 0)


def test_counts_are_added_over_processes_and_their_restarts() -> None:
    memory = UsageMemory()
    for report in (shadows("a", 1, 10, 2), shadows("b", 1, 5, 5), shadows("a", 1, 12, 3), shadows("a-anew", 1, 1, 0)):
        memory.take(report, ASKED)
    assert memory.policy_use("p", 1) == PolicyUse(0, 18, 8)


def test_counts_are_of_one_generation() -> None:
    memory = UsageMemory()
    for report in (shadows("a", 1, 10, 2), shadows("a", 2, 3, 1), shadows("b", 1, 99, 99)):
        memory.take(report, ASKED)
    assert (memory.policy_use("p", 2), memory.policy_use("p", 1)) == (PolicyUse(0, 3, 1), PolicyUse())


def test_nothing_is_kept_of_policies_that_nobody_asked_about_or_that_are_gone() -> None:
    memory = UsageMemory()
    memory.take(ReplicaUsage("a", {"forged": 7, "p": 7}, {"forged": (1, 1, 1), "p": (1, 1, 1)}), ASKED)
    assert (memory.day("forged"), memory.policy_use("forged", 1)) == (0, PolicyUse())
    memory.forget("p")
    assert memory.policy_use("p", 1) == PolicyUse()


@pytest.mark.parametrize("lives", [10, 1000])
def test_however_often_processes_restart_nothing_is_lost_and_little_is_kept(lives: int) -> None:
    memory = UsageMemory()
    for life in range(lives):
        memory.take(shadows(f"life-{life}", 1, 2, 1), ASKED)
    assert memory.policy_use("p", 1) == PolicyUse(0, 2 * lives, lives)
    assert len(memory._counts["p"].by_memory) <= 256
