"""The keys that a configured issuer publishes: from its file, from its URL of keys, or by discovery.

Holds: keys come from where the issuer's entry in the file says, and a document of another issuer leads nowhere.
"""

from typing import Any, Final

import orjson

from bailiwick_api.issuers import IssuerConfig
from bailiwick_process.jwt import jwks
from bailiwick_process.jwt.fetch import FetchError, FetchRule, fetch_json
from bailiwick_process.jwt.keyset import IssuerKeys, KeysUnavailableError

_DISCOVERY: Final = "/.well-known/openid-configuration"


async def published_keys(config: IssuerConfig) -> IssuerKeys:
    """Read what an issuer publishes. Raises `KeysUnavailableError`."""
    try:
        return IssuerKeys(config.issuer, jwks.keys_of(await _jwks(config)))
    except (FetchError, ValueError) as error:
        raise KeysUnavailableError(f"issuer {config.name}: {error}") from error


async def _jwks(config: IssuerConfig) -> Any:  # noqa: ANN401 - any JSON value
    if config.jwks_file is not None:
        try:
            return orjson.loads(config.jwks_file.read_bytes())
        except (OSError, ValueError) as error:
            raise KeysUnavailableError(f"{config.jwks_file}: {error}") from error

    rule = FetchRule(config.ca_file, config.allow_private_addresses)
    if config.jwks_url is not None:
        return await fetch_json(config.jwks_url, rule)
    document = await fetch_json(config.issuer.rstrip("/") + _DISCOVERY, rule)
    # OpenID Connect Discovery 1.0, 4.3: a document that speaks of another issuer is none of this one.
    if not isinstance(document, dict) or document.get("issuer") != config.issuer:
        raise KeysUnavailableError(f"issuer {config.name}: its discovery document names a different issuer")
    where = document.get("jwks_uri")
    if not isinstance(where, str):
        raise KeysUnavailableError(f"issuer {config.name}: its discovery document names no jwks_uri")
    return await fetch_json(where, rule)
