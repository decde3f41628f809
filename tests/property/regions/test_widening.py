"""What `diff` calls the same or narrower is never wider: every field of the kinds, several files, by the engine."""

import json
import random
from collections.abc import Mapping
from functools import cache
from itertools import islice
from typing import Final

import pytest
from hypothesis import assume, given, strategies as st

from bailiwick_api.documents import policyfiles
from bailiwick_api.documents.policyfiles import File
from bailiwick_engine.decision.verdict import Verdict
from bailiwick_governance.errors import UserError
from bailiwick_governance.sources.policies import policy_set
from bailiwick_governance.sources.policysides import read_sides
from bailiwick_regions.change import ChangeClass
from bailiwick_regions.compare import compare, worst
from property.regions import kindworld as world
from support.objects import Object
from unit.engine.cases import NAMESPACE, NOW

WIDENS: Final = frozenset({ChangeClass.WIDER, ChangeClass.MAY_WIDEN})
# What a record or a person reads of a policy, and what is judged beside the answer, decide nothing.
SILENT: Final = frozenset(
    {
        "endpointSettings.delegation.ceiling.conditions.message",
        "endpointSettings.delegation.ceiling.conditions.name",
        "endpointSettings.http.routes.forms",  # no call of the world has a body
        "endpointSettings.record",
        "endpointSettings.record.keep",
        "rules.conditions.message",
        "rules.conditions.name",
        "rules.name",
        "sensitive",
        "subjects.name",
        "variables.name",
    }
)

Files = tuple[tuple[str, str], ...]


def text(files: Mapping[str, list[Object]]) -> Files:
    """Return files by name, as they are written."""
    return tuple((f"{name}.yaml", "\n---\n".join(map(json.dumps, objects))) for name, objects in files.items())


def read(files: Files) -> list[tuple[str, File]]:
    """Return them as they lie in a folder."""
    return [(name, policyfiles.policy_file(content.encode())) for name, content in files]


def is_sound(files: Mapping[str, list[Object]]) -> bool:
    """Tell whether all of these files can be compared."""
    try:
        read_sides([], read(text(files)))[1].refuse_broken("head")
    except UserError:
        return False
    return True


@cache
def decided(files: Files) -> list[Verdict | None]:
    """Return what each call comes to by all files, none left out."""
    return world.verdicts(policy_set(read(files)).assembled()[0])


def fault(base: Mapping[str, list[Object]], head: Mapping[str, list[Object]]) -> str | None:
    """Return what `diff` says wrongly of a change of files that are sound; None where it says nothing that is wrong."""
    was, is_now = read_sides(read(text(base)), read(text(head)))
    said = worst(one for one in compare(was.snapshot, is_now.snapshot, NOW) if one.endpoint[0] == NAMESPACE)
    if said in WIDENS:
        return None
    before, after = decided(text(base)), decided(text(head))
    gates = world.GateWorld()
    for call, first, then in zip(world.CALLS, before, after, strict=True):
        if gates.further(first, then):
            return f"{said}, but {call} goes from {first} to {then}"
        if said is ChangeClass.SAME and gates.further(then, first):
            return f"{said}, but {call} goes back from {first} to {then}"
    return None


def test_every_field_of_the_kinds_has_other_values_here() -> None:
    assert world.OTHERS.keys() | {"data"} == world.FIELDS


@pytest.mark.parametrize("path", sorted(world.OTHERS))
def test_a_change_of_one_field_is_never_called_narrower_than_it_is(path: str) -> None:
    hold_each_value(path, most=1)


@pytest.mark.long
@pytest.mark.parametrize("path", sorted(world.OTHERS))
def test_a_change_of_one_field_at_several_places_is_never_called_narrower_than_it_is(path: str) -> None:
    hold_each_value(path, most=3)


def hold_each_value(path: str, most: int) -> None:
    """Try each other value of a field, at so many places where it stands."""
    tried = seen = 0
    for asserted in (False, True):
        files = world.folder(asserted=asserted)
        for value in world.OTHERS[path]:
            made = ((spot, world.changed(files, spot, value)) for spot in world.spots(files, path))
            sound = ((spot, changed) for spot, changed in made if changed != files and is_sound(changed))
            for spot, changed in islice(sound, most):
                tried += 1
                assert fault(files, changed) is None, (spot, value)
                assert fault(changed, files) is None, (spot, value, "back")
                seen += decided(text(files)) != decided(text(changed))
    assert tried, "no other value compiles"
    assert seen or path in SILENT, "no call is aimed at the field"


@pytest.mark.parametrize("asserted", [False, True])
@pytest.mark.parametrize("value", world.OTHER_DATA, ids=["opened", "a member gone", "of another type", "gone"])
def test_a_change_of_data_is_never_called_narrower_than_it_is(value: object, *, asserted: bool) -> None:
    files = world.folder(asserted=asserted)
    spot: world.Spot = ("data", 0, ("spec", "data"))
    changed = {name: objects for name, objects in files.items() if name != "data"}
    if value is not world.DROPPED:
        changed = world.changed(files, spot, value)
    assert fault(files, changed) is None
    assert fault(changed, files) is None


@given(st.integers(0, 2**32), st.booleans())
def test_changes_of_several_fields_are_never_called_narrower_than_they_are(seed: int, asserted: bool) -> None:
    source = random.Random(seed)  # noqa: S311 - of what to change
    base = head = world.folder(asserted=asserted)
    for _ in range(source.randint(1, 4)):
        path = source.choice(sorted(world.OTHERS))
        found = world.spots(head, path)
        if found:
            changed = world.changed(head, source.choice(found), source.choice(world.OTHERS[path]))
            head = changed if is_sound(changed) else head
    if source.random() < 0.2:
        head = world.changed(head, ("data", 0, ("spec", "data")), source.choice(world.OTHER_DATA[:3]))
    if source.random() < 0.2:
        head = {name: objects for name, objects in head.items() if name != source.choice(("denies", "access", "next"))}
    assume(is_sound(head))
    # The other way round, too: what one side lacks.
    for before, after in ((base, head), (head, base)):
        assert fault(before, after) is None
