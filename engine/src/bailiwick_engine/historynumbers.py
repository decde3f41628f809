"""The numbers of histories, as conditions read them.

Standing: over nothing; `circumstances` carries them into a decision. Holds: numbers are as they would be after the
call.
"""

import re
from collections.abc import Mapping
from typing import Final, Self

import msgspec

from bailiwick_engine.reasons import Reason

_DECIMAL: Final = re.compile(r"(?:0|[1-9][0-9]{0,15})(?:\.[0-9]{1,6})?")


class HistoryNumbers(msgspec.Struct, frozen=True, gc=False):
    """`count` and `total` include this call if it counts. `age`: whole seconds since the latest one before; None: none.

    `total` is in units of the amount's last digit, `digits` how many of its digits are decimals; None: no amount.
    """

    count: int
    total: int | None = None
    digits: int = 0
    age: int | None = None

    @property
    def members(self) -> dict[str, int | float]:
        """What `history.NAME` is for a condition: `sum` is the double that is nearest to the exact decimal."""
        members: dict[str, int | float] = {"count": self.count}
        if self.total is not None:
            members["sum"] = self.total / 10**self.digits
        if self.age is not None:
            members["age"] = self.age
        return members

    @property
    def decimal_sum(self) -> str | None:
        """The exact sum, as a decimal with all its digits; None: no amount."""
        if self.total is None:
            return None
        whole, part = divmod(self.total, 10**self.digits)
        return f"{whole}.{part:0{self.digits}}" if self.digits else str(whole)

    @classmethod
    def from_record(cls, count: int, decimal_sum: str | None, age: int | None) -> Self | None:
        """Return the numbers as a record writes them; None if the sum is not one that a process writes."""
        if decimal_sum is None:
            return cls(count, age=age)
        if _DECIMAL.fullmatch(decimal_sum) is None:
            return None
        whole, _, part = decimal_sum.partition(".")
        return cls(count, int(whole + part), len(part), age)


class HistoryReadings(msgspec.Struct, frozen=True, gc=False):
    """The numbers that a decision is made with.

    `numbers` by the name of the history; one that is missing is unknown. `counted`: the caller of the engine adds this
    call to every history that counts it before it lets the call through; a decision with `counted` false lets no call
    through that a history would have to count. `refusal`: why what has to be counted cannot be.

    `rules_alone`: the verdict is that of the rules with these numbers, whatever counts the call. So policies are
    compared, and so is a record derived again, which lacks keys and amounts. It lets no call through.
    """

    numbers: Mapping[str, HistoryNumbers] = {}
    counted: bool = False
    refusal: Reason | None = None
    rules_alone: bool = False


UNREAD = HistoryReadings()
RULES_ALONE = HistoryReadings(rules_alone=True)
