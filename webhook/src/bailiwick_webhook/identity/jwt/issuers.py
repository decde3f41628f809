"""The configured issuers besides the cluster, each with the keys by which its tokens are verified.

Holds: an issuer is found by the exact `iss` of a token; its keys come from where its entry in the file says.
"""

import time
from collections.abc import Callable, Iterable

from bailiwick_api.issuers import IssuerConfig
from bailiwick_process.jwt.issuerkeys import published_keys
from bailiwick_process.jwt.keyset import KeySet
from bailiwick_webhook.identity.jwt.verifier import Rules, Verifier


class Issuer:
    """A configured issuer, with its keys. `clock`, `now` and `begun` as in `Verifier`."""

    def __init__(
        self,
        config: IssuerConfig,
        clock: Callable[[], float],
        now: Callable[[], float],
        begun: Callable[[], float] | None = None,
    ) -> None:
        self.config = config
        self.name = config.name
        self.url = config.issuer
        self.keys = KeySet(config.name, lambda: published_keys(config), refresh=config.refresh_seconds, clock=clock)
        rules = Rules(
            frozenset(config.algorithms),
            frozenset(kind.lower() for kind in config.types),
            config.leeway_seconds,
            None if config.signals is None else config.signals.max_token_seconds,
        )
        self.verifier = Verifier(self.keys, rules, clock=clock, now=now, begun=begun)

    def audiences(self, accepted: frozenset[str]) -> frozenset[str]:
        """Return those of an endpoint's audiences that this issuer may be accepted for."""
        return accepted if self.config.audiences is None else accepted & self.config.audiences


class Issuers:
    """All configured issuers, by the `iss` of their tokens."""

    def __init__(
        self,
        configs: Iterable[IssuerConfig] = (),
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
        begun: Callable[[], float] | None = None,
    ) -> None:
        self._by_url = {config.issuer: Issuer(config, clock, now, begun) for config in configs}

    def find(self, url: str | None) -> Issuer | None:
        """Return the issuer of this name; None where there is none."""
        return None if url is None else self._by_url.get(url)

    @property
    def keysets(self) -> tuple[KeySet, ...]:
        """What has to be kept up to date."""
        return tuple(issuer.keys for issuer in self._by_url.values())
