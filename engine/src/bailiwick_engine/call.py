"""A call: all inputs of one decision about it, after the edge has parsed and verified them.

Holds: `subject` and `caller` are verified values; a party that could not be verified is an `UnprovenParty`, never a
guess.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from bailiwick_engine import keys
from bailiwick_engine.keys import CLUSTER, SERVICE_ACCOUNT, Key
from bailiwick_engine.reasons import Reason

Json = Any


class ServiceAccount(msgspec.Struct, frozen=True, gc=False):
    """A service account whose token the API server confirmed: username `system:serviceaccount:<ns>:<name>`, and uid."""

    username: str
    uid: str


class PodWorkload(msgspec.Struct, frozen=True):
    """What a service account's token says it calls from, as the API server shows that pod.

    `images` are the digests (`sha256:…`) that all its containers run, init and ephemeral ones too.
    """

    images: frozenset[str]
    labels: Mapping[str, str] = {}


class Party(msgspec.Struct, frozen=True, gc=False):
    """A party of the call (AuthZEN `subject`, or one actor of RFC 8693 `act`).

    `uid` is the cluster's for a service account, and `<issuer>#<name>` for anybody else. `issuer` is the installation's
    name of the issuer, None if the enforcer asserts the party. `username` is the API server's name of this party, None
    if it is unknown. `claims` are verified, `properties` are asserted by the enforcer. `workload` None: unknown.
    `hypothetical`: a name without a token, so that its claims are unknown (see `search`).
    """

    type: str
    id: str
    uid: str
    claims: Mapping[str, Json] = {}
    properties: Mapping[str, Json] | None = None
    issuer: str | None = CLUSTER
    groups: tuple[str, ...] = ()
    username: str | None = None
    workload: PodWorkload | None = None
    hypothetical: bool = False

    @property
    def keys(self) -> frozenset[Key]:
        """What rules can name this party by."""
        if self.issuer is None:
            return keys.of_asserted(self.type, self.id)
        if self.type == SERVICE_ACCOUNT:
            return keys.of_account(self.id)
        return keys.of_person(self.issuer, self.id, self.groups)

    @property
    def reviewer(self) -> str | None:
        """The API server's name of this party, as a review of theirs would carry it; None where it is not known."""
        return self.id if self.type == SERVICE_ACCOUNT else self.username


class UnprovenParty(msgspec.Struct, frozen=True, gc=False):
    """A subject that the evidence does not prove."""

    reason: Reason


class Action(msgspec.Struct, frozen=True, gc=False):
    """What is to be done (AuthZEN `action`)."""

    name: str
    properties: Mapping[str, Json] | None = None


class Resource(msgspec.Struct, frozen=True, gc=False):
    """What it is to be done to (AuthZEN `resource`)."""

    type: str
    id: str
    properties: Mapping[str, Json] | None = None


class Token(msgspec.Struct, frozen=True):
    """What a verified approval token says: issued by this decision point for this endpoint, and not over.

    `grant` is `<name>.<uid>`. `binding_hash` is ARAP's spelling of the digest that the grant is bound to, None for a
    Scope. `actors` as a grant binds them: issuer, id and uid, the outermost first.
    """

    grant: str
    binding_hash: str | None
    subject_uid: str
    actors: tuple[tuple[str | None, str, str], ...] = ()


class ShownApproval(msgspec.Struct, frozen=True):
    """What a caller shows of an approval (AuthZEN ARAP, `context.approval`). Never more than a hint at a grant.

    `id` is the grant's, `<name>.<uid>`. `token` None: no token was shown. `invalid`: one was shown that does not prove
    anything.
    """

    id: str
    token: Token | None = None
    invalid: bool = False


class Call(msgspec.Struct, frozen=True, gc=False):
    """One request for a decision.

    `actors` act for the subject, the outermost first: it presents the call, and is a service account. Empty: the
    subject calls for itself. `context` is AuthZEN's, without the members that only carry evidence or steer the answer
    (`RESERVED_CONTEXT`); it may hold `args`, the call's arguments as the enforcer sent them. `shown`: what was
    shown of an approval. `refused`: the request has no single meaning, so it is denied for every caller. `dry_run`: the
    caller asks what a call would come to and does not make it. It is no part of what an approval is bound to.
    """

    namespace: str
    endpoint: str
    caller: ServiceAccount
    subject: Party | UnprovenParty
    action: Action
    resource: Resource
    context: Mapping[str, Json] = {}
    actors: tuple[Party, ...] = ()
    shown: ShownApproval | None = None
    refused: Reason | None = None
    dry_run: bool = False

    @property
    def intent(self) -> str | None:
        """The declared purpose; an empty one is none, as in a rule and in a grant."""
        intent = self.context.get("intent")
        return intent if isinstance(intent, str) and intent else None


RESERVED_CONTEXT = frozenset({"evidence", "approval", "explain", "dry_run", "business_justification"})
