"""Words: a region for people to read, part by part.

Holds: nothing is escaped here; the code that shows it must escape it.
"""

from collections.abc import Iterator
from typing import Final

from bailiwick_regions.atoms import describe_labels
from bailiwick_regions.change import Change

_UNNAMED: Final = frozenset({"subject", "action", "resource"})


def region(change: Change) -> Iterator[str]:
    """Yield the parts of the region that a change is about: `refund`, `Order/*`, `amount: other`, `when ...`."""
    for name, labels in change.where.items():
        words = describe_labels(labels)
        yield words if name in _UNNAMED else f"{name.removeprefix('resource.properties.')}: {words}"
    if change.when:
        yield f"when {', '.join(change.when)}"
