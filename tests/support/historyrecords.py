"""Records of decisions that read and count histories, as the pipeline has them made."""

from bailiwick_engine.decision.verdict import Outcome, Verdict
from bailiwick_engine.history.needs import HistoryNeeds
from bailiwick_engine.historynumbers import HistoryReadings
from bailiwick_webhook.record.history import HistoryCount

_OPENS = frozenset({Outcome.ALLOW, Outcome.USE_GRANT})


def counts_of(needs: HistoryNeeds | None, readings: HistoryReadings, verdict: Verdict) -> tuple[HistoryCount, ...]:
    """Return what a record has of the histories that a call needed: those that were read, and if they count it."""
    return tuple(
        HistoryCount(
            history.name,
            need.name,
            7,
            readings.numbers[history.name],
            added=verdict.outcome in _OPENS and any(one.history is history for one in need.adds),
        )
        for need in (needs.objects if needs is not None else ())
        for history in need.reads
        if history.name in readings.numbers
    )
