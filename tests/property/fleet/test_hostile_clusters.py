"""Whatever a cluster answers, its row is printed, is never well for it, and writes no control character."""

import io
import json
import unicodedata
from contextlib import redirect_stdout
from dataclasses import dataclass
from typing import Any, Final

import pytest
import yaml
from hypothesis import given, strategies as st

from bailiwick_api.documents.policyfiles import policy_file
from bailiwick_cli.views import fleetview
from bailiwick_governance.fleet.asking import ask_clusters
from bailiwick_governance.fleet.report import fleet_report
from support.objects import DIGEST, policy, settings
from unit.governance.fleet.wellcluster import NOW, StandInCluster, reader_of, well_cluster

# Words of objects, so that a drawing gets further than the first look.
WORDS: Final = st.sampled_from(
    ["True", "Accepted", "Programmed", "conditions", "status", "2026-12-01T00:00:00Z", DIGEST, "\x1b[2J", "\u202e\n"]
)
TEXTS: Final = WORDS | st.text(st.characters(), max_size=8)
JSON: Final = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 3) | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
GIT: Final = policy("fleet", "crm-agent", endpointSettings=settings("fleet"))
MANIFEST: Final = ("policies.yaml", policy_file(yaml.safe_dump(GIT).encode()))
HOSTILE: Final = "\x1b[31mwell\u202e\x9b\n"
OUR_OWN: Final = frozenset("\n")


@dataclass(frozen=True)
class Change:
    """One value of what a well cluster answers, replaced: `way` leads to it."""

    way: tuple[str | int, ...]
    value: Any


def ways(value: Any, before: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:  # noqa: ANN401 - JSON
    """Return the way to each value in a value."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [before, *(way for key, part in inside for way in ways(part, (*before, key)))]


@st.composite
def changes(draw: st.DrawFn) -> Change:
    way = draw(st.sampled_from(ways(well_cluster())[1:]))
    return Change(way, draw(JSON))


def changed(change: Change) -> dict[str, Any]:
    raw = well_cluster()
    *way, last = change.way
    place: Any = raw
    for key in way:
        place = place[key]
    place[last] = change.value
    return raw


def table(report: Any) -> str:  # noqa: ANN401 - a report
    with redirect_stdout(io.StringIO()) as out:
        fleetview.write_tables(report)
    return out.getvalue()


@given(st.lists(changes(), min_size=1, max_size=3))
def test_whatever_a_cluster_answers_is_a_row_without_a_control_character(found: list[Change]) -> None:
    readers = {
        f"cluster-{at}": reader_of(f"cluster-{at}", StandInCluster(changed(one))) for at, one in enumerate(found)
    }
    report = fleet_report(ask_clusters(readers, 30.0), {"": [MANIFEST]}, None, NOW)
    assert [row.name for row in report.rows] == [*readers]
    text = table(report)
    assert {one for one in text if unicodedata.category(one).startswith("C")} <= OUR_OWN
    text.encode()
    assert json.loads(fleetview.document(report))["kind"] == "FleetStatus"


@pytest.mark.parametrize("way", ways(well_cluster())[1:], ids=str)
def test_a_hostile_text_anywhere_is_escaped(way: tuple[str | int, ...]) -> None:
    raws = {"other": well_cluster(), "lies": changed(Change(way, HOSTILE))}
    readers = {name: reader_of(name, StandInCluster(raw)) for name, raw in raws.items()}
    report = fleet_report(ask_clusters(readers, 30.0), {"": [MANIFEST]}, None, NOW)
    assert {one for one in table(report) if unicodedata.category(one).startswith("C")} <= OUR_OWN


# What decides on each check: nothing else in its place leaves it good.
DECIDING: Final = {
    ("policies", 0, "metadata", "generation"): ("policies", "served"),
    ("policies", 0, "status"): ("policies", "served"),
    ("policies", 0, "status", "observedGeneration"): ("policies",),
    ("policies", 0, "status", "digest"): ("policies",),
    ("policies", 0, "status", "conditions"): ("policies", "served"),
    ("policies", 0, "status", "conditions", 0, "status"): ("policies",),
    ("policies", 0, "status", "conditions", 0, "observedGeneration"): ("policies",),
    ("policies", 0, "status", "conditions", 1, "status"): ("served",),
    ("policies", 0, "status", "conditions", 1, "observedGeneration"): ("served",),
    ("configmaps", "bailiwick-guard", "data", "provenTime"): ("guards",),
    ("configmaps", "bailiwick-witness", "data"): ("witness", "losses"),
    ("deployments", 0, "metadata", "labels"): ("version",),
}


@pytest.mark.parametrize("way", DECIDING, ids=str)
@given(value=JSON)
def test_nothing_else_in_the_place_of_what_decides_is_good(way: tuple[str | int, ...], value: Any) -> None:  # noqa: ANN401
    raw: Any = well_cluster()
    place = raw
    for key in way[:-1]:
        place = place[key]
    if type(place[way[-1]]) is type(value) and place[way[-1]] == value:
        return
    place[way[-1]] = value
    report = fleet_report(ask_clusters({"one": reader_of("one", StandInCluster(raw))}, 30.0), {}, None, NOW)
    (row,) = report.rows
    good = {str(check.code) for check in row.checks if check.tone == "good"}
    assert row.problem is not None or good.isdisjoint(DECIDING[way]), row
