"""The table of alerts, and whether it speaks only of metrics that there are.

Holds: `charts/bailiwick/files/alerts.yaml` is the only place where an alert is written down.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import yaml

from bailiwick_operator.process.metrics import METRICS as OPERATORS
from bailiwick_webhook.metrics.table import METRICS

PATH: Final = Path(__file__).resolve().parent.parent.parent / "charts" / "bailiwick" / "files" / "alerts.yaml"
_METRIC: Final = re.compile(r"\b(?:bailiwick|kube)_[a-z_]+\b")
_SERIES: Final = {"counter": ("",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert. `lasting` is how long it must hold, as Prometheus writes durations."""

    name: str
    expression: str
    lasting: str
    severity: str
    summary: str
    means: str


def read() -> tuple[Alert, ...]:
    """Return the table, in its order."""
    listed = yaml.safe_load(PATH.read_text(encoding="utf-8"))["alerts"]
    return tuple(
        Alert(one["name"], one["expr"], one["for"], one["severity"], one["summary"], one["means"]) for one in listed
    )


def metrics(expression: str) -> set[str]:
    """Return the names of the metrics in an expression."""
    return set(_METRIC.findall(expression))


def series() -> dict[str, set[str]]:
    """Return the series of decision point and operator by name, each with the names of its labels."""
    return {
        metric.name + ending: {name for name, _ in metric.labels} | ({"le"} if ending == "_bucket" else set())
        for metric in (*METRICS, *OPERATORS)
        for ending in _SERIES[metric.type]
    }


def unknown(expression: str) -> set[str]:
    """Return the names in an expression that are no series of ours; what kube-state-metrics has is another's."""
    return {name for name in metrics(expression) if not name.startswith("kube_")} - set(series())
