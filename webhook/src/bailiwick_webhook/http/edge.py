"""The edge: what every decision path does first, from a request to a call with proven parties.

Holds: who asks is authenticated, and has a place, before the body is read; URLs in answers come from the setting, never
from `Host`.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import NamedTuple

import orjson
from aiohttp import web
from msgspec.structs import replace

from bailiwick_engine.call import Call, Shown
from bailiwick_engine.reasons import Reason
from bailiwick_webhook.asked import Asked, ShownToken
from bailiwick_webhook.http import authzen, connections
from bailiwick_webhook.http.answers import request_id
from bailiwick_webhook.http.authzen import Approval, Evaluation
from bailiwick_webhook.http.body import read_object
from bailiwick_webhook.http.places import Place, Places
from bailiwick_webhook.http.problems import unauthenticated, unavailable
from bailiwick_webhook.identity.proof import Identity
from bailiwick_webhook.identity.subject import Claimed, Parties
from bailiwick_webhook.identity.tokens import Proven, Refused
from bailiwick_webhook.pdp import Decision, Pdp
from bailiwick_webhook.signing.jose import Why
from bailiwick_webhook.signing.signer import Signer
from bailiwick_webhook.tracing import traceparent

_Shown = tuple[Shown, ShownToken | None]


class Verified:
    """What the items of one body have in common: parties, by what was said and shown of them, and shown approvals."""

    def __init__(self) -> None:
        self._found: dict[bytes, Parties] = {}
        self._latest: tuple[Claimed, Parties] | None = None
        self._shown: dict[Approval, _Shown] = {}

    def latest(self, claimed: Claimed) -> Parties | None:
        """Return the parties of the very subject that was asked for last."""
        return self._latest[1] if self._latest is not None and self._latest[0] is claimed else None

    async def of(self, claimed: Claimed, verify: Callable[[], Awaitable[Parties]]) -> Parties:
        """Return the parties, verified unless the same was said and shown before."""
        shown = orjson.dumps(tuple(claimed))
        parties = self._found.get(shown)
        if parties is None:
            parties = self._found[shown] = await verify()
        self._latest = claimed, parties
        return parties

    def shown(self, approval: Approval, verify: Callable[[Approval], _Shown]) -> _Shown:
        """Return what is shown of an approval, verified unless the very same was shown before."""
        found = self._shown.get(approval)
        if found is None:
            found = self._shown[approval] = verify(approval)
        return found


class Tenant(NamedTuple):
    """Whose endpoint is asked about."""

    namespace: str
    endpoint: str


class Marks(NamedTuple):
    """How a call can be found again: the caller's own id of it, and its W3C `traceparent`."""

    request_id: str | None
    trace: str | None


class Edge:
    """Reads requests of one decision point."""

    def __init__(self, pdp: Pdp, identity: Identity, external_url: str, signer: Signer, places: Places) -> None:
        self.pdp = pdp
        self.places = places
        self.identity = identity
        self.external_url = external_url
        self.signer = signer

    async def asked(self, request: web.BaseRequest, of: Tenant, place: Place) -> tuple[Asked, Evaluation]:
        """Read an evaluation. Raises `ProblemError`."""
        caller = self._known(request, place) or await self._proven(request, place)
        parsed = authzen.parse(await read_object(request))
        return await self.call(of, caller, parsed, marks(request)), parsed

    async def call(
        self,
        of: Tenant,
        caller: Proven,
        parsed: Evaluation,
        marked: Marks,
        *,
        verified: Verified | None = None,
        searching: bool = False,
    ) -> Asked:
        """Return what is asked, with its parties proven. `verified` keeps what one body shows more than once."""
        namespace, endpoint = of
        parties = None if verified is None else verified.latest(parsed.subject)
        if parties is None:
            settings = self.pdp.settings(namespace, endpoint, caller.account)
            verify = partial(self.identity.verify, parsed.subject, caller, settings)
            parties = await (verify() if verified is None else verified.of(parsed.subject, verify))
        call = Call(
            namespace,
            endpoint,
            caller.account,
            parties.subject,
            parsed.action,
            parsed.resource,
            parsed.context,
            parties.actors,
        )
        if self.pdp.hangs_on_workloads(namespace, endpoint):
            call = await self.pdp.with_workloads(call, self.identity.workload, searching=searching)
        token: ShownToken | None = None
        if parsed.approval is not None and not searching:
            look = partial(self._shown, of)
            shown, token = look(parsed.approval) if verified is None else verified.shown(parsed.approval, look)
            call = replace(call, shown=shown)
        explain = parsed.explain and await self.pdp.may_explain(caller.account, namespace)
        live = parties.live and caller.live
        return Asked(
            call,
            marked.request_id,
            live_identity=live,
            explain=explain,
            trace=marked.trace,
            reason=parsed.reason,
            token=token,
        )

    def _shown(self, of: Tenant, approval: Approval) -> _Shown:
        shown, token = self.signer.shown(*approval, base=self.base(of), namespace=of.namespace)
        if token is not None and token.refused is not None:
            self.pdp.counts.tokens_refused[Why(token.refused)] += 1
        return shown, token

    def binding_token(self, of: Tenant, asked: Asked, decision: Decision) -> str | None:
        """Return the binding token of a denial about which can be asked; None of any other answer, or without keys."""
        digest = decision.verdict.digest
        if digest is None or not authzen.asks(decision):
            return None
        ends = decision.time + authzen.DENIAL_SECONDS
        return self.signer.denial(asked.call, digest, decision.evaluation_id, ends, self.base(of))

    def _known(self, request: web.BaseRequest, place: Place) -> Proven | None:
        """Return who asks, where that is known: it takes no coroutine to tell. Raises `ProblemError` (429)."""
        found = self.identity.known(request.headers.get("Authorization", ""))
        if type(found) is not Proven:
            return None
        place.take(found.account.username)
        connections.proven(request)
        return found

    async def caller(self, request: web.BaseRequest, place: Place) -> Proven:
        """Return who asks, with a place in that name. Raises `ProblemError` (401, 429, 503)."""
        return self._known(request, place) or await self._proven(request, place)

    async def _proven(self, request: web.BaseRequest, place: Place) -> Proven:
        # To prove somebody can take as long as the API server does, so it needs a place too: in the name of whoever
        # connects, since a name that a token says before it is proven can be anybody's.
        place.take(request.remote or "")
        match await self.identity.caller(request.headers.get("Authorization", "")):
            case Proven() as proven:
                place.take(proven.account.username)
                connections.proven(request)
                return proven
            case None:
                raise unauthenticated(
                    "Send a service-account token for the audience bailiwick as Authorization: Bearer."
                )
            case Refused(Reason.IDENTITY_UNVERIFIABLE):
                raise unavailable("The caller's token cannot be verified at the moment; ask again.")
            case Refused():
                raise unauthenticated("The token is not a current service-account token for the audience bailiwick.")

    def base(self, of: Tenant) -> str:
        """Return the endpoint's own base URL."""
        return f"{self.external_url}/endpoints/{of.namespace}/{of.endpoint}"


def marks(request: web.BaseRequest) -> Marks:
    """Return how the caller marks its request."""
    return Marks(request_id(request), traceparent(request.headers.get("traceparent")))


def tenant(request: web.Request) -> Tenant:
    """Return namespace and endpoint of the path."""
    return Tenant(request.match_info["namespace"], request.match_info["endpoint"])
