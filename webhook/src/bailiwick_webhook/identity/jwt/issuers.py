"""The configured issuers besides the cluster, each with the keys by which its tokens are verified.

Holds: an issuer is found by the exact `iss` of a token; its keys come from where its entry in the file says.
"""

import time
from collections.abc import Callable, Iterable
from typing import Any, Final

import orjson

from bailiwick_api.issuers import IssuerConfig
from bailiwick_webhook.identity.jwt import jwks
from bailiwick_webhook.identity.jwt.fetch import fetch_json
from bailiwick_webhook.identity.jwt.keyset import IssuerKeys, KeySet, KeysUnavailableError
from bailiwick_webhook.identity.jwt.verifier import Rules, Verifier

_DISCOVERY: Final = "/.well-known/openid-configuration"


class Issuer:
    """A configured issuer, with its keys."""

    def __init__(self, config: IssuerConfig, clock: Callable[[], float], now: Callable[[], float]) -> None:
        self.config = config
        self.name = config.name
        self.url = config.issuer
        self.keys = KeySet(config.name, lambda: _published(config), refresh=config.refresh_seconds, clock=clock)
        rules = Rules(
            frozenset(config.algorithms), frozenset(kind.lower() for kind in config.types), config.leeway_seconds
        )
        self.verifier = Verifier(self.keys, rules, clock=clock, now=now)

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
    ) -> None:
        self._by_url = {config.issuer: Issuer(config, clock, now) for config in configs}

    def find(self, url: str | None) -> Issuer | None:
        """Return the issuer of this name; None where there is none."""
        return None if url is None else self._by_url.get(url)

    @property
    def keysets(self) -> tuple[KeySet, ...]:
        """What has to be kept up to date."""
        return tuple(issuer.keys for issuer in self._by_url.values())


async def _published(config: IssuerConfig) -> IssuerKeys:
    """Read what an issuer publishes. Raises `KeysUnavailableError`."""
    try:
        return IssuerKeys(config.issuer, jwks.keys_of(await _jwks(config)))
    except ValueError as error:
        raise KeysUnavailableError(f"issuer {config.name}: {error}") from error


async def _jwks(config: IssuerConfig) -> Any:  # noqa: ANN401 - any JSON value
    if config.jwks_file is not None:
        try:
            return orjson.loads(config.jwks_file.read_bytes())
        except (OSError, ValueError) as error:
            raise KeysUnavailableError(f"{config.jwks_file}: {error}") from error

    async def get(url: str) -> Any:  # noqa: ANN401 - any JSON value
        return await fetch_json(url, ca_file=config.ca_file, private=config.allow_private_addresses)

    if config.jwks_url is not None:
        return await get(config.jwks_url)
    document = await get(config.issuer.rstrip("/") + _DISCOVERY)
    # OpenID Connect Discovery 1.0, 4.3: a document that speaks of another issuer is none of this one.
    if not isinstance(document, dict) or document.get("issuer") != config.issuer:
        raise KeysUnavailableError(f"issuer {config.name}: its discovery document names a different issuer")
    where = document.get("jwks_uri")
    if not isinstance(where, str):
        raise KeysUnavailableError(f"issuer {config.name}: its discovery document names no jwks_uri")
    return await get(where)
