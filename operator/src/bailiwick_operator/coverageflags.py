"""The flags of coverage, beside those of `settings`, which reads them with the rest."""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

_SWITCH: Final = ("true", "false")
_LEAST_SECONDS: Final = 10
_LONGEST_SECONDS: Final = 86_400
_LEAST_BYTES: Final = 64 << 20


@dataclass(frozen=True, slots=True)
class CoverageSettings:
    """Seconds between two counts, seconds that one may take, and bytes of memory that it may take beside its code."""

    interval: float = 600.0
    timeout: float = 120.0
    memory: int = 128 << 20


_DEFAULTS: Final = CoverageSettings()


def add(parser: argparse.ArgumentParser, default: Callable[[str, str], str]) -> None:
    """Add the flags. `default` returns the value of a flag's variable, or else the given default."""
    parser.add_argument(
        "--coverage",
        choices=_SWITCH,
        default=default("coverage", "false"),
        help="whether to count the findings of coverage into metrics, which needs the roles of"
        " crds/coverage/operator.yaml (default: false)",
    )
    parser.add_argument(
        "--coverage-interval",
        type=float,
        default=default("coverage-interval", f"{_DEFAULTS.interval:g}"),
        help=f"seconds between counts of the findings of coverage (default: {_DEFAULTS.interval:g})",
    )
    parser.add_argument(
        "--coverage-timeout",
        type=float,
        default=default("coverage-timeout", f"{_DEFAULTS.timeout:g}"),
        help=f"seconds after which a count is ended (default: {_DEFAULTS.timeout:g})",
    )
    parser.add_argument(
        "--coverage-memory-bytes",
        type=int,
        default=default("coverage-memory-bytes", str(_DEFAULTS.memory)),
        help="bytes of memory that a count can take, beside 80 MB of its code; add both to the limit of the container"
        f" (default: {_DEFAULTS.memory})",
    )


def problem(options: argparse.Namespace) -> str | None:
    """Return what is wrong with the options; None where nothing is."""
    if options.coverage not in _SWITCH:
        return "--coverage must be true or false"
    if not _LEAST_SECONDS <= options.coverage_timeout <= options.coverage_interval <= _LONGEST_SECONDS:
        return (
            f"--coverage-timeout must be between {_LEAST_SECONDS} seconds and --coverage-interval,"
            " which must be at most one day"
        )
    if options.coverage_memory_bytes < _LEAST_BYTES:
        return f"--coverage-memory-bytes must be at least {_LEAST_BYTES}"
    return None


def read(options: argparse.Namespace) -> CoverageSettings | None:
    """Return the settings of valid options; None where coverage is not counted."""
    if options.coverage != "true":
        return None
    return CoverageSettings(options.coverage_interval, options.coverage_timeout, options.coverage_memory_bytes)
