"""A whole Bailiwick whose operator proves the guards every two seconds: for tests that bend them and put them back."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Final

from support.pdp.processes import Bailiwick

PROOF_FLAGS: Final = ("--proof-interval", "2", "--guard-settle", "0.5")


@contextmanager
def often_proven() -> Iterator[Bailiwick]:
    """Start one on a control plane of its own, with one decision point."""
    with ExitStack() as closing:
        ours = Bailiwick.begin(closing, replicas=1)
        ours.stop_operator()
        start_operator(ours)
        yield ours


def start_operator(ours: Bailiwick) -> None:
    """Start an operator that proves often, if none runs."""
    if ours.operator is None:
        ours.operator = ours.stack.start_operator(*PROOF_FLAGS)
