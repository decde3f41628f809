"""What a pipeline reports while it decides: each stage as it begins and ends, and what came of it.

Standing: under `pdp`, `recorder` and `search`; `telemetry` makes spans of it. Holds: an observer decides nothing and
changes nothing; without one, a decision that needs no wait costs one comparison more.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from enum import Enum, auto
from typing import Final, NamedTuple, TypeAlias

from bailiwick_engine.approval.grants import Grant
from bailiwick_engine.decision.verdict import Verdict
from bailiwick_webhook.evaluation import EvaluationRequest
from bailiwick_webhook.pipeline.decision import Decision


class Stage(Enum):
    """A stage. The first four begin with a request, and the others are within one of them."""

    DECISION = auto()
    BATCH = auto()
    REQUEST = auto()
    SEARCH = auto()
    LIVE_READ = auto()
    USE = auto()
    RECORD = auto()


class BatchResult(NamedTuple):
    """How many items a batch has, and how many of them are allowed."""

    items: int
    allowed: int


class SearchCount(NamedTuple):
    """How many names a search found."""

    found: int


class UseResult(NamedTuple):
    """The verdict after an attempt to use a grant, and the grant if one was used."""

    verdict: Verdict
    used: Grant | None


StageResult: TypeAlias = Decision | BatchResult | SearchCount | Verdict | UseResult
Report: TypeAlias = Callable[[StageResult], None]
Observer: TypeAlias = Callable[[Stage, EvaluationRequest | None], AbstractContextManager[Report]]
"""Takes a stage and the request, or the first one of a batch, and returns what the stage runs in and reports to."""


def _ignore(_: StageResult) -> None:
    """Report to nothing."""


_UNOBSERVED: Final[AbstractContextManager[Report]] = nullcontext(_ignore)


def unobserved(_stage: Stage, _asked: EvaluationRequest | None) -> AbstractContextManager[Report]:
    """Observe nothing."""
    return _UNOBSERVED
