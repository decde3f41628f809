"""The edge: what every decision path does first, from a request to a call with proven parties.

Holds: who asks is authenticated, and has a place, before the body is read; what somebody asks counts for the part of
enforcers only where the snapshot of that moment lists them for the endpoint that they ask about; URLs in answers come
from the setting, never from `Host`.
"""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Final, NamedTuple, Self

import orjson
from aiohttp import web
from msgspec.structs import astuple, replace

from bailiwick_engine.call import Call, ServiceAccount, ShownApproval
from bailiwick_webhook.evaluation import EvaluationRequest, ShownToken
from bailiwick_webhook.http.addressing import CorrelationIds, Tenant, marks
from bailiwick_webhook.http.authzen import messages
from bailiwick_webhook.http.authzen.messages import Evaluation, PresentedApproval
from bailiwick_webhook.http.body import parse_object, plain_object, read_whole
from bailiwick_webhook.http.problems import refused_token, unauthenticated
from bailiwick_webhook.http.shares.bounds import Bounds
from bailiwick_webhook.http.shares.rates import Rates
from bailiwick_webhook.http.shares.slots import RequestSlot, RequestSlots, enforcer, other
from bailiwick_webhook.http.transport import connections
from bailiwick_webhook.http.transport.bodies import Bodies
from bailiwick_webhook.http.transport.clientcerts import certified
from bailiwick_webhook.http.transport.decisionfront import Origin
from bailiwick_webhook.http.transport.plainrequest import PlainRequest
from bailiwick_webhook.identity.proof import IdentityProof
from bailiwick_webhook.identity.subject import ClaimedSubject, Parties
from bailiwick_webhook.identity.tokens import ProvenAccount, RefusedToken
from bailiwick_webhook.metrics.table import Port, TokenProblem
from bailiwick_webhook.pipeline.offload import LARGE
from bailiwick_webhook.pipeline.pdp import Decision, Pdp
from bailiwick_webhook.signing.signer import Signer

ENFORCER: Final = "X-Bailiwick-Enforcer"
"""By which a proxy without a client certificate proves itself: `Bearer` and its own token."""

_Shown = tuple[ShownApproval, ShownToken | None]


class VerifiedParties:
    """What the items of one body have in common: parties, by what was said and shown of them, and shown approvals."""

    def __init__(self) -> None:
        self._found: dict[bytes, Parties] = {}
        self._latest: tuple[ClaimedSubject, Parties] | None = None
        self._shown: dict[PresentedApproval, _Shown] = {}

    @classmethod
    def known(cls, claimed: ClaimedSubject, parties: Parties) -> Self:
        """Return what holds the parties of one subject already."""
        found = cls()
        found._latest = claimed, parties
        return found

    def latest(self, claimed: ClaimedSubject) -> Parties | None:
        """Return the parties of the very subject that was asked for last."""
        return self._latest[1] if self._latest is not None and self._latest[0] is claimed else None

    async def of(self, claimed: ClaimedSubject, verify: Callable[[], Awaitable[Parties]]) -> Parties:
        """Return the parties, verified unless the same was said and shown before."""
        shown = orjson.dumps(astuple(claimed))
        parties = self._found.get(shown)
        if parties is None:
            parties = self._found[shown] = await verify()
        self._latest = claimed, parties
        return parties

    def shown(self, approval: PresentedApproval, verify: Callable[[PresentedApproval], _Shown]) -> _Shown:
        """Return what is shown of an approval, verified unless the very same was shown before."""
        found = self._shown.get(approval)
        if found is None:
            found = self._shown[approval] = verify(approval)
        return found


class ParsedBody(NamedTuple):
    """A body, parsed. `large`: so much was sent that deciding it may take long, see `offload`."""

    members: dict[str, Any]
    large: bool


