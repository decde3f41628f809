"""Standalone: the parts of a decision point that has a directory of policies and no cluster.

Holds: without an API server, which guards them, there are no grants: none is found, used or opened. A call that needs
an approval is denied as `approval_required`, and no approval can be requested. With `--development` alone, grants are
kept in memory and can be reviewed by anyone; without it, the code of that is not loaded.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from bailiwick_api.accounts import Installation
from bailiwick_engine.approval.grants import Grant
from bailiwick_engine.call import ServiceAccount
from bailiwick_engine.decision.verdict import Outcome, Verdict
from bailiwick_engine.keys import CLUSTER
from bailiwick_engine.policy.snapshot import Snapshot
from bailiwick_engine.reasons import Reason
from bailiwick_process.jwt.keyset import KeySet
from bailiwick_webhook.approvals.consumer import Consumer, Judge
from bailiwick_webhook.approvals.draft import GrantDraft
from bailiwick_webhook.approvals.opener import OpenedGrant, Opener, RefusedOpening
from bailiwick_webhook.approvals.ports import GrantOpener, UseConsumer
from bailiwick_webhook.evaluation import EvaluationRequest
from bailiwick_webhook.identity.development import NOTICE, Anybody, opened
from bailiwick_webhook.identity.jwt.issuers import Issuer, Issuers
from bailiwick_webhook.identity.offline import Offline
from bailiwick_webhook.identity.proof import IdentityProof
from bailiwick_webhook.identity.subject import ByToken
from bailiwick_webhook.pipeline.observer import Observer, unobserved
from bailiwick_webhook.pipeline.pdp import Pdp
from bailiwick_webhook.pipeline.ports import Records
from bailiwick_webhook.process.settings import WebhookSettings
from bailiwick_webhook.signing.keyring import NO_KEYS, Keyring
from bailiwick_webhook.store.directory import Directory
from bailiwick_webhook.store.grants import Grants
from bailiwick_webhook.store.view import View

if TYPE_CHECKING:
    from bailiwick_webhook.development.grantmemory import GrantMemory

Parts = tuple[View, IdentityProof, Pdp, tuple[KeySet, ...]]
"""Store, identity, pipeline and keys to keep."""

BANNER: Final = f"""
{"*" * len(NOTICE)}
{NOTICE}
{"*" * len(NOTICE)}

"""


@dataclass(frozen=True, slots=True)
class NoUses:
    """Takes no use of any grant."""

    async def caught_up(
        self,
        asked: EvaluationRequest,  # noqa: ARG002 - `ports.UseConsumer` has them
        verdict: Verdict,
        judge: Judge,  # noqa: ARG002 - likewise
        since: float | None = None,  # noqa: ARG002 - likewise
    ) -> Verdict:
        """Return the verdict: there is no API server to read grants from."""
        return verdict

    def taken_before(self, asked: EvaluationRequest, verdict: Verdict, known: Iterable[Grant]) -> tuple[Grant, ...]:  # noqa: ARG002
        """Return nothing."""
        return ()

    async def consume(
        self,
        asked: EvaluationRequest,  # noqa: ARG002 - `ports.UseConsumer` has them
        verdict: Verdict,
        evaluation_id: str,  # noqa: ARG002 - likewise
        judge: Judge,  # noqa: ARG002 - likewise
    ) -> tuple[Verdict, Grant | None]:
        """Deny: a grant that is not in an API server proves nothing."""
        return replace(verdict, outcome=Outcome.DENY, reason=Reason.APPROVAL_UNVERIFIABLE, grants=()), None


@dataclass(frozen=True, slots=True)
class NoRequests:
    """Opens no grant."""

    possible: bool = False

    async def again(self, wanted: GrantDraft) -> OpenedGrant | RefusedOpening | None:  # noqa: ARG002 - `ports.GrantOpener` has it
        """Return nothing."""
        return None

    async def join(self, known: Grant, wanted: GrantDraft) -> OpenedGrant | RefusedOpening | None:  # noqa: ARG002 - likewise
        """Return nothing."""
        return None

    async def open(self, wanted: GrantDraft) -> OpenedGrant | RefusedOpening:  # noqa: ARG002 - likewise
        """Refuse."""
        return RefusedOpening("this decision point has no API server, and approvals need one")

    async def withdraw(self, grant: Grant, at_the_word_of: str, reason: str | None) -> Grant | RefusedOpening:  # noqa: ARG002
        """Refuse."""
        return RefusedOpening("this decision point has no API server, and approvals need one")

    async def read(self, namespace: str, endpoint: str, task_id: str) -> Grant | None:  # noqa: ARG002
        """Return nothing."""
        return None


class AnyReader:
    """Lets every caller see the policies: with `--development` only this machine can ask, and the files are its own."""

    async def may_get_policies(self, caller: ServiceAccount, namespace: str) -> bool:  # noqa: ARG002 - `ports.Readers`
        """Return True."""
        return True


def grant_memory() -> "GrantMemory":
    """Return what keeps the grants of a decision point in development."""
    from bailiwick_webhook.development.grantmemory import GrantMemory  # noqa: PLC0415 - only with `--development`

    return GrantMemory(Grants(), Installation().is_person)


def parts(
    settings: WebhookSettings,
    policies: Path,
    records: Records,
    observe: Observer = unobserved,
    memory: "GrantMemory | None" = None,
) -> Parts:
    """Return store, identity, pipeline and keys to keep of a decision point without a cluster.

    `memory`: of a decision point in development, where its grants are kept. Raises `NotADirectoryError`.
    """
    if not policies.is_dir():
        raise NotADirectoryError(f"{policies} is not a directory: set --policies to the directory with the policies")
    identity: IdentityProof
    keysets: tuple[KeySet, ...]
    if settings.development:
        # Callers need no proof of identity: `settings` ensures that only this machine can connect.
        identity, keysets, prepare = Anybody(), (), opened
    else:
        cluster = Issuer(
            next(issuer for issuer in settings.issuers if issuer.name == CLUSTER), time.monotonic, time.time
        )
        others = Issuers(issuer for issuer in settings.issuers if issuer.name != CLUSTER)
        identity, keysets = ByToken(Offline(cluster), others), (cluster.keys, *others.keysets)
        prepare = _as_written
    store = Directory(
        policies,
        max_staleness=settings.max_staleness,
        hard_staleness=settings.hard_staleness,
        budget=settings.budget,
        grants=None if memory is None else memory.known,
        keyring=NO_KEYS if memory is None else _fresh_keyring(),
        prepare=prepare,
    )
    installation = Installation()
    consumer: UseConsumer = NoUses()
    opener: GrantOpener = NoRequests()
    if memory is not None:
        consumer, opener = Consumer(memory, time.time), Opener(memory, store, installation, time.time)
    pdp = Pdp(
        store,
        consumer,
        opener,
        records,
        installation,
        # Otherwise it is not known what a caller may see.
        permits=AnyReader() if settings.development else None,
        record_key=settings.record_key,
        shadow_share=settings.shadow_share,
        observe=observe,
    )
    return store, identity, pdp, keysets


def _fresh_keyring() -> Keyring:
    from bailiwick_webhook.development.signingkey import fresh_keyring  # noqa: PLC0415 - only with `--development`

    return fresh_keyring()


def _as_written(snapshot: Snapshot) -> Snapshot:
    return snapshot
