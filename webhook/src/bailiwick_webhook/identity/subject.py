"""The parties of a call: what the enforcer says of them, held against the tokens that it sends along.

Holds: enforcer, subject and actor are three things. Subject and outermost actor are each authenticated by their own
token, the actors within by the signature of the subject's issuer. A verified value overrides what was said, and a
difference denies; a party that acts for another shows it by a token that names the workload that presents it.
"""

from collections.abc import Mapping
from functools import partial
from typing import Final, Protocol

import msgspec

from bailiwick_api.accounts import ENFORCER_AUDIENCE
from bailiwick_api.serviceaccounts import SERVICE_ACCOUNT_PREFIX
from bailiwick_api.usernames import ASSERTED, is_reserved
from bailiwick_engine.call import Json, Party, PodWorkload, ServiceAccount, UnprovenParty
from bailiwick_engine.keys import CLUSTER, SERVICE_ACCOUNT, USER, uid_of
from bailiwick_engine.policy.model import CompiledSettings
from bailiwick_engine.reasons import Reason
from bailiwick_process.jwt.claims import audience_matches
from bailiwick_process.jwt.compact import CompactToken
from bailiwick_webhook.identity import chain
from bailiwick_webhook.identity.chain import ActorClaim
from bailiwick_webhook.identity.jwt.issuers import Issuer, Issuers
from bailiwick_webhook.identity.jwt.tokencache import TokenCache
from bailiwick_webhook.identity.jwt.verifier import RefusedToken, VerifiedClaims
from bailiwick_webhook.identity.people import person_of
from bailiwick_webhook.identity.tokens import AuthenticatedAccount
from bailiwick_webhook.identity.workloads import Workloads
from bailiwick_webhook.steps import Need, Step, then

_NOTHING: Final[Mapping[str, Json]] = {}
_AUDIENCES: Final = frozenset({ENFORCER_AUDIENCE})


class ClaimedSubject(msgspec.Struct, frozen=True, gc=False):
    """The subject as the body names it, and the evidence that came with it."""

    type: str
    id: str
    properties: Mapping[str, Json] | None
    token: str | None
    actor_token: str | None

    @classmethod
    def bearer(cls, token: str | None) -> "ClaimedSubject":
        """Return whom a token names, where nothing else does: a proxied call has nothing but its credential."""
        return cls("", "", None, token, None)

    @property
    def unnamed(self) -> bool:
        """Only its token says who it is. No body can name such a one: a type is never empty."""
        return not self.type

    def is_named(self, kind: str, identifier: str) -> bool:
        """Tell whether an authenticated subject is the one that is meant."""
        return not self.type or (self.type == kind and self.id == identifier)

    @property
    def names_an_actor(self) -> bool:
        """The call is said to be on somebody's behalf."""
        return self.actor_token is not None or "act" in (self.properties or {})


class Parties(msgspec.Struct, frozen=True, gc=False):
    """Whom a call is for and who acts, the outermost first. `live`: what can be confirmed was confirmed just now."""

    subject: Party | UnprovenParty
    actors: tuple[Party, ...] = ()
    live: bool = True


class ServiceAccounts(Protocol):
    """Whose a service account's token is (see `tokens`, and `offline`)."""

    def authenticate(self, token: str, audiences: frozenset[str]) -> Step[AuthenticatedAccount | RefusedToken]:
        """Return whose token this is, if it is a service account's and for one of these audiences."""

    def confirm(self, parsed: CompactToken, audiences: frozenset[str]) -> Step[AuthenticatedAccount | RefusedToken]:
        """Return the same for a token that was taken apart already."""

    def signed(self, token: str, audiences: frozenset[str]) -> str | RefusedToken | None:
        """Return the username that a token for one of these audiences is signed for (see `proof.IdentityProof`)."""


