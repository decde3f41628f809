"""The floods of the soak: what strangers, accounts without a right and one tenant's enforcer send, all of it at once.

Holds: every port and every kind of flood of docs/operations/noisy-neighbours.md is here; what a tenant writes into the
API server is in `neighbours`.
"""

import json
import threading
from collections import Counter
from typing import Final

from bailiwick_api.accounts import ENFORCER_AUDIENCE
from bailiwick_api.manifests.admission import PATH
from support.admission.reviews import large, sent
from support.floods import NUMBER, Flood, Floods
from support.longwork import batches, counted_calls, nested, searches
from support.pdp.tenant import Tenant
from support.soak.stage import ACCOUNTS, Stage

# A flood ends by itself after two minutes at most.
_FLOOD_SECONDS: Final = 110.0
_MIB: Final = 1024 * 1024
# A hundred at once, and then again. Each writes a hundred records, all of which are judged in the end.
_BATCH_REST_SECONDS: Final = 4.0


class FloodCrowd:
    """Sends floods from a process of its own, as often as it takes. `counts` are what came of each, by its name."""

    def __init__(self, floods: dict[str, Flood]) -> None:
        self._floods = floods
        self.counts: dict[str, Counter[str]] = {name: Counter() for name in floods}

    def run(self, stop: threading.Event) -> None:
        """Flood until `stop` is set."""
        while not stop.is_set():
            with Floods(list(self._floods.values()), _FLOOD_SECONDS) as running:
                stop.wait(_FLOOD_SECONDS - 5)
            # The process tells them in the order in which it was given them.
            for name, counts in zip(self._floods, running.counts.values(), strict=True):
                self.counts[name].update(counts)


def stranger_floods(stage: Stage) -> dict[str, Flood]:
    """Return the floods of those who have proven nothing, and of accounts that have no right."""
    flooded = stage.cast.flooded
    tokens = [flooded.token(f"nobody-{number}", ENFORCER_AUDIENCE) for number in range(ACCOUNTS)]
    decisions, admission, status = stage.decision_port, stage.point.admission_port, stage.status_port
    path, asked = _path(flooded), json.dumps(flooded.body("customers.list"))
    whole = json.dumps(flooded.body("customers.list", args="x" * (_MIB - 8192)))
    review = sent(large(20, 10, 80, flooded.namespace)).decode()
    return {
        "nested bodies to admission": nested(stage.point, 4),
        "nested bodies of an account": nested(stage.point, 2, tokens[0]),
        "slow bodies to admission": Flood("slow", admission, 500, sources=50, path=f"{PATH}?timeout=30s"),
        "policies to admission": Flood("storm", admission, 4, sources=4, path=PATH, body=review),
        "slow bodies to the status port": Flood("slow", status, 24, path="/checkpoint", tls=False, size=100),
        "questions to the status port": Flood("storm", status, 8, path="/checkpoint", body='{"from":0}', tls=False),
        "lists to the status port": Flood("storm", status, 4, path="/served", body="[]", tls=False),
        "slow bodies": Flood("slow", decisions, 300, sources=50, path=path, tokens=tokens),
        "idle connections": Flood("idle", decisions, 800, sources=50, path=path, tokens=tokens, body=asked),
        "silent connections": Flood("hold", decisions, 300, sources=200, pause=1),
        "handshakes": Flood("shake", decisions, 10, sources=200),
        "calls without a right": Flood("storm", decisions, 50, sources=50, path=path, tokens=tokens, body=asked),
        "large bodies": Flood("storm", decisions, 8, sources=8, path=path, tokens=tokens, body=whole),
        "malformed requests": Flood("babble", decisions, 30, sources=30),
        "broken uploads": Flood("tear", decisions, 30, sources=30, path=path, tokens=tokens),
    }


def enforcer_floods(stage: Stage) -> dict[str, Flood]:
    """Return the floods of tenants' own enforcers: of one whose work is long, and of one whose calls are counted."""
    heavy, counted = stage.cast.heavy, stage.cast.counted
    return {
        "batches of a hundred": batches(heavy, 100, _BATCH_REST_SECONDS),
        "searches": searches(heavy, 100),
        "counted calls of one key": counted_calls(counted, "customers.count", "42"),
        "counted calls of many keys": counted_calls(counted, "customers.spread", NUMBER),
    }


def _path(tenant: Tenant) -> str:
    return tenant.url().removeprefix(tenant.points[0])
