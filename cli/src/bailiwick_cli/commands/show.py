"""`show`, and what `approve` and `deny` put before a person's eyes: the whole call, as the grant holds it.

Standing: a skin of `grantfacts`, which says what there is to know; here it becomes lines. Holds: nothing is cut; on a
terminal no text of others begins where a label begins; the requester's own words stand apart, last, and are said to be
that.
"""

import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from rich.cells import cell_len

from bailiwick_api.kinds.meta import ENDPOINT_POLICIES
from bailiwick_cli import output
from bailiwick_cli.errors import Exit
from bailiwick_cli.kubeconfig import connect
from bailiwick_cli.options import Output
from bailiwick_cli.verbs.grantverbs import ShowFlags
from bailiwick_governance import arguments
from bailiwick_governance.apiserver.cluster import ClusterClient, grants_path, policies_path
from bailiwick_governance.display import Line
from bailiwick_governance.errors import ApiError
from bailiwick_governance.grants import grantfacts, policyfacts
from bailiwick_governance.grants.grantfacts import GrantFact, Told
from bailiwick_governance.grants.grantview import GrantView
from bailiwick_governance.grants.overlaps import still_letting
from bailiwick_governance.grants.policyfacts import Policies
from bailiwick_governance.grants.reviews import unread
from bailiwick_governance.lookalikes import warnings

_WIDTH: Final = 13
# A longer name has a line of its own, so that it moves no value away from its column.
_NAME: Final = 30
_WORDS: Final = "  | "


def run(options: ShowFlags) -> int:
    """Show one grant."""
    cluster = connect(options)
    name = arguments.grant_name(options.name)
    raw = cluster.get(grants_path(cluster.namespace, name))
    match options.output:
        case Output.JSON | Output.YAML:
            sys.stdout.write(output.document(raw, options.output))
        case Output.NAME:
            sys.stdout.write(output.reference(name) + "\n")
        case _:
            grant = GrantView(raw, time.time())
            output.write(described(grant, beside(cluster, grant), output.screen(sys.stdout)))
    return Exit.OK


@dataclass(frozen=True, slots=True)
class GrantContext:
    """What reviewers see beside a grant. `others`: other grants that allow such a call; None: they cannot be listed."""

    others: Sequence[GrantView] | None
    policies: Policies


def beside(cluster: ClusterClient, grant: GrantView) -> GrantContext:
    """Read what reviewers see beside a grant. What they may not read is shown as not known."""
    try:
        policies: Policies = cluster.listed(policies_path(grant.namespace))[0]
    except ApiError as error:
        policies = unread(ENDPOINT_POLICIES, error)
    return GrantContext(_overlapping(cluster, grant), policies)


def _overlapping(cluster: ClusterClient, grant: GrantView) -> list[GrantView] | None:
    """Return which other approvals let such a call through; None where they cannot be listed."""
    try:
        items, _ = cluster.listed(grants_path(cluster.namespace))
    except ApiError:
        return None
    return still_letting(grant, [GrantView(one, time.time()) for one in items])


def described(
    grant: GrantView, context: GrantContext | None = None, screen: os.terminal_size | None = None
) -> Iterator[Line]:
    """Yield the lines that tell all of a grant. `context` None: show nothing beside it.

    `screen`: of the terminal that it is for, whose width no line exceeds.
    """
    for line, gutter in _laid_out(grant, context):
        marked = [*_marked(line)]
        yield from [marked] if screen is None else output.folded(marked, screen.columns, gutter)


def _laid_out(grant: GrantView, context: GrantContext | None) -> Iterator[tuple[Line, str]]:
    """Yield each line, and what begins the lines that it goes on in."""
    for told in (
        *grantfacts.named(grant),
        *grantfacts.act(grant),
        *grantfacts.parties(grant),
        *(() if context is None else policyfacts.proof(grant, context.policies)),
        *grantfacts.arguments(grant),
        *grantfacts.asked(grant),
        *(() if context is None else policyfacts.conditions(grant, context.policies)),
        *grantfacts.gives(grant, () if context is None else context.others),
        *grantfacts.bound(grant),
        *grantfacts.reviewers(grant),
        *grantfacts.standing(grant),
    ):
        yield from _lines(told)
    if words := grantfacts.words(grant):
        yield [("The requester's own words (unverified):", "bold")], ""
        yield [(_WORDS, "dim"), (words, "italic")], _WORDS


def _lines(told: Told) -> Iterator[tuple[Line, str]]:
    if isinstance(told, GrantFact):
        label = (f"{told.label}:" if told.label else "").ljust(_WIDTH)
        yield [(f"{label} ", "bold" if told.label else ""), *told.value], " " * (_WIDTH + 1)
        return
    note = [(f" {told.note}", "")] if told.note else []
    yield [(f"{told.label}:", "bold"), *note], " " * (_WIDTH + 1)
    if not told.aligned:
        yield from (([("  ", ""), *row], "      ") for row in told.rows)
        return
    width = max((cell_len(row[0][0]) for row in told.rows if cell_len(row[0][0]) <= _NAME), default=_NAME)
    column = " " * (width + 5)
    for (name, style), *value in told.rows:
        if (length := cell_len(name)) <= width:
            yield [("  ", ""), (name, style), (" " * (width + 3 - length), ""), *value], column
        else:
            yield [("  ", ""), (name, style)], "    "
            yield [(column, ""), *value], column


def _marked(line: Line) -> Iterator[tuple[str, str]]:
    """Yield the pieces, each that reads as another text with a word about it."""
    for text, style in line:
        yield text, style
        yield from ((f" [{warning}]", "yellow") for warning in warnings(text))
