"""The chain of this process: what its first line says about who we are, and what we were started with.

Standing: beside `settings`. Holds: no key and no path is in it.
"""

from importlib.metadata import version
from typing import Final

from bailiwick_evidence.seal import key_id
from bailiwick_webhook.process.settings import WebhookSettings
from bailiwick_webhook.record.processfacts import VerdictSettings, process_facts
from bailiwick_webhook.record.writing.chainlog import ChainLog
from bailiwick_webhook.store.policies import staleness

_STANDALONE: Final = "standalone"


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
        staleness.SECONDS,
        guarded=given.policies is None,
        development=given.development,
        human_username_prefixes=given.installation.human_username_prefixes,
    )