class ByToken:
    """Everybody by a token (see `proof.IdentityProof`).

    Without `workloads` no pod is known: a rule that requires a workload finds it unknown, which never widens.
    """

    notice: Mapping[str, str] = {}
    stranger = (
        "This caller is not an enforcer of this endpoint. Add it to endpointSettings.enforcers in the endpoint's"
        " policy."
    )

    def __init__(self, tokens: ServiceAccounts, issuers: Issuers, workloads: Workloads | None = None) -> None:
        self._tokens = tokens
        self._issuers = issuers
        self._workloads = workloads
        self._apart = TokenCache()

    def caller(self, authorization: str) -> Step[AuthenticatedAccount | RefusedToken | None]:
        """Return whose token it is, if it is one for us."""
        token = _bearer(authorization)
        return self._tokens.authenticate(token, _AUDIENCES) if token is not None else None

    def signed(self, authorization: str) -> str | RefusedToken | None:
        """Return the username that a token is signed for."""
        token = _bearer(authorization)
        return self._tokens.signed(token, _AUDIENCES) if token is not None else None

    async def workload(self, party: Party) -> PodWorkload | None:
        """Return what a party calls from."""
        return None if self._workloads is None else await self._workloads.find(party)

    def verify(
        self, claimed: ClaimedSubject, caller: AuthenticatedAccount, settings: CompiledSettings | None
    ) -> Step[Parties]:
        """Return the parties. `settings` None: the caller is no enforcer and can only be asking about itself."""
        if claimed.unnamed and (settings is None or settings.asserted or claimed.token is None):
            # A proxy passes a credential on and vouches for no one.
            return _unproven(Reason.IDENTITY_INVALID)
        if settings is not None and settings.asserted:
            return asserted(claimed)
        if claimed.token is None:
            return _itself(claimed, caller, settings)
        if settings is None:
            return _unproven(Reason.IDENTITY_INVALID)
        return self._by_token(claimed.token, claimed, settings)

    def _by_token(self, token: str, claimed: ClaimedSubject, settings: CompiledSettings) -> Step[Parties]:
        # Before any signature is looked at: a chain that is too deep or malformed costs nothing.
        parsed = self._apart.parse(token)
        if parsed is None:
            return _unproven(Reason.IDENTITY_INVALID)
        signed, said = chain.chain_of(parsed.claims), chain.chain_of(claimed.properties or _NOTHING)
        if signed is None or said is None:
            return _unproven(Reason.DELEGATION_INVALID)
        issuer = self._issuers.find(parsed.issuer)
        if (CLUSTER if issuer is None else issuer.name) not in settings.issuers:
            return _unproven(Reason.IDENTITY_INVALID)
        if said and chain.named(said) != chain.named(signed):
            return _unproven(Reason.DELEGATION_INVALID)
        if issuer is not None:
            return self._person(parsed, signed, claimed, issuer, settings)
        if signed or claimed.names_an_actor:
            # A service account for itself: the cluster issues no token that says for whom its bearer acts.
            return _unproven(Reason.DELEGATION_INVALID)
        found = self._tokens.confirm(parsed, settings.audiences)
        if isinstance(found, Need):
            return then(found, partial(self._service_account, parsed, claimed))
        return self._service_account(parsed, claimed, found)

    def _service_account(
        self, parsed: CompactToken, claimed: ClaimedSubject, found: AuthenticatedAccount | RefusedToken
    ) -> Parties:
        if isinstance(found, RefusedToken):
            return _unproven(found.reason)
        self._apart.keep(parsed)
        return Parties(_matching(claimed, found.account, found.claims), live=found.live)

    def _person(
        self,
        parsed: CompactToken,
        signed: tuple[ActorClaim, ...],
        claimed: ClaimedSubject,
        issuer: Issuer,
        settings: CompiledSettings,
    ) -> Step[Parties]:
        verified = issuer.verifier.verify(parsed)
        follow = partial(self._with_actors, parsed, signed, claimed, issuer, settings)
        return then(verified, follow) if isinstance(verified, Need) else follow(verified)

    def _with_actors(
        self,
        parsed: CompactToken,
        signed: tuple[ActorClaim, ...],
        claimed: ClaimedSubject,
        issuer: Issuer,
        settings: CompiledSettings,
        verified: VerifiedClaims | RefusedToken | None,
    ) -> Step[Parties]:
        """Add the actors: the outermost by its own token, those within by the signature of the person's issuer."""
        person = _named_person(verified, claimed, issuer, settings)
        if isinstance(person, UnprovenParty):
            return Parties(person)
        self._apart.keep(parsed)
        if claimed.actor_token is None:
            # An `act` without its actor is a token in somebody else's hands.
            return _unproven(Reason.DELEGATION_INVALID) if signed else Parties(person)
        if not signed:
            # Nothing says that the person lets this workload act: not another actor than the token's, but none.
            return _unproven(Reason.DELEGATION_INVALID)
        presenter = self._tokens.authenticate(claimed.actor_token, settings.audiences)
        follow = partial(_acting, person, signed, issuer)
        return then(presenter, follow) if isinstance(presenter, Need) else follow(presenter)


