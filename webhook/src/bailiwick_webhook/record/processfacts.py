"""Process facts: what a process says of itself once, so that its verdicts can be told from those of another engine.

Standing: for the line that opens a chain. Holds: pure; versions, and the settings that can change a verdict, no others.
"""

from dataclasses import dataclass
from typing import Any

from bailiwick_api.serverclock import MAX_SKEW
from bailiwick_evidence.derive.versions import engine_versions


@dataclass(frozen=True, slots=True)
class VerdictSettings:
    """Settings of a process on which verdicts hang.

    `max_staleness`, `hard_staleness`: of the store, in seconds. `outdated_after`: for so many seconds a change of the
    policies may not be in force. `guarded`: uses of grants hang on a proven guard, which there is only in a cluster.
    `development`: everybody is an enforcer, and taken at their word.
    """

    max_staleness: float
    hard_staleness: float
    outdated_after: float
    guarded: bool
    development: bool = False
    human_username_prefixes: tuple[str, ...] = ()


def process_facts(settings: VerdictSettings) -> dict[str, Any]:
    """Return the members `engine`, `cel`, `tzdata` and `settings` of the line that opens a chain."""
    return {
        **engine_versions(),
        "settings": {
            "clock_skew_seconds": MAX_SKEW,
            "max_staleness_seconds": settings.max_staleness,
            "hard_staleness_seconds": settings.hard_staleness,
            "outdated_after_seconds": settings.outdated_after,
            "guarded": settings.guarded,
            "development": settings.development,
            "human_username_prefixes": list(settings.human_username_prefixes),
        },
    }
