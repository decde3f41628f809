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
from bailiwick_governance.errors import UserError
from bailiwick_governance.grants import grantfacts, policyfacts
from bailiwick_governance.grants.grantfacts import Fact, GrantFact
from bailiwick_governance.grants.grantview import GrantView
from bailiwick_governance.grants.overlaps import find_overlaps
from bailiwick_governance.grants.policyfacts import Policies
from bailiwick_governance.grants.reviews import unread_reason
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
            output.write(describe(grant, read_context(cluster, grant), output.screen(sys.stdout)))
    return Exit.OK


@dataclass(frozen=True, slots=True)
class GrantContext:
    """What reviewers see beside a grant. `others`: other grants that allow such a call; None: they cannot be listed."""

    others: Sequence[GrantView] | None
    policies: Policies


def read_context(cluster: ClusterClient, grant: GrantView) -> GrantContext:
    """Read what reviewers see beside a grant. What they may not read is shown as not known."""
    try:
        policies: Policies = cluster.list_all(policies_path(grant.namespace))[0]
    except UserError as error:
        policies = unread_reason(ENDPOINT_POLICIES, error)
    return GrantContext(_overlapping(cluster, grant), policies)


def _overlapping(cluster: ClusterClient, grant: GrantView) -> list[GrantView] | None:
    """Return which other approvals let such a call through; None where they cannot be listed."""
    try:
        items, _ = cluster.list_all(grants_path(cluster.namespace))
    except UserError:
        # Too long or too slow as well: a full namespace keeps no reviewer from denying a request.
        return None
    return find_overlaps(grant, [GrantView(one, time.time()) for one in items])


def describe(
    grant: GrantView, context: GrantContext | None = None, screen: os.terminal_size | None = None
) -> Iterator[Line]:
    """Yield the lines that tell all of a grant. `context` None: show nothing beside it.

    `screen`: of the terminal that it is for, whose width no line exceeds.
    """
    for line, gutter in _lay_out(grant, context):
        marked = [*_mark_lookalikes(line)]
        yield from [marked] if screen is None else output.fold(marked, screen.columns, gutter)


def _lay_out(grant: GrantView, context: GrantContext | None) -> Iterator[tuple[Line, str]]:
    """Yield each line, and what begins the lines that it goes on in."""
    for fact in (
        *grantfacts.identity(grant),
        *grantfacts.action(grant),
        *grantfacts.parties(grant),
        *(() if context is None else policyfacts.proof(grant, context.policies)),
        *grantfacts.arguments(grant),
        *grantfacts.origin(grant),
        *(() if context is None else policyfacts.conditions(grant, context.policies)),
        *grantfacts.permission(grant, () if context is None else context.others),
        *grantfacts.binding(grant),
        *grantfacts.stored_parties(grant),
        *grantfacts.reviewers(grant),
        *grantfacts.status(grant),
    ):
        yield from _lines(fact)
    if words := grantfacts.requester_words(grant):
        yield [("The requester's own words (unverified):", "bold")], ""
        yield [(_WORDS, "dim"), (words, "italic")], _WORDS


def _lines(fact: Fact) -> Iterator[tuple[Line, str]]:
    if isinstance(fact, GrantFact):
        label = (f"{fact.label}:" if fact.label else "").ljust(_WIDTH)
        yield [(f"{label} ", "bold" if fact.label else ""), *fact.value], " " * (_WIDTH + 1)
        return
    note = [(f" {fact.note}", "")] if fact.note else []
    yield [(f"{fact.label}:", "bold"), *note], " " * (_WIDTH + 1)
    if not fact.aligned:
        yield from (([("  ", ""), *row], "      ") for row in fact.rows)
        return
    width = max((cell_len(row[0][0]) for row in fact.rows if cell_len(row[0][0]) <= _NAME), default=_NAME)
    column = " " * (width + 5)
    for (name, style), *value in fact.rows:
        if (length := cell_len(name)) <= width:
            yield [("  ", ""), (name, style), (" " * (width + 3 - length), ""), *value], column
        else:
            yield [("  ", ""), (name, style)], "    "
            yield [(column, ""), *value], column


def _mark_lookalikes(line: Line) -> Iterator[tuple[str, str]]:
    """Yield the pieces, each that reads as another text with a word about it."""
    for text, style in line:
        yield text, style
        yield from ((f" [{warning}]", "yellow") for warning in warnings(text))