def _acting(
    person: Party, signed: tuple[ActorClaim, ...], issuer: Issuer, presenter: AuthenticatedAccount | RefusedToken
) -> Parties:
    if isinstance(presenter, RefusedToken):
        return _unproven(presenter.reason)
    outermost, *within = signed
    if (outermost.iss, outermost.sub) != (presenter.issuer, presenter.account.username):
        return _unproven(Reason.ACTOR_MISMATCH)
    actors = [_account(presenter.account, presenter.claims)]
    for act in within:
        actor = chain.inner(act, issuer.config, presenter.issuer)
        if isinstance(actor, UnprovenParty):
            return Parties(actor)
        actors.append(actor)
    return Parties(person, tuple(actors), presenter.live)


def _bearer(authorization: str) -> str | None:
    scheme, _, token = authorization.partition(" ")
    return token.strip() if token and (scheme == "Bearer" or scheme.lower() == "bearer") else None


def asserted(claimed: ClaimedSubject) -> Parties:
    """Return the parties on the enforcer's word. No token is looked at, but a hint at an actor must name one."""
    said = chain.chain_of(claimed.properties or {})
    if said is None or (claimed.actor_token is not None and not said):
        return _unproven(Reason.DELEGATION_INVALID)
    if claimed.type == USER and is_reserved(claimed.id):
        return _unproven(Reason.IDENTITY_RESERVED)
    subject = Party(claimed.type, claimed.id, uid_of(ASSERTED, claimed.id), {}, claimed.properties, issuer=None)
    return Parties(subject, tuple(chain.on_word(act) for act in said))


def _named_person(
    verified: VerifiedClaims | RefusedToken | None, claimed: ClaimedSubject, issuer: Issuer, settings: CompiledSettings
) -> Party | UnprovenParty:
    if verified is None:
        return UnprovenParty(Reason.IDENTITY_UNVERIFIABLE)
    if isinstance(verified, RefusedToken):
        return UnprovenParty(verified.reason)
    if not audience_matches(verified.claims, issuer.audiences(settings.audiences)):
        return UnprovenParty(Reason.AUDIENCE_MISMATCH)
    person = person_of(
        issuer.name, issuer.config.claims, verified.claims, claimed.properties, unnamed=Reason.IDENTITY_INVALID
    )
    if isinstance(person, Party) and not claimed.is_named(person.type, person.id):
        return UnprovenParty(Reason.IDENTITY_INVALID)
    return person


def _itself(claimed: ClaimedSubject, caller: AuthenticatedAccount, settings: CompiledSettings | None) -> Parties:
    """A caller that asks about itself has shown its token already."""
    if not caller.account.username.startswith(SERVICE_ACCOUNT_PREFIX):
        # A certificate proves who enforces, and no subject.
        return _unproven(Reason.IDENTITY_INVALID)
    if claimed.id != caller.account.username or (settings is not None and CLUSTER not in settings.issuers):
        return _unproven(Reason.IDENTITY_INVALID)
    if claimed.names_an_actor:
        return _unproven(Reason.DELEGATION_INVALID)
    return Parties(_matching(claimed, caller.account, caller.claims), live=caller.live)


def _matching(claimed: ClaimedSubject, account: ServiceAccount, claims: Mapping[str, Json]) -> Party | UnprovenParty:
    if not claimed.is_named(SERVICE_ACCOUNT, account.username):
        return UnprovenParty(Reason.IDENTITY_INVALID)
    return _account(account, claims, claimed.properties)


def _account(
    account: ServiceAccount, claims: Mapping[str, Json], properties: Mapping[str, Json] | None = None
) -> Party:
    return Party(SERVICE_ACCOUNT, account.username, account.uid, claims, properties)


def _unproven(reason: Reason) -> Parties:
    return Parties(UnprovenParty(reason))
