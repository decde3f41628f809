"""Other issuers than the cluster: whom an administrator lets vouch for people, by a configuration file.

Holds: the file is closed (an unknown member is an error) and read once at start, so that no tenant can add an issuer;
an issuer is found by the exact `iss` of a token, and two of them never share a name or a URL.
"""

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

import orjson
import yaml
from pydantic import Field, ValidationError, model_validator

from bailiwick_api import usernames
from bailiwick_api.endpointpolicy import IssuerName
from bailiwick_api.meta import Model
from bailiwick_engine.compile import schemaerrors
from bailiwick_webhook.identity import jwks
from bailiwick_webhook.identity.fetch import fetch_json, problem_of_url
from bailiwick_webhook.identity.keyset import IssuerKeys, KeySet, KeysUnavailableError
from bailiwick_webhook.identity.verifier import MAX_LEEWAY, Rules, Verifier

_DISCOVERY: Final = "/.well-known/openid-configuration"


class IssuersError(Exception):
    """The file of issuers cannot be used; the message says what to mend."""


class ClaimMapping(Model):
    """Which claims say what. A claim is one member of the token's payload, by its name."""

    name: Annotated[str, Field(min_length=1, max_length=63)] = "sub"
    groups: Annotated[str, Field(min_length=1, max_length=63)] = "groups"
    kubernetes_username: Annotated[str | None, Field(min_length=1, max_length=253)] = None
    """How the API server names this person, for example `oidc:{sub}`: as its own --oidc flags or configuration say."""

    @model_validator(mode="after")
    def _template(self) -> Self:
        if self.kubernetes_username is not None and (wrong := usernames.problem_of(self.kubernetes_username)):
            raise ValueError(f"kubernetesUsername: {wrong}")
        return self


class IssuerConfig(Model):
    """One issuer. Its keys come from exactly one of its discovery document (the default), jwksURL and jwksFile."""

    name: IssuerName
    """`cluster` stands for the cluster's own service accounts. In the cluster the API server has their keys; only a
    decision point without one reads them from here."""
    issuer: Annotated[str, Field(min_length=1, max_length=512)]
    """As its tokens carry it in `iss`, byte for byte."""
    jwks_url: Annotated[str | None, Field(alias="jwksURL")] = None
    jwks_file: Path | None = None
    ca_file: Path | None = None
    allow_private_addresses: bool = False
    audiences: Annotated[frozenset[str] | None, Field(min_length=1, max_length=64)] = None
    """The only audiences that policies may accept from it; absent: whatever an endpoint accepts. It keeps a policy from
    accepting tokens that were issued for another application."""
    algorithms: Annotated[frozenset[Literal["RS256", "PS256", "ES256", "ES384", "ES512"]], Field(min_length=1)] = (
        frozenset({"RS256", "ES256"})
    )
    types: Annotated[frozenset[Literal["JWT", "at+jwt", "txntoken+jwt"]], Field(min_length=1)] = frozenset(
        {"JWT", "at+jwt", "txntoken+jwt"}
    )
    """Accepted `typ`; JWT also stands for a token that has none."""
    leeway_seconds: Annotated[float, Field(ge=0, le=MAX_LEEWAY)] = 0.0
    """Seconds before its end from which a token no longer counts. No leeway lets an expired token in."""
    refresh_seconds: Annotated[float, Field(ge=10, le=3600)] = 300.0
    claims: ClaimMapping = ClaimMapping()

    @model_validator(mode="after")
    def _usable(self) -> Self:
        if self.jwks_url is not None and self.jwks_file is not None:
            raise ValueError("jwksURL and jwksFile exclude each other")
        if self.jwks_url is None and self.jwks_file is None and (wrong := problem_of_url(self.issuer)):
            raise ValueError(f"issuer: {wrong}, or say jwksFile or jwksURL")
        if self.jwks_url is not None and (wrong := problem_of_url(self.jwks_url)):
            raise ValueError(f"jwksURL: {wrong}")
        return self


class _File(Model):
    issuers: Annotated[list[IssuerConfig], Field(min_length=1, max_length=32)]

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        for what, found in (
            ("name", [issuer.name for issuer in self.issuers]),
            ("issuer", [issuer.issuer for issuer in self.issuers]),
        ):
            if len(set(found)) != len(found):
                raise ValueError(f"two issuers have the same {what}")
        return self


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

    def of(self, url: str | None) -> Issuer | None:
        """Return the issuer of this name; None where there is none."""
        return None if url is None else self._by_url.get(url)

    @property
    def keysets(self) -> tuple[KeySet, ...]:
        """What has to be kept up to date."""
        return tuple(issuer.keys for issuer in self._by_url.values())


def load(path: Path) -> tuple[IssuerConfig, ...]:
    """Read the file. Raises `IssuersError`. Relative paths in it count from its folder."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        parsed = _File.model_validate(content)
    except (OSError, UnicodeError, yaml.YAMLError) as error:
        raise IssuersError(f"{path} cannot be read: {error}") from error
    except ValidationError as error:
        raise IssuersError(f"{path}: {schemaerrors.problems(error, _File)[0]}") from error
    return tuple(_beside(path, config) for config in parsed.issuers)


def mapped(configs: Iterable[IssuerConfig]) -> dict[str, bool] | None:
    """Return of each issuer whether the API server's names of its people are known; None where no file tells of any."""
    return {config.name: config.claims.kubernetes_username is not None for config in configs} or None


def _beside(path: Path, config: IssuerConfig) -> IssuerConfig:
    folder = path.absolute().parent
    moved = {
        name: folder / found
        for name, found in (("jwks_file", config.jwks_file), ("ca_file", config.ca_file))
        if found is not None
    }
    return config.model_copy(update=moved)


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
        raise KeysUnavailableError(f"issuer {config.name}: its discovery document is of another issuer")
    where = document.get("jwks_uri")
    if not isinstance(where, str):
        raise KeysUnavailableError(f"issuer {config.name}: its discovery document names no jwks_uri")
    return await get(where)
