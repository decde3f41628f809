"""`show`, and what `approve` and `deny` put before a person's eyes: the whole call, as the grant holds it.

Standing: a skin of `grantfacts`, which says what there is to know; here it becomes lines. Holds: the requester's own
words stand apart, last, and are said to be that.
"""

import sys
import time
from collections.abc import Iterator, Sequence
from typing import Final

from bailiwick_cli import arguments, output
from bailiwick_cli.apiserver.cluster import ClusterClient, connect, grants_path
from bailiwick_cli.errors import ApiError, Exit
from bailiwick_cli.flags.commandflags import ShowFlags
from bailiwick_cli.grants import grantfacts
from bailiwick_cli.grants.grantfacts import GrantFact, Told
from bailiwick_cli.grants.grantview import GrantView
from bailiwick_cli.grants.overlaps import still_letting
from bailiwick_cli.options import Output
from bailiwick_cli.output import Line

_WIDTH: Final = 13


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
            output.write(described(grant, _others(cluster, grant)))
    return Exit.OK


def _others(cluster: ClusterClient, grant: GrantView) -> list[GrantView]:
    """Return which other approvals let such a call through; none where we may not list them."""
    try:
        items, _ = cluster.listed(grants_path(cluster.namespace))
    except ApiError:
        return []
    return still_letting(grant, [GrantView(one, time.time()) for one in items])


def described(grant: GrantView, others: Sequence[GrantView] = ()) -> Iterator[Line]:
    """Yield the lines that tell all of a grant; `others` are those that let such a call through, too."""
    for told in (
        *grantfacts.named(grant),
        *grantfacts.act(grant),
        *grantfacts.parties(grant),
        *grantfacts.arguments(grant),
        *grantfacts.asked(grant),
        *grantfacts.gives(grant, others),
        *grantfacts.bound(grant),
        *grantfacts.reviewers(grant),
        *grantfacts.standing(grant),
    ):
        yield from _lines(told)
    if words := grantfacts.words(grant):
        yield [("The requester's own words (unverified):", "bold")]
        yield [("  | ", "dim"), (words, "italic")]


def _lines(told: Told) -> Iterator[Line]:
    if isinstance(told, GrantFact):
        label = (f"{told.label}:" if told.label else "").ljust(_WIDTH)
        yield [(f"{label} ", "bold" if told.label else ""), *told.value]
        return
    note = [(f" {told.note}", "")] if told.note else []
    yield [(f"{told.label}:", "bold"), *note]
    width = max((len(row[0][0]) for row in told.rows), default=0)
    for (first, style), *rest in told.rows:
        yield [(f"  {first.ljust(width)}   " if told.aligned else f"  {first}", style), *rest]
