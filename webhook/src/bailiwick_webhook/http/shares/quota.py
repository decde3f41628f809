"""A quota: a fixed amount of something, shared among those who ask for it.

Standing: under `slots`, `bodies` and `conntable`. Holds: no name has more of it than is free, so that one alone has
half of it at most, and two a third each; and no group has more than three times what is free, so that all of one
together have three quarters at most (the dynamic threshold of Choudhury and Hahne, with a factor of one and of three).
Who has nothing is not remembered.
"""

from typing import Final

from bailiwick_webhook.metrics.table import Overload

_OF_A_GROUP: Final = 3


class Quota:
    """An amount. Each piece of it is held under a name, and maybe under a group as well. Lives in one loop.

    Names and groups differ in what they look like: `slots` makes sure of that.
    """

    __slots__ = ("_held", "free")

    def __init__(self, amount: int) -> None:
        self.free = amount
        self._held: dict[str, int] = {}

    def held(self, name: str) -> int:
        """Return how much is held under a name or by a group."""
        return self._held.get(name, 0)

    def take(self, name: str, group: str = "", amount: int = 1) -> Overload | None:
        """Take an amount; return why it cannot be had, where it cannot."""
        why = self.lacks(name, group, amount)
        if why is None:
            held = self._held
            held[name] = held.get(name, 0) + amount
            if group:
                held[group] = held.get(group, 0) + amount
            self.free -= amount
        return why

    def lacks(self, name: str, group: str = "", amount: int = 1) -> Overload | None:
        """Return why an amount cannot be had, without taking it; None where it can."""
        free, held = self.free, self._held
        if held.get(name, 0) + amount > free:
            return Overload.SHARE if amount <= free else Overload.FULL
        return Overload.SHARE if group and held.get(group, 0) + amount > _OF_A_GROUP * free else None

    def give_back(self, name: str, group: str = "", amount: int = 1) -> None:
        """Give back an amount that was taken so."""
        held = self._held
        # What is left of nothing goes, or each new name of a caller would be remembered for ever.
        if left := held[name] - amount:
            held[name] = left
        else:
            del held[name]
        if group:
            if left := held[group] - amount:
                held[group] = left
            else:
                del held[group]
        self.free += amount
