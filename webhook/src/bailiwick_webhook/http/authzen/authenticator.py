"""The request authenticator: what every decision path does first, from a request to a call with authenticated parties.

Holds: who asks is authenticated, and has a slot, before the body is read; what somebody asks counts for the part of
enforcers only where the snapshot of that moment lists them for the endpoint that they ask about; URLs in answers come
from the setting, never from `Host`.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final, NamedTuple, Self

import orjson
from aiohttp import web
from msgspec.structs import astuple, replace

from bailiwick_engine.call import Call, ServiceAccount, ShownApproval
from bailiwick_webhook.evaluation import EvaluationRequest, ShownToken
from bailiwick_webhook.http.addressing import CorrelationIds, Tenant
from bailiwick_webhook.http.authzen import messages
from bailiwick_webhook.http.authzen.messages import Evaluation, PresentedApproval
from bailiwick_webhook.http.body import parse_object, read_whole
from bailiwick_webhook.http.problems import refused_token, taken_back, unauthenticated
from bailiwick_webhook.http.shares.bounds import Bounds
from bailiwick_webhook.http.shares.rates import Rates
from bailiwick_webhook.http.shares.slots import RequestSlot, RequestSlots, Sender, enforcer, other
from bailiwick_webhook.http.transport import connections
from bailiwick_webhook.http.transport.bodies import Bodies
from bailiwick_webhook.http.transport.clientcerts import certified
from bailiwick_webhook.http.transport.decisionshortcut import Origin
from bailiwick_webhook.identity.proof import IdentityProof
from bailiwick_webhook.identity.subject import ClaimedSubject, Parties
from bailiwick_webhook.identity.tokens import AuthenticatedAccount, RefusedToken
from bailiwick_webhook.metrics.table import Port, TokenProblem
from bailiwick_webhook.pipeline.offload import LARGE
from bailiwick_webhook.pipeline.pdp import Decision, Pdp
from bailiwick_webhook.signing.signer import Signer
from bailiwick_webhook.steps import Need, Step, resolve, then

ENFORCER: Final = "X-Bailiwick-Enforcer"
"""By which a proxy without a client certificate proves itself: `Bearer` and its own token."""

_Shown = tuple[ShownApproval, ShownToken | None]


class VerifiedParties:
    """What the items of one body have in common: parties, by what was said and shown of them, and shown approvals."""

    def __init__(self) -> None:
        self._kept: dict[bytes, Parties] = {}
        self._latest: tuple[ClaimedSubject, Parties] | None = None
        self._shown: dict[PresentedApproval, _Shown] = {}

    @classmethod
    def known(cls, claimed: ClaimedSubject, parties: Parties) -> Self:
        """Return what holds the parties of one subject already."""
        verified = cls()
        verified._latest = claimed, parties
        return verified

    def find(self, claimed: ClaimedSubject) -> Parties | None:
        """Return the parties, where the same was said and shown before."""
        latest = self._latest
        if latest is None:
            return None
        if latest[0] is claimed:
            return latest[1]
        parties = self._kept.get(_shown_of(claimed))
        if parties is not None:
            self._latest = claimed, parties
        return parties

    def keep(self, claimed: ClaimedSubject, parties: Parties) -> Parties:
        """Keep what was verified, and return it."""
        self._kept[_shown_of(claimed)] = parties
        self._latest = claimed, parties
        return parties

    def shown(self, approval: PresentedApproval, verify: Callable[[PresentedApproval], _Shown]) -> _Shown:
        """Return what is shown of an approval, verified unless the very same was shown before."""
        shown = self._shown.get(approval)
        if shown is None:
            shown = self._shown[approval] = verify(approval)
        return shown


def _shown_of(claimed: ClaimedSubject) -> bytes:
    return orjson.dumps(astuple(claimed))


class ParsedBody(NamedTuple):
    """A body, parsed. `large`: so much was sent that deciding it may take long, see `offload`."""

    members: dict[str, Any]
    large: bool


class RequestAuthenticator:
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
        self.slots = RequestSlots(bounds.divided(bounds.requests_at_once), pdp.counts)
        self._bodies = Bodies(port, bounds, pdp.counts)
        self._rates = Rates(bounds.decisions_per_second, pdp.counts) if bounds.decisions_per_second else None
        self.identity = identity
        self.external_url = external_url
        self.signer = signer

    async def body(self, request: web.BaseRequest, of: Tenant, slot: RequestSlot) -> ParsedBody:
        """Read the body of the request that has this slot. Raises `ProblemError` (400, 429)."""
        raw = await self.whole(request, slot)
        large = len(raw) >= LARGE
        return ParsedBody(await self.parse_beside(raw, of) if large else parse_object(raw), large)

    async def whole(self, request: web.BaseRequest, slot: RequestSlot) -> bytes:
        """Read the JSON body of the request that has this slot. Raises `ProblemError` (400, 429)."""
        return await read_whole(request, self._bodies, slot.sender)

    async def raw(self, request: web.BaseRequest, slot: RequestSlot, most: int) -> bytes | None:
        """Read a body, whatever it is; None where it is larger than that. Raises `ProblemError` (400, 429)."""
        if not request.body_exists:
            return b""
        with self._bodies.body(slot.sender) as body:
            return await body.read(request, most)

    async def beginning(self, request: web.BaseRequest, most: int) -> bytes:
        """Read so much of the body of a stranger, and no more. Raises `ProblemError` (400, 429)."""
        with self._bodies.body(other(request.remote or "")) as body:
            return await body.beginning(request, most)

    async def parse_beside(self, raw: bytes, of: Tenant) -> dict[str, Any]:
        """Parse what is large beside the loop. Raises `ProblemError` (400)."""
        return await self.pdp.offload.run(of.namespace, partial(parse_object, raw))

    def pay(self, of: Tenant, sender: Sender, decisions: int = 1) -> None:
        """Pay for decisions, before any is made. Raises `ProblemError` (429)."""
        if self._rates is not None:
            self._rates.take(of.namespace, sender, decisions)

    def call(  # noqa: PLR0913 - what one call is made of
        self,
        of: Tenant,
        caller: AuthenticatedAccount,
        evaluation: Evaluation,
        marked: CorrelationIds,
        parties: Parties | None = None,
        *,
        verified: VerifiedParties | None = None,
        searching: bool = False,
        large: bool = False,
    ) -> Step[EvaluationRequest]:
        """Return what is asked, with its parties authenticated. `parties` None: they are not yet.

        `verified` keeps what one body shows more than once. `searching`: for names of the call.
        """
        claimed, endpoint = evaluation.subject, self.pdp.snapshot.endpoints.get(of)
        if parties is None and verified is not None:
            parties = verified.find(claimed)
        if parties is None:
            enforces = endpoint is not None and caller.account.username in endpoint.enforcers
            # Without them a stranger's tokens are spared.
            settings = endpoint.settings if endpoint is not None and enforces else None
            step = self.identity.verify(claimed, caller, settings)
            if isinstance(step, Need):
                kept = step if verified is None else then(step, partial(verified.keep, claimed))
                again = partial(
                    self.call, of, caller, evaluation, marked, verified=verified, searching=searching, large=large
                )
                return then(kept, again)
            parties = step if verified is None else verified.keep(claimed, step)
        shown, token = None, None
        if evaluation.approval is not None and not searching:
            look = partial(self._shown, of)
            shown, token = look(evaluation.approval) if verified is None else verified.shown(evaluation.approval, look)
        call = Call(
            of.namespace,
            of.endpoint,
            caller.account,
            parties.subject,
            evaluation.action,
            evaluation.resource,
            evaluation.context,
            parties.actors,
            shown,
            dry_run=evaluation.dry_run and not searching,
        )
        asked = EvaluationRequest(
            call,
            marked.request_id,
            live_identity=parties.live and caller.live,
            trace=marked.trace,
            reason=evaluation.reason,
            token=token,
            large=large,
            item=marked.item,
        )
        placed: Step[Call] = call
        if endpoint is not None and endpoint.workload_keys:
            placed = self.pdp.with_workloads(call, self.identity.workload, searching=searching)
        if placed is call and not evaluation.explain:
            return asked
        return Need(partial(self._completed, asked, placed, explain=evaluation.explain))

    async def _completed(self, asked: EvaluationRequest, placed: Step[Call], *, explain: bool) -> EvaluationRequest:
        """Add what the parties call from, and whether the caller may see an explanation."""
        call = await resolve(placed)
        explain = explain and await resolve(self.pdp.may_explain(call))
        return replace(asked, call=call, explain=explain)

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

    async def caller(self, request: web.BaseRequest, of: Tenant, slot: RequestSlot) -> AuthenticatedAccount:
        """Return who asks, with a slot in that name: by its token, or else by a client certificate.

        Raises `ProblemError` (401, 429, 503).
        """
        authorization = request.headers.get("Authorization")
        if authorization is None and (shown := certified(request)):
            return self._certified(request, of, slot, shown)
        return await self.by_token(request, of, slot, authorization or "")

    async def by_proxy(
        self,
        origin: Origin,
        of: Tenant,
        slot: RequestSlot,
        shown: tuple[ServiceAccount, ...],
        sent: Sequence[str],
    ) -> AuthenticatedAccount:
        """Return which proxy asks likewise, where `Authorization` is not its own but its client's.

        By a client certificate, which no client of the proxy can bring and whose names are `shown`; else by what was
        `sent` as `ENFORCER`, which the proxy overwrites.
        """
        if shown:
            return self._certified(origin, of, slot, shown)
        if len(sent) > 1:
            raise unauthenticated(f"There are several headers {ENFORCER}: the proxy must overwrite it.")
        return await self.by_token(origin, of, slot, sent[0] if sent else "")

    def _certified(
        self, origin: Origin, of: Tenant, slot: RequestSlot, shown: tuple[ServiceAccount, ...]
    ) -> AuthenticatedAccount:
        caller = self.certified_account(of, shown)
        username = caller.account.username
        connections.note_caller(origin, username, enforces=self._take(of, username, slot))
        return caller

    def certified_account(self, of: Tenant, shown: tuple[ServiceAccount, ...]) -> AuthenticatedAccount:
        """Return who asks by one of the names of a certificate: the one that enforces the endpoint, if any does."""
        account = next((one for one in shown if self.pdp.enforces(of, one.username)), shown[0])
        return AuthenticatedAccount(account, {}, live=True)

    async def by_token(self, origin: Origin, of: Tenant, slot: RequestSlot, authorization: str) -> AuthenticatedAccount:
        """Return who asks by a token. Raises `ProblemError` (401, 429, 503)."""
        step = self.identity.caller(authorization)
        if type(step) is AuthenticatedAccount:
            username = step.account.username
            connections.note_caller(origin, username, enforces=self._take(of, username, slot))
            return step
        return await self.authenticate(origin, of, slot, authorization, step)

    async def authenticate(
        self,
        origin: Origin,
        of: Tenant,
        slot: RequestSlot,
        authorization: str,
        step: Step[AuthenticatedAccount | RefusedToken | None],
    ) -> AuthenticatedAccount:
        """Return who asks, where that is not known yet: `step` is what `identity.caller` said. Raises as `by_token`."""
        # To prove somebody can take as long as the API server does, so it needs a slot too. By its signature a token
        # tells in whose name: an enforcement point that is new waits beside other enforcers. Without one that is known
        # it could name anybody, so that the address that connects stands for it.
        signed = self.identity.signed(authorization)
        if isinstance(signed, str):
            self._take(of, signed, slot)
        elif signed is None:
            slot.take(other(origin.remote or ""))
        match signed if isinstance(signed, RefusedToken) else await resolve(step):
            case AuthenticatedAccount() as proven:
                username = proven.account.username
                connections.note_caller(origin, username, enforces=self._take(of, username, slot))
                return proven
            case None:
                raise unauthenticated(
                    "Send a service-account token for the audience bailiwick in the header Authorization: Bearer."
                )
            case RefusedToken(reason):
                raise refused_token(reason)

    def sender(self, of: Tenant, username: str, origin: Origin) -> Sender:
        """Return who a request of an account counts for, that need not hold a slot. Raises `ProblemError` (429)."""
        endpoint = self.pdp.snapshot.endpoints.get(of)
        enforces = endpoint is not None and username in endpoint.enforcers
        sender = enforcer(username, of.namespace) if enforces else other(username)
        self.slots.check(sender)
        connections.note_caller(origin, username, enforces=enforces and self._port is Port.DECISIONS)
        return sender

    def _take(self, of: Tenant, username: str, slot: RequestSlot) -> bool:
        """Hold the slot in the name of an account; return whether its connection is an enforcer's.

        None of the admission port is. Raises `ProblemError` (429).
        """
        enforces = self.pdp.enforces(of, username)
        slot.take(enforcer(username, of.namespace) if enforces else other(username))
        return enforces and self._port is Port.DECISIONS

    def check_in_force(self, caller: AuthenticatedAccount) -> None:
        """Refuse a caller that is taken back where no decision does. Raises `ProblemError` (403)."""
        if self.pdp.is_taken_back(caller.account.username):
            raise taken_back()

    def base(self, of: Tenant) -> str:
        """Return the endpoint's own base URL."""
        return f"{self.external_url}/endpoints/{of.namespace}/{of.endpoint}"
