"""What a metric is. The tables of the decision point and of the operator are made of these.

Holds: the values of every label are listed, so that the number of series is known before the first request.
"""

from typing import Literal, NamedTuple


class Metric(NamedTuple):
    """One metric. `labels` has the name of each label, and every value that it can have."""

    name: str
    type: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[tuple[str, tuple[str, ...]], ...] = ()
