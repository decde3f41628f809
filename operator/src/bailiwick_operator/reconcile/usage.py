"""What the status of a policy says of its use, and of what its candidate came to. Pure.

Standing: under `endpointpolicy`. Holds: it is made from what is stored and what was found, so that nothing is lost with
the memory of a process: of days and of counts the larger stays. It seldom changes: the day of the last use once a day,
counts at most once in ten minutes and by steps. What is not known is not called unused.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from bailiwick_api.times import parse_time, stamp

Object = dict[str, Any]
Status = dict[str, Any]
DAY: Final = timedelta(days=1)
_SECONDS: Final = 86_400
_SHADOW_PAUSE: Final = timedelta(minutes=10)
_STEPS: Final = (1, 2, 5)
_MOST: Final = 10**15


@dataclass(frozen=True, slots=True)
class PolicyUse:
    """What processes said of a policy. `day` of the last use since the epoch, in UTC; 0: none was told.

    `compared` and `different`: of its present generation, as a candidate. `since`: uses have been observed without a
    break since then, at least where a status says so; None: it is not known whether they are.
    """

    day: int = 0
    compared: int = 0
    different: int = 0
    since: datetime | None = None


NOTHING_KNOWN: Final = PolicyUse()


def last_day(policy: Object) -> int:
    """Return the day of the last use that the status names, since the epoch; 0: it names none."""
    found = parse_time(_of(policy, "usage").get("lastUsedTime"))
    return 0 if found is None else int(found.timestamp() // _SECONDS)


def usage(policy: Object, use: PolicyUse, now: datetime, *, gives: bool) -> Status | None:
    """Return what the status says of uses; None: nothing. `gives`: a rule of the policy can let a call through."""
    today = int(now.timestamp() // _SECONDS)
    # A clock that is ahead, be it a forged answer, must not say for ever that it was used.
    day = min(max(use.day, last_day(policy)), today)
    told: Status = {"lastUsedTime": stamp(_begin(day))} if day > 0 else {}
    if gives and use.since is not None:
        before = parse_time(_of(policy, "usage").get("observedSince"))
        since = now if before is None else min(max(before, use.since), now)
        told["observedSince"] = stamp(since)
        if day == 0:
            told["unusedSince"] = stamp(since)
        elif today - day > 1:
            # After a whole day without one: else it would be written twice a day for what is used every day.
            told["unusedSince"] = stamp(max(since, _begin(day + 1)))
    return told or None


def shadow(policy: Object, use: PolicyUse, now: datetime) -> Status:
    """Return what the status of a candidate says of the calls that were decided once more with it."""
    generation, present = policy["metadata"]["generation"], _of(policy, "shadow")
    before = present if present.get("observedGeneration") == generation else {}
    counts = {
        name: max(_count(before.get(name)), rounded(found))
        for name, found in (("compared", use.compared), ("different", use.different))
    }
    # Of the generation before as well: whoever writes the candidate again and again has no more written.
    updated = parse_time(present.get("lastUpdateTime"))
    if counts != {name: _count(before.get(name)) for name in counts}:
        if updated is None or not now - _SHADOW_PAUSE < updated <= now:
            updated = now
        else:
            counts = {name: _count(before.get(name)) for name in counts}
    told: Status = {"observedGeneration": generation, **counts}
    return told if updated is None else told | {"lastUpdateTime": stamp(updated)}


def rounded(count: int) -> int:
    """Round down to 1, 2 or 5 times a power of ten; nothing stays nothing."""
    if count <= 0:
        return 0
    power: int = 10 ** (len(str(min(count, _MOST))) - 1)
    return max(step * power for step in _STEPS if step * power <= count)


def _begin(day: int) -> datetime:
    return datetime.fromtimestamp(day * _SECONDS, UTC)


def _of(policy: Object, name: str) -> Status:
    found = (policy.get("status") or {}).get(name)
    return found if isinstance(found, dict) else {}


def _count(found: object) -> int:
    return found if isinstance(found, int) else 0
