"""Request slots: how many requests may be under way at a time, and how they are shared among those who send them.

Standing: under `authenticator`, which takes a slot before it waits for anybody. Holds: enforcers have one part of the
slots, and all others together the other part. No name has more slots of a part than are free. An enforcer's request
counts for its account, and for the namespace of the endpoint: who may write policies there can name any number of
accounts. A slot is given back once, however its request ends. A request that gets none was not read, used nothing and
was not decided.
"""

from types import TracebackType
from typing import Final, NamedTuple, Self

from bailiwick_webhook.http.problems import ProblemError, overloaded
from bailiwick_webhook.http.shares.bounds import Parts
from bailiwick_webhook.http.shares.quota import Quota
from bailiwick_webhook.loglimit import LogLimit
from bailiwick_webhook.metrics.counts import Counts
from bailiwick_webhook.metrics.table import CallerClass, Overload

# A member of an enumeration is looked up slowly, and these are on every request's way.
_ENFORCERS, _OTHERS = CallerClass.ENFORCERS, CallerClass.OTHERS

_log: Final = LogLimit()


class Sender(NamedTuple):
    """Who a request counts for.

    A username of an account has colons, an address has colons or dots, and a namespace, which is a group, has neither.
    """

    who: CallerClass
    name: str
    group: str


def enforcer(account: str, namespace: str) -> Sender:
    """Return who a request counts for whose sender enforces the endpoint that it asks about."""
    return Sender(_ENFORCERS, account, namespace)


def other(name: str) -> Sender:
    """Return who any other request counts for: an account, or an address before that."""
    return Sender(_OTHERS, name, "")


# Stands for no sender: none is called so.
NOBODY: Final = Sender(_OTHERS, "\0", "")


class RequestSlots:
    """The slots of one process. Lives in one loop."""

    def __init__(self, parts: Parts, counts: Counts) -> None:
        self.counts = counts
        self.enforcers, self.others = Quota(parts.enforcers), Quota(parts.others)

    def slot(self) -> "RequestSlot":
        """Return what a request holds its slot with; it holds none yet."""
        return RequestSlot(self)

    def check(self, sender: Sender) -> None:
        """Raise `ProblemError` (429) where a request would get no slot. One that is answered at once holds none."""
        who, name, group = sender
        quota = self.enforcers if who is _ENFORCERS else self.others
        if (why := quota.lacks(name, group)) is not None:
            raise self.refused(sender, quota, why)

    def refused(self, sender: Sender, quota: Quota, why: Overload) -> ProblemError:
        """Return the answer to a sender that gets no slot."""
        who, name, group = sender
        self.counts.overloads[why, who] += 1
        # The metric alone does not say whose they are.
        _log.warning(
            "too many concurrent requests",
            why=why.value,
            sender=name,
            its=quota.held(name),
            namespace=group,
            about_the_namespace=quota.held(group),
            free=quota.free,
        )
        return overloaded(why)


class RequestSlot:
    """One request's slot, as a context manager. Until its sender is authenticated, its address stands for it.

    `sender` holds it; `NOBODY` holds none yet.
    """

    __slots__ = ("_slots", "sender")

    def __init__(self, slots: RequestSlots) -> None:
        self._slots = slots
        self.sender = NOBODY

    def __enter__(self) -> Self:
        """Begin a request."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """End it, however."""
        if self.sender is not NOBODY:
            self._leave()

    def take(self, sender: Sender) -> None:
        """Hold the slot in this name from now on, in place of any other. Raises `ProblemError` (429)."""
        if self.sender is not NOBODY:
            if sender == self.sender:
                return
            self._leave()
        slots, (who, name, group) = self._slots, sender
        quota = slots.enforcers if who is _ENFORCERS else slots.others
        if (why := quota.take(name, group)) is not None:
            raise slots.refused(sender, quota, why)
        slots.counts.under_way[who is _OTHERS] += 1
        self.sender = sender

    def _leave(self) -> None:
        slots, (who, name, group) = self._slots, self.sender
        self.sender = NOBODY
        (slots.enforcers if who is _ENFORCERS else slots.others).give_back(name, group)
        slots.counts.under_way[who is _OTHERS] -= 1
