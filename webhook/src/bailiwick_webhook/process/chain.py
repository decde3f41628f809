"""The chain of this process: what its first line says about who we are, and what we were started with.

Standing: beside `settings`. Holds: no key and no path is in it; of the settings it has those that can change a verdict,
so that verdicts can be told from those of another engine.
"""

from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Final

from bailiwick_api.serverclock import MAX_SKEW
from bailiwick_evidence.derive.versions import engine_versions
from bailiwick_evidence.seal import key_id
from bailiwick_policystore import changes
from bailiwick_webhook.process.settings import WebhookSettings
from bailiwick_webhook.record.writing.chainlog import ChainLog

_STANDALONE: Final = "standalone"


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


def chain_log(given: WebhookSettings) -> ChainLog | None:
    """Return a new chain; None where there shall be none."""
    if not given.record_chain:
        return None
    limits = given.record_limits
    about = {
        "version": version("bailiwick"),
        "record": {
            "fsync": given.record_fsync,
            "before_answer": "all" if limits.first else "uses",
            "on_failure": "deny" if limits.required else "allow",
        },
        "hmac_key": None if given.record_key is None else key_id(given.record_key),
        **process_facts(_verdict_settings(given)),
    }
    installation = given.installation.namespace if given.policies is None else _STANDALONE
    return ChainLog(installation, pod=given.pod, about=about)


def _verdict_settings(given: WebhookSettings) -> VerdictSettings:
    return VerdictSettings(
        given.max_staleness,
        given.hard_staleness,
        changes.SECONDS,
        guarded=given.policies is None,
        development=given.development,
        human_username_prefixes=given.installation.human_username_prefixes,
    )
