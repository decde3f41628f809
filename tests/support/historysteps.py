"""What an attempt to count a call does in one object after the other, as the decision point does it.

Holds: a call is counted in all of its objects or in none; over several, it is judged a last time by all of them.
"""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from bailiwick_engine.history.commit import CommittedCall
from bailiwick_engine.history.needs import HistoryNeeds, ObjectNeed
from bailiwick_engine.historynumbers import HistoryNumbers

Numbers = Mapping[str, HistoryNumbers]
Passes = Callable[[Numbers], bool]


@dataclass(frozen=True)
class Look:
    """Read the numbers of these objects, with this call in them. `last`: it is counted in all of them already."""

    needs: tuple[ObjectNeed, ...]
    last: bool = False


@dataclass(frozen=True)
class Count:
    """Count the call in an object, if it passes."""

    need: ObjectNeed
    passes: Passes


@dataclass(frozen=True)
class TakeOut:
    """Take the call out of an object again."""

    need: ObjectNeed


Step = Look | Count | TakeOut


def reserve(needs: HistoryNeeds, passes: Passes, *, last_look: bool = True) -> Generator[Step, Any, bool | None]:
    """Count a call in all of its objects or in none; return whether it passed, None where that cannot be told.

    `last_look` false leaves out what makes limits over several keys hold together.
    """
    objects = needs.objects
    if len(objects) > 1:
        return (yield from _reserve_several(objects, passes, last_look=last_look))
    result: CommittedCall | None = yield Count(objects[0], passes)
    if result is None:
        # It may stand there.
        yield TakeOut(objects[0])
        return None
    return result.passed


def _reserve_several(
    objects: tuple[ObjectNeed, ...], passes: Passes, *, last_look: bool
) -> Generator[Step, Any, bool | None]:
    known: dict[str, HistoryNumbers] | None = yield Look(objects)
    if known is None or not passes(known):
        return None if known is None else False
    counted: list[ObjectNeed] = []
    verdict: bool | None = True
    for need in objects:
        if not need.adds:
            continue
        result: CommittedCall | None = yield Count(need, partial(_passes_with, passes, known))
        if result is None or result.passed:
            counted.append(need)
        if result is None or not result.passed:
            verdict = None if result is None else False
            break
        known = {**known, **result.numbers}
    if verdict and last_look:
        known = yield Look(objects, last=True)
        verdict = None if known is None else passes(known)
    if not verdict:
        for need in counted:
            yield TakeOut(need)
    return verdict


def _passes_with(passes: Passes, others: Numbers, own: Numbers) -> bool:
    return passes({**others, **own})
