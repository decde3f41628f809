"""What a metric is. Standing: under `table`, which has them all."""

from typing import Literal, NamedTuple


class Metric(NamedTuple):
    """One metric. `labels` with all the values that they can have."""

    name: str
    type: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[tuple[str, tuple[str, ...]], ...] = ()
