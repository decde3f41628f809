"""Issuers besides the cluster, which an administrator trusts to identify people, in a file that both processes read.

Holds: the file is closed (an unknown member is an error) and read once at start, so that no tenant can add an issuer.
Two issuers never share a name or a URL.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Final, Literal, Self
from urllib.parse import urlsplit

import yaml
from pydantic import Field, ValidationError, model_validator

from bailiwick_api import usernames
from bailiwick_api.kinds.endpointpolicy import IssuerName
from bailiwick_api.kinds.meta import Model
from bailiwick_api.usernames import NAME_CLAIM, UsernameTemplate

MAX_LEEWAY: Final = 30.0


class IssuersError(Exception):
    """The file of issuers cannot be used; the message says what to fix."""


class ClaimMapping(Model):
    """Which claims say what. A claim is one member of the token's payload, by its name."""

    name: Annotated[str, Field(min_length=1, max_length=63)] = NAME_CLAIM
    groups: Annotated[str, Field(min_length=1, max_length=63)] = "groups"
    kubernetes_username: Annotated[str | None, Field(min_length=1, max_length=253)] = None
    """How the API server names this person, for example `oidc:{sub}`: as its own --oidc flags or configuration say."""

    @model_validator(mode="after")
    def _template(self) -> Self:
        if self.kubernetes_username is not None and (wrong := usernames.problem_of(self.kubernetes_username)):
            raise ValueError(f"kubernetesUsername: {wrong}")
        return self


class SignalsConfig(Model):
    """The issuer's transmitter of security events (RFC 8936), which says whom to stop.

    The operator polls it, with the issuer's caFile and allowPrivateAddresses.
    """

    poll_url: Annotated[str, Field(alias="pollURL", min_length=1, max_length=2048)]
    token_file: Path
    """File with the bearer token for the poll endpoint. It is read for each poll. Only the operator needs the file."""
    audience: Annotated[str, Field(min_length=1, max_length=512)]
    """What the issuer's security event tokens have in `aud`: this receiver."""
    max_token_seconds: Annotated[int, Field(ge=60, le=86_400)]
    """The longest life of a token of this issuer, from `iat` to `exp`. The decision point refuses tokens that live
    longer, since a revocation ends when all tokens from before it have expired."""

    @model_validator(mode="after")
    def _usable(self) -> Self:
        if wrong := problem_of_url(self.poll_url):
            raise ValueError(f"pollURL: {wrong}")
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
    signals: SignalsConfig | None = None

    @property
    def naming(self) -> UsernameTemplate:
        """How its people are named."""
        return UsernameTemplate(self.claims.name, self.claims.kubernetes_username)

    @model_validator(mode="after")
    def _usable(self) -> Self:
        if self.jwks_url is not None and self.jwks_file is not None:
            raise ValueError("set either jwksURL or jwksFile, not both")
        if self.jwks_url is None and self.jwks_file is None and (wrong := problem_of_url(self.issuer)):
            raise ValueError(f"issuer: {wrong}, or set jwksFile or jwksURL")
        if self.jwks_url is not None and (wrong := problem_of_url(self.jwks_url)):
            raise ValueError(f"jwksURL: {wrong}")
        if self.name == usernames.ASSERTED:
            raise ValueError(
                f"name: {usernames.ASSERTED} stands for subjects on the word of an enforcer; choose another name"
            )
        if self.signals is not None and self.name == "cluster":
            raise ValueError("signals: the cluster's service accounts are not stopped by signals of an issuer")
        return self


class IssuersFile(Model):
    """All of the file."""

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


def load(path: Path, problems: Callable[[ValidationError, type[Model]], Sequence[object]]) -> tuple[IssuerConfig, ...]:
    """Read the file. Raises `IssuersError`. Relative paths in it count from its folder.

    `problems` says what is wrong with a file of another shape: the engine's `schemaerrors.problems`.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        parsed = IssuersFile.model_validate(content)
    except (OSError, UnicodeError, yaml.YAMLError) as error:
        raise IssuersError(f"{path} cannot be read: {error}") from error
    except ValidationError as error:
        raise IssuersError(f"{path}: {problems(error, IssuersFile)[0]}") from error
    return tuple(_resolve_paths(path, config) for config in parsed.issuers)


def namings(configs: Iterable[IssuerConfig]) -> dict[str, UsernameTemplate]:
    """Return, by the name of each issuer, how its people are named."""
    return {config.name: config.naming for config in configs}


def mapped_issuers(templates: Mapping[str, UsernameTemplate] | None) -> dict[str, bool] | None:
    """Return, for each issuer, whether the API server's names of its people are known; None if no file has issuers."""
    return {name: naming.template is not None for name, naming in (templates or {}).items()} or None


def _resolve_paths(path: Path, config: IssuerConfig) -> IssuerConfig:
    folder = path.absolute().parent
    absolute: dict[str, Path | SignalsConfig] = {
        name: folder / file
        for name, file in (("jwks_file", config.jwks_file), ("ca_file", config.ca_file))
        if file is not None
    }
    if config.signals is not None:
        token_file = folder / config.signals.token_file
        absolute["signals"] = config.signals.model_copy(update={"token_file": token_file})
    return config.model_copy(update=absolute)


def problem_of_url(url: str) -> str | None:
    """Return why a URL cannot be used; None if it can."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        return str(error)
    if parts.scheme != "https" or not parts.hostname:
        return "must be an absolute https URL"
    if parts.username is not None or parts.password is not None or parts.fragment:
        return "must not contain a user, password or fragment"
    return None
