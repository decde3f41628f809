"""Ports: what the pipeline asks of what takes uses of grants, opens them, and knows what a caller may see.

Standing: under `pdp`; in a cluster `consumer` and `opener` stand behind them, without one `standalone`. Holds: nothing
here decides.
"""

from collections.abc import Iterable
from typing import Protocol

from bailiwick_engine.approval.grants import Grant
from bailiwick_engine.call import ServiceAccount
from bailiwick_engine.decision.verdict import Verdict
from bailiwick_webhook.approvals.consumer import Judge
from bailiwick_webhook.approvals.draft import GrantDraft
from bailiwick_webhook.approvals.opener import OpenedGrant, RefusedOpening, UnreadTask
from bailiwick_webhook.evaluation import EvaluationRequest


class UseConsumer(Protocol):
    """Where uses of grants are taken (see `consumer`)."""

    async def caught_up(
        self, asked: EvaluationRequest, verdict: Verdict, judge: Judge, since: float | None = None
    ) -> Verdict:
        """Return the verdict, from one live read where the grant that it waits for may have moved on since."""

    def taken_before(self, asked: EvaluationRequest, verdict: Verdict, known: Iterable[Grant]) -> tuple[Grant, ...]:
        """Return those of the known grants that this very call took a use of a moment ago."""

    async def consume(
        self, asked: EvaluationRequest, verdict: Verdict, evaluation_id: str, judge: Judge
    ) -> tuple[Verdict, Grant | None]:
        """Take one use of the first of the verdict's grants that still serves."""


class Readers(Protocol):
    """Where it is asked what a caller may see (see `permits`)."""

    async def may_get_policies(self, caller: ServiceAccount, namespace: str) -> bool:
        """Tell whether a caller may `get` every policy of a namespace."""


class GrantOpener(Protocol):
    """Where approvals are asked for (see `opener`). Not `possible`: nowhere."""

    @property
    def possible(self) -> bool:
        """Somebody can be asked."""

    async def again(self, wanted: GrantDraft) -> OpenedGrant | RefusedOpening | None:
        """Return what was answered to the same Idempotency-Key before."""

    async def join(self, known: Grant, wanted: GrantDraft) -> OpenedGrant | RefusedOpening | None:
        """Return the open grant that the store knows, read live; refused where a reviewer denied it."""

    async def open(self, wanted: GrantDraft) -> OpenedGrant | RefusedOpening:
        """Open the grant for this call, or join the one that is open."""

    async def withdraw(self, grant: Grant, at_the_word_of: str, reason: str | None) -> Grant | RefusedOpening:
        """Withdraw a pending grant at its requester's word."""

    async def read(self, namespace: str, endpoint: str, task_id: str) -> Grant | UnreadTask | None:
        """Return the grant of a task of this endpoint; None where there is none."""