class Edge:
    """Reads requests of one decision point."""

    def __init__(
        self,
        pdp: Pdp,
        identity: IdentityProof,
        external_url: str,
        signer: Signer,
        bounds: Bounds,
        port: Port = Port.DECISIONS,
    ) -> None:
        self.pdp = pdp
        self._port = port
        self.places = RequestSlots(bounds.divided(bounds.requests_at_once), pdp.counts)
        self._bodies = Bodies(port, bounds, pdp.counts)
        self._rates = Rates(bounds.decisions_per_second, pdp.counts) if bounds.decisions_per_second else None
        self.identity = identity
        self.external_url = external_url
        self.signer = signer

    async def asked(
        self, request: web.BaseRequest, of: Tenant, place: RequestSlot
    ) -> tuple[EvaluationRequest, Evaluation]:
        """Read an evaluation. Raises `ProblemError`."""
        caller = await self.caller(request, of, place)
        raw = await read_whole(request, self._bodies, place.sender)
        large = len(raw) >= LARGE
        parsed = messages.parse(await self._parsed(raw, of) if large else parse_object(raw))
        if self._rates is not None:
            self.pay(of, place)
        return await self.call(of, caller, parsed, marks(request), large=large), parsed

    def at_once(self, sent: PlainRequest, origin: Origin) -> EvaluationRequest | None:
        """Return what an enforcer asks, where nobody has to be waited for and nothing refused; else None, see `asked`.

        Of that nothing has happened then but that its connection is the one's who asks.
        """
        of, raw = sent.of, sent.body
        caller = self.identity.known(sent.authorization or "")
        if type(caller) is not ProvenAccount or self._rates is not None or len(raw) >= LARGE:
            return None
        namespace, username = of.namespace, caller.account.username
        settings = self.pdp.settings_alone(of, caller.account)
        if settings is None:
            return None
        connections.proven(origin, username, enforces=self._port is Port.DECISIONS)
        members = plain_object(raw) if self.places.has_one(username, namespace) else None
        parsed = None if members is None else messages.plain(members)
        if parsed is None or parsed.explain or parsed.approval is not None:
            return None
        parties = self.identity.verified(parsed.subject, caller, settings)
        if parties is None:
            return None
        return _asked(of, caller, parsed, parties, sent.marked, large=False)

    async def body(self, request: web.BaseRequest, of: Tenant, place: RequestSlot) -> ParsedBody:
        """Read the body of whoever has this place. Raises `ProblemError` (400, 429)."""
        raw = await read_whole(request, self._bodies, place.sender)
        large = len(raw) >= LARGE
        return ParsedBody(await self._parsed(raw, of) if large else parse_object(raw), large)

    async def raw(self, request: web.BaseRequest, place: RequestSlot, most: int) -> bytes | None:
        """Read a body, whatever it is; None where it is larger than that. Raises `ProblemError` (400, 429)."""
        if not request.body_exists:
            return b""
        with self._bodies.body(place.sender) as body:
            return await body.read(request, most)

    async def beginning(self, request: web.BaseRequest, most: int) -> bytes:
        """Read so much of the body of somebody who is not proven, and no more. Raises `ProblemError` (400, 429)."""
        with self._bodies.body(other(request.remote or "")) as body:
            return await body.beginning(request, most)

    async def _parsed(self, raw: bytes, of: Tenant) -> dict[str, Any]:
        """Parse what is large beside the loop. Raises `ProblemError` (400)."""
        return await self.pdp.offload.run(of.namespace, partial(parse_object, raw))

    def pay(self, of: Tenant, place: RequestSlot, decisions: int = 1) -> None:
        """Pay for decisions, before any is made. Raises `ProblemError` (429)."""
        if self._rates is not None:
            self._rates.take(of.namespace, place.sender, decisions)

    async def call(
        self,
        of: Tenant,
        caller: ProvenAccount,
        parsed: Evaluation,
        marked: CorrelationIds,
        *,
        verified: VerifiedParties | None = None,
        searching: bool = False,
        large: bool = False,
    ) -> EvaluationRequest:
        """Return what is asked, with its parties proven. `verified` keeps what one body shows more than once."""
        namespace, endpoint = of
        parties = None if verified is None else verified.latest(parsed.subject)
        if parties is None:
            settings = self.pdp.settings(namespace, endpoint, caller.account)
            verify = partial(self.identity.verify, parsed.subject, caller, settings)
            parties = await (verify() if verified is None else verified.of(parsed.subject, verify))
        call = _call(of, caller, parsed, parties)
        if self.pdp.hangs_on_workloads(namespace, endpoint):
            call = await self.pdp.with_workloads(call, self.identity.workload, searching=searching)
        token: ShownToken | None = None
        if parsed.approval is not None and not searching:
            look = partial(self._shown, of)
            shown, token = look(parsed.approval) if verified is None else verified.shown(parsed.approval, look)
            call = replace(call, shown=shown)
        explain = parsed.explain and await self.pdp.may_explain(caller.account, namespace)
        live = parties.live and caller.live
        return EvaluationRequest(
            call,
            marked.request_id,
            live_identity=live,
            explain=explain,
            trace=marked.trace,
            reason=parsed.reason,
            token=token,
            large=large,
            item=marked.item,
        )

    def next_call(
        self,
        of: Tenant,
        caller: ProvenAccount,
        parsed: Evaluation,
        marked: CorrelationIds,
        verified: VerifiedParties,
        *,
        large: bool,
    ) -> EvaluationRequest | None:
        """Return what `call` does, where that is of the very subject of the call before; None: ask `call`.

        So are most items of a batch. Then nobody has to be waited for, unless there is more to it than the call.
        """
        parties = verified.latest(parsed.subject)
        if parties is None or parsed.explain or parsed.approval is not None or self.pdp.hangs_on_workloads(*of):
            return None
        return _asked(of, caller, parsed, parties, marked, large=large)

    def _shown(self, of: Tenant, approval: PresentedApproval) -> _Shown:
        shown, token = self.signer.shown(*approval, base=self.base(of), namespace=of.namespace)
        if token is not None and token.refused is not None:
            self.pdp.counts.tokens_refused[TokenProblem(token.refused)] += 1
        return shown, token

    def binding_token(self, of: Tenant, asked: EvaluationRequest, decision: Decision) -> str | None:
        """Return the binding token of a denial about which can be asked; None of any other answer, or without keys."""
        digest = decision.verdict.digest
        if digest is None or not messages.asks(decision):
            return None
        ends = decision.time + messages.DENIAL_SECONDS
        return self.signer.denial(asked.call, digest, decision.evaluation_id, ends, self.base(of))

    async def caller(self, request: web.BaseRequest, of: Tenant, place: RequestSlot) -> ProvenAccount:
        """Return who asks, with a place in that name: by its token, or else by a client certificate.

        Raises `ProblemError` (401, 429, 503).
        """
        authorization = request.headers.get("Authorization")
        if authorization is None and (shown := certified(request)):
            return self._certified(request, of, place, shown)
        return await self.by_token(request, of, place, authorization or "")

    async def by_proxy(
        self,
        origin: Origin,
        of: Tenant,
        place: RequestSlot,
        shown: tuple[ServiceAccount, ...],
        sent: Sequence[str],
    ) -> ProvenAccount:
        """Return which proxy asks likewise, where `Authorization` is not its own but its client's.

        By a client certificate, which no client of the proxy can bring and whose names are `shown`; else by what was
        `sent` as `ENFORCER`, which the proxy overwrites.
        """
        if shown:
            return self._certified(origin, of, place, shown)
        if len(sent) > 1:
            raise unauthenticated(f"There are several headers {ENFORCER}: the proxy must overwrite it.")
        return await self.by_token(origin, of, place, sent[0] if sent else "")

    def _certified(
        self, origin: Origin, of: Tenant, place: RequestSlot, shown: tuple[ServiceAccount, ...]
    ) -> ProvenAccount:
        """Return who asks by one of the names of a certificate: the one that enforces the endpoint, if any does."""
        account = next((one for one in shown if self.pdp.enforces(*of, one.username)), shown[0])
        connections.proven(origin, account.username, enforces=self._take(of, account.username, place))
        return ProvenAccount(account, {}, live=True)

    async def by_token(self, origin: Origin, of: Tenant, place: RequestSlot, authorization: str) -> ProvenAccount:
        """Return who asks by a token. Raises `ProblemError` (401, 429, 503)."""
        found = self.identity.known(authorization)
        if type(found) is ProvenAccount:
            username = found.account.username
            connections.proven(origin, username, enforces=self._take(of, username, place))
            return found
        return await self._proven(origin, of, place, authorization)

    async def _proven(self, origin: Origin, of: Tenant, place: RequestSlot, authorization: str) -> ProvenAccount:
        # To prove somebody can take as long as the API server does, so it needs a place too. By its signature a token
        # tells in whose name: an enforcement point that is new waits beside other enforcers. Without one that is known
        # it could name anybody, so that whoever connects stands for it.
        signed = self.identity.signed(authorization)
        if isinstance(signed, str):
            self._take(of, signed, place)
        elif signed is None:
            place.take(other(origin.remote or ""))
        match signed if isinstance(signed, RefusedToken) else await self.identity.caller(authorization):
            case ProvenAccount() as proven:
                username = proven.account.username
                connections.proven(origin, username, enforces=self._take(of, username, place))
                return proven
            case None:
                raise unauthenticated(
                    "Send a service-account token for the audience bailiwick in the header Authorization: Bearer."
                )
            case RefusedToken(reason):
                raise refused_token(reason)

    def _take(self, of: Tenant, username: str, place: RequestSlot) -> bool:
        """Hold the place in the name of an account; return whether its connection is an enforcer's.

        None of the admission port is. Raises `ProblemError` (429).
        """
        enforces = self.pdp.enforces(*of, username)
        place.take(enforcer(username, of.namespace) if enforces else other(username))
        return enforces and self._port is Port.DECISIONS

    def base(self, of: Tenant) -> str:
        """Return the endpoint's own base URL."""
        return f"{self.external_url}/endpoints/{of.namespace}/{of.endpoint}"


def _asked(
    of: Tenant, caller: ProvenAccount, parsed: Evaluation, parties: Parties, marked: CorrelationIds, *, large: bool
) -> EvaluationRequest:
    """Return what is asked where there is no more to it than the call."""
    return EvaluationRequest(
        _call(of, caller, parsed, parties),
        marked.request_id,
        live_identity=parties.live and caller.live,
        trace=marked.trace,
        reason=parsed.reason,
        large=large,
        item=marked.item,
    )


def _call(of: Tenant, caller: ProvenAccount, parsed: Evaluation, parties: Parties) -> Call:
    return Call(
        of.namespace,
        of.endpoint,
        caller.account,
        parties.subject,
        parsed.action,
        parsed.resource,
        parsed.context,
        parties.actors,
    )
