"""Patterns of a test, held against every region of them.

Standing: under `trial`, over `bailiwick_regions.pattern`. Holds: what there are too many regions of to look at fails,
since it was not shown to hold.
"""

from dataclasses import dataclass
from typing import Final

from bailiwick_cli.policytest.fixtures import EndpointUnderTest
from bailiwick_cli.policytest.regionplan import PlannedRegion
from bailiwick_engine.policy.snapshot import CompiledEndpoint
from bailiwick_regions.atoms import describe_labels
from bailiwick_regions.change import Change, ChangeClass
from bailiwick_regions.pattern import occurrences

_SHOWN: Final = 3


@dataclass(frozen=True, slots=True)
class TriedRegion:
    """What one pattern came to. `wrong`: calls that come to what none may; empty where there is none."""

    place: str
    said: str
    wrong: tuple[str, ...]


def tried_region(
    region: PlannedRegion, endpoint: CompiledEndpoint, tested: EndpointUnderTest, now: float
) -> TriedRegion:
    """Look at every region of a pattern, from `now` on."""
    pattern = (region.subjects, region.actions, region.resources)
    found = occurrences((tested.namespace, tested.name), endpoint, pattern, frozenset(region.excluded), now)
    wrong = [_sentence(one) for one in found[:_SHOWN]]
    if len(found) > _SHOWN:
        wrong.append(f"and {len(found) - _SHOWN} more")
    return TriedRegion(region.place, region.said, tuple(wrong))


def _sentence(one: Change) -> str:
    where = " · ".join(
        f"{name.removeprefix('resource.')} {describe_labels(labels)}" for name, labels in one.where.items()
    )
    may = "may be " if one.kind is ChangeClass.MAY_WIDEN else ""
    by = "" if one.rule is None else f" by {'/'.join(one.rule.place)}"
    when = f" when {', '.join(one.when)}" if one.when else ""
    why = f" ({one.why})" if one.why else ""
    return f"{may}{one.what}: {where}{by}{when}{why}"
