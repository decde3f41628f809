"""The receivers of all issuers that have signals, each in a task of its own.

Standing: what `main` starts for a leader. Holds: an issuer that does not answer, or answers nonsense, delays no other.
"""

import asyncio
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Final

from bailiwick_api.issuers import IssuerConfig
from bailiwick_api.usernames import UsernameTemplate
from bailiwick_operator.kube import OperatorClient
from bailiwick_operator.loop.clock import Clock
from bailiwick_operator.loop.grantsurvey import GrantSurvey
from bailiwick_operator.reconcile.signals import RevocationTerms
from bailiwick_operator.signals.counts import SignalCounts
from bailiwick_operator.signals.receiver import SignalReceiver
from bailiwick_operator.signals.storage import TIDY_SECONDS, SignalStore
from bailiwick_operator.signals.transmitter import Transmitter
from bailiwick_operator.signals.verification import SetVerifier
from bailiwick_process.jwt.issuerkeys import published_keys
from bailiwick_process.jwt.keyset import KeySet


class SignalReceivers:
    """Lives in the main loop. `configs`: the issuers of the installation's file.

    `issuers`: how the API server names the people of each.
    """

    def __init__(
        self,
        configs: Iterable[IssuerConfig],
        kube: OperatorClient,
        clock: Clock,
        issuers: Mapping[str, UsernameTemplate] | None,
    ) -> None:
        made = [
            # A survey for each: those of one issuer must not have another's rest go by without any.
            _receiver(config, kube, clock, GrantSurvey(kube, issuers, clock.monotonic))
            for config in configs
            if config.signals is not None
        ]
        self._receivers: Final = tuple(receiver for receiver, _ in made)
        self._stores: Final = tuple(store for _, store in made)

    async def run(self) -> None:
        """Receive until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for receiver in self._receivers:
                tasks.create_task(receiver.run())
            for store in self._stores:
                tasks.create_task(_tidy(store))

    @property
    def counts(self) -> tuple[SignalCounts, ...]:
        """The numbers of each issuer."""
        return tuple(receiver.counts for receiver in self._receivers)

    @property
    def problem(self) -> str | None:
        """Why signals of an issuer are not received, for a person; None if all are."""
        problems = [f"{one.counts.issuer}: {one.problem}" for one in self._receivers if one.problem is not None]
        return "; ".join(problems) or None


def _receiver(
    config: IssuerConfig, kube: OperatorClient, clock: Clock, survey: GrantSurvey
) -> tuple[SignalReceiver, SignalStore]:
    signals = config.signals
    assert signals is not None  # noqa: S101 - for the type: the caller looked
    keys = KeySet(config.name, lambda: published_keys(config), clock=clock.monotonic)
    terms = RevocationTerms(config.name, timedelta(seconds=signals.max_token_seconds))
    store = SignalStore(
        kube, terms, now=clock.now, earliest=clock.trusted_earliest, clock=clock.monotonic, survey=survey
    )
    receiver = SignalReceiver(
        Transmitter(config, signals),
        SetVerifier(config, signals, keys, now=clock.now, trusted=clock.check),
        store,
        SignalCounts(config.name, verified=clock.now().timestamp()),
        now=clock.now,
        clock=clock.monotonic,
    )
    return receiver, store


async def _tidy(store: SignalStore) -> None:
    while True:
        await asyncio.sleep(TIDY_SECONDS)
        await store.tidy()
