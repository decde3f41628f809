"""What comes through, as pages show it: the table that `what-can` prints, as long as a page may be.

Standing: over `rightsview`; cells and identities show it. Holds: pure; what is not shown is counted.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bailiwick_governance.display import Line
from bailiwick_governance.views.rightsview import RightsView
from bailiwick_regions.rights.answers import AccessRow

MOST_ROWS: Final = 100
_COLUMNS: Final = (("ACTION", "action"), ("RESOURCE", "resource"))


@dataclass(frozen=True, slots=True)
class ShownAccess:
    """A table. `rows` None: there is more to look at than is looked at. `left`: so many rows are not shown."""

    headers: tuple[str, ...]
    rows: tuple[Line, ...] | None
    left: int


def access_table(found: Sequence[AccessRow] | None) -> ShownAccess:
    """Return the table of these rows; None: not all of them were looked at."""
    view = RightsView("WhatCan", {}, _COLUMNS, found or (), lambda _: None)
    if found is None:
        return ShownAccess(view.headers(), None, 0)
    rows = tuple(view.table())
    return ShownAccess(view.headers(), rows[:MOST_ROWS], max(len(rows) - MOST_ROWS, 0))
