"""The chain of this process: its first line identifies the process and the settings with which it was started.

Standing: beside `settings`. Holds: no key and no path is in it; of the settings it has those that can change a verdict,
so that verdicts can be distinguished from those of another engine.
"""

from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Final

from bailiwick_api.distribution import DISTRIBUTION
from bailiwick_api.serverclock import MAX_SKEW
from bailiwick_evidence.derive.versions import engine_versions
from bailiwick_evidence.seal import key_id
from bailiwick_policystore.changes import OUTDATED_SECONDS
from bailiwick_webhook.process.settings import WebhookSettings
from bailiwick_webhook.record.writing.chainlog import ChainLog

_STANDALONE: Final = "standalone"


@dataclass(frozen=True, slots=True)
class VerdictSettings:
    """Settings of a process on which verdicts depend.

    `max_staleness`, `hard_staleness`: of the store, in seconds. `outdated_after`: for so many seconds a change of the
    policies may not be in force yet. `guarded`: uses of grants depend on a proven guard, which exists only in a
    cluster. `development`: every caller is an enforcer, and every identity that it asserts is believed.
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


def chain_log(settings: WebhookSettings) -> ChainLog | None:
    """Return a new chain; None where the chain is off."""
    if not settings.record_chain:
        return None
    limits = settings.record_limits
    about = {
        "version": version(DISTRIBUTION),
        "record": {
            "fsync": settings.record_fsync,
            "before_answer": "all" if limits.first else "uses",
            "on_failure": "deny" if limits.required else "allow",
        },
        "hmac_key": None if settings.record_key is None else key_id(settings.record_key),
        **process_facts(_verdict_settings(settings)),
    }
    installation = settings.installation.namespace if settings.policies is None else _STANDALONE
    return ChainLog(installation, pod=settings.pod, about=about)


def _verdict_settings(settings: WebhookSettings) -> VerdictSettings:
    return VerdictSettings(
        settings.max_staleness,
        settings.hard_staleness,
        OUTDATED_SECONDS,
        guarded=settings.policies is None,
        development=settings.development,
        human_username_prefixes=settings.installation.human_username_prefixes,
    )
