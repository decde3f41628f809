"""The status of a policy's use, and of what its candidate would decide. Pure.

Standing: under `endpointpolicy`. Holds: it combines the stored status with what processes reported, so that nothing is
lost with the memory of a process: of days and of counts the larger is kept. It seldom changes: the day of the last use
once a day, counts at most once in ten minutes and by steps. A policy whose use is not known is not reported as unused.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from bailiwick_api.times import parse_time, stamp
from bailiwick_operator.reconcile.conditions import Object, Status

DAY: Final = timedelta(days=1)
_SECONDS: Final = 86_400
_SHADOW_PAUSE: Final = timedelta(minutes=10)
_STEPS: Final = (1, 2, 5)
_MOST: Final = 10**15


@dataclass(frozen=True, slots=True)
class PolicyUse:
    """What processes reported of a policy. `day` of the last use since the epoch, in UTC; 0: none was reported.

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
    used = parse_time(_section(policy, "usage").get("lastUsedTime"))
    return 0 if used is None else int(used.timestamp() // _SECONDS)


def usage(policy: Object, use: PolicyUse, now: datetime, *, gives: bool) -> Status | None:
    """Return the `usage` of the status; None: it has none. `gives`: a rule of the policy can allow a call."""
    today = int(now.timestamp() // _SECONDS)
    # A clock that is ahead, or a forged answer, must not make it look used for ever.
    day = min(max(use.day, last_day(policy)), today)
    status: Status = {"lastUsedTime": stamp(_day_start(day))} if day > 0 else {}
    if gives and use.since is not None:
        before = parse_time(_section(policy, "usage").get("observedSince"))
        since = now if before is None else min(max(before, use.since), now)
        status["observedSince"] = stamp(since)
        if day == 0:
            status["unusedSince"] = stamp(since)
        elif today - day > 1:
            # After a whole day without a use: else the status of a policy that is used daily is written twice a day.
            status["unusedSince"] = stamp(max(since, _day_start(day + 1)))
    return status or None


def shadow(policy: Object, use: PolicyUse, now: datetime) -> Status:
    """Return the `shadow` of a candidate's status: the calls that were decided once more with it."""
    generation, present = policy["metadata"]["generation"], _section(policy, "shadow")
    before = present if present.get("observedGeneration") == generation else {}
    counts = {
        name: max(_count(before.get(name)), round_down(reported))
        for name, reported in (("compared", use.compared), ("different", use.different))
    }
    # The pause counts from the previous generation's update too: to rewrite the candidate again and again must not
    # cause more writes.
    updated = parse_time(present.get("lastUpdateTime"))
    if counts != {name: _count(before.get(name)) for name in counts}:
        if updated is None or not now - _SHADOW_PAUSE < updated <= now:
            updated = now
        else:
            counts = {name: _count(before.get(name)) for name in counts}
    status: Status = {"observedGeneration": generation, **counts}
    return status if updated is None else status | {"lastUpdateTime": stamp(updated)}


def round_down(count: int) -> int:
    """Round down to 1, 2 or 5 times a power of ten; zero stays zero."""
    if count <= 0:
        return 0
    power: int = 10 ** (len(str(min(count, _MOST))) - 1)
    return max(step * power for step in _STEPS if step * power <= count)


def _day_start(day: int) -> datetime:
    return datetime.fromtimestamp(day * _SECONDS, UTC)


def _section(policy: Object, name: str) -> Status:
    section = (policy.get("status") or {}).get(name)
    return section if isinstance(section, dict) else {}


def _count(value: object) -> int:
    return value if isinstance(value, int) else 0
