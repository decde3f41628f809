"""Words: a region as people read it, part by part.

Holds: nothing is escaped here; whoever shows it does that.
"""

from collections.abc import Iterator
from typing import Final

from bailiwick_regions.atoms import told
from bailiwick_regions.change import Change

_UNNAMED: Final = frozenset({"subject", "action", "resource"})


def region(change: Change) -> Iterator[str]:
    """Yield the parts of the region that a change is about: `refund`, `Order/*`, `amount: other`, `when ...`."""
    for name, labels in change.where.items():
        words = told(labels)
        yield words if name in _UNNAMED else f"{name.removeprefix('resource.properties.')}: {words}"
    if change.when:
        yield f"when {', '.join(change.when)}"
