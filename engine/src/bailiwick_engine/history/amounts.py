"""Amounts: a number of a call as an exact integer of the smallest unit.

Standing: lowest in `history`. Holds: a number has one reading, or none; nothing is rounded.
"""

import re
from decimal import Decimal
from typing import Final

from bailiwick_engine.call import Json
from bailiwick_engine.history.state import MAX_TOTAL

MAX_DIGITS: Final = 15
"""So many digits a double tells apart, whichever they are."""
# No sign, no exponent and no needless zero in front: others might read another number there.
_DECIMAL_TEXT: Final = re.compile(r"(0|[1-9][0-9]{0,14})(?:\.([0-9]{1,15}))?")


def amount_units(value: Json, digits: int) -> int | None:
    """Return a value in units of 10 to the power of minus `digits`; None where it has no one reading.

    It is a JSON integer, a JSON number by its shortest form, or a decimal text: 0 or more, with at most 15 digits, of
    which at most `digits` are decimals.
    """
    match value:
        case bool():
            return None
        case int():
            return _units(value, 0, digits) if 0 <= value < 10**MAX_DIGITS else None
        case float():
            return _float_units(value, digits)
        case str():
            written = _DECIMAL_TEXT.fullmatch(value)
            if written is None:
                return None
            whole, decimals = written[1], written[2] or ""
            if len(whole) + len(decimals) > MAX_DIGITS:
                return None
            return _units(int(whole + decimals), len(decimals), digits)
        case _:
            return None


def _float_units(value: float, digits: int) -> int | None:
    if not 0 <= value < 10**MAX_DIGITS:
        # Neither is what is not a number.
        return None
    # The shortest text that reads back as the same double, as JSON is written; `1.0` has no decimals.
    _, read, exponent = Decimal(repr(value)).normalize().as_tuple()
    decimals = max(-int(exponent), 0)
    if len(read) + max(int(exponent), 0) > MAX_DIGITS or decimals > MAX_DIGITS:
        return None
    return _units(int(value) if not decimals else int("".join(map(str, read))), decimals, digits)


def _units(number: int, decimals: int, digits: int) -> int | None:
    """Return the units of a number whose last `decimals` digits are decimals."""
    if decimals > digits:
        return None
    units: int = number * 10 ** (digits - decimals)
    return units if units <= MAX_TOTAL else None
