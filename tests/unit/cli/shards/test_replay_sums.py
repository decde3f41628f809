"""The sum of replays: what depends on which process counted first is refused, and samples are those of the log."""

import msgspec
import pytest

from bailiwick_cli.errors import CliError
from bailiwick_cli.replay.tally import ReplayGroup, ReplaySample, ReplayTally
from bailiwick_cli.shards import logreplays
from bailiwick_cli.shards.logreplays import ReplayShare, ReplayTotals
from bailiwick_cli.shards.shardfile import ShardSet


def tally(*subjects: str, orders: tuple[int, ...] = ()) -> ReplayTally:
    made = ReplayTally()
    for subject in subjects:
        group = ReplayGroup(subject, "list", "allow→deny")
        made.codes[group.code] += 1
        made.groups[group] += 1
        made.samples[group] = [ReplaySample(f"eval-{order}", "", "", None, (), order) for order in orders]
    return made


def shards(*tallies: ReplayTally) -> ShardSet:
    shares = tuple(msgspec.json.encode(ReplayShare.from_tally(one)) for one in tallies)
    return ShardSet("replay", msgspec.json.encode(ReplayTotals(0, 0, ("wider",), ("log",))), shares)


def test_the_samples_are_the_first_of_the_log_whichever_shard_has_them() -> None:
    _, made = logreplays.joined(shards(tally("a", orders=(2, 7, 9)), tally("a", orders=(1, 8, 10))))
    (samples,) = made.samples.values()
    assert [one.order for one in samples] == [1, 2, 7]


def test_more_groups_in_one_shard_than_are_counted_apart_are_refused() -> None:
    with pytest.raises(CliError, match="a divided replay of them is not exact"):
        shards(tally("a", "(others)"))


def test_more_groups_in_all_shards_than_are_counted_apart_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logreplays, "MOST_GROUPS", 2)
    made = shards(tally("a", "b"), tally("b"))
    assert logreplays.joined(made)[1].codes == {"allow→deny": 3}
    with pytest.raises(CliError, match="a divided replay of them is not exact"):
        logreplays.joined(shards(tally("a", "b"), tally("c")))
