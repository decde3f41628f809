"""Requests for approval over HTTP: submit, poll and cancel (AuthZEN ARAP, working-group draft).

Holds: what the draft offers and we do not is refused in words, never ignored; who asks is an enforcer of the endpoint,
and only the requester itself withdraws.
"""

import re
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

from aiohttp import web
from msgspec.structs import replace

from bailiwick_engine.approval.grants import Grant
from bailiwick_engine.decision.justification import reason_problem
from bailiwick_engine.decision.verdict import Outcome
from bailiwick_engine.reasons import Reason
from bailiwick_webhook.approvals.opener import OpenedGrant, RefusedOpening, UnreadTask
from bailiwick_webhook.evaluation import EvaluationRequest
from bailiwick_webhook.http.addressing import Tenant, marks, tenant
from bailiwick_webhook.http.authzen import messages, tasks
from bailiwick_webhook.http.authzen.authenticator import RequestAuthenticator
from bailiwick_webhook.http.problems import bad_request, forbidden, overloaded, throttled, unavailable
from bailiwick_webhook.http.shares.slots import RequestSlot
from bailiwick_webhook.http.transport.answers import json
from bailiwick_webhook.loglimit import LogLimit
from bailiwick_webhook.metrics.table import CallerClass, Overload, TokenProblem
from bailiwick_webhook.signing.jose import LEEWAY
from bailiwick_webhook.steps import resolve

IDEMPOTENCY_KEY: Final = "Idempotency-Key"
_KEY: Final = re.compile(r"[\x21-\x7e]{1,255}")
_MAX_WORD: Final = 1024

_log: Final = LogLimit()


class AccessRequestsHandler:
    """The three paths below `access/v1/requests`."""

    def __init__(self, authenticator: RequestAuthenticator) -> None:
        self._authenticator = authenticator

    async def submit(self, request: web.Request, slot: RequestSlot) -> web.StreamResponse:
        """ARAP, POST access/v1/requests."""
        of = tenant(request)
        caller = await self._authenticator.caller(request, of, slot)
        body, large = await self._authenticator.body(request, of, slot)
        self._authenticator.pay(of, slot.sender)
        asked = await resolve(self._authenticator.call(of, caller, _parsed(body), marks(request), large=large))
        denial = _denial(body)
        asked = replace(asked, key=_key(request))
        verdict = await self._authenticator.pdp.verdict(asked, as_counted=True)
        if verdict.outcome is Outcome.FORBIDDEN or verdict.dry_run:
            raise forbidden(self._authenticator.identity.stranger)
        _offered(body, asked)
        if verdict.gate is not None and (wrong := reason_problem(verdict.gate, asked.reason)):
            raise bad_request(wrong, "context.business_justification")
        asked = replace(asked, late=self._late(of, denial, verdict.digest))
        decision, outcome = await self._authenticator.pdp.request(asked)
        if decision.verdict.reason is Reason.RECORD_FAILED:
            raise unavailable("The request could not be recorded at the moment. Try again.")
        match outcome:
            case OpenedGrant(grant, _):
                return self._task_response(of, grant)
            case RefusedOpening(detail, _, duplicate=True):
                raise tasks.duplicate_request(detail)
            case RefusedOpening() if asked.late:
                raise tasks.expired_denial()
            case RefusedOpening(detail, Reason.APPROVAL_THROTTLED):
                raise throttled(detail, Reason.APPROVAL_THROTTLED.value)
            case RefusedOpening(detail):
                raise tasks.not_requestable(decision.verdict, detail)
            case None:
                raise tasks.not_requestable(decision.verdict)

    def _late(self, of: Tenant, denial: "_Denial", digest: str | None) -> bool:
        """Tell whether the denial that a request follows is over. Raises `ProblemError` where it is another's."""
        if denial.binding_token is not None:
            found = self._authenticator.signer.denied(denial.binding_token, digest, self._authenticator.base(of))
            if found is TokenProblem.EXPIRED:
                return True
            if isinstance(found, TokenProblem):
                raise tasks.invalid_denial_binding(found.value)
            if denial.evaluation_id not in {None, found.evaluation_id}:
                raise tasks.invalid_denial_binding(TokenProblem.OTHER.value)
        # Without a token it is only for correlation, but a caller that says that it is over is believed.
        return denial.expires is not None and time.time() - LEEWAY >= denial.expires

    def _task_response(self, of: Tenant, grant: Grant) -> web.StreamResponse:
        body = self._task_of(of, grant)
        location = body["task"]["status_endpoint"]
        if body["task"]["status"] != "pending":
            return json(201, body, Location=location)
        return json(202, body, **{"Location": location, "Retry-After": str(messages.RETRY_AFTER)})

    async def poll(self, request: web.Request, slot: RequestSlot) -> web.StreamResponse:
        """ARAP, GET access/v1/requests/{id}."""
        of, _, grant = await self._task(request, slot)
        return json(200, self._task_of(of, grant), **{"Retry-After": str(messages.RETRY_AFTER)})

    async def cancel(self, request: web.Request, slot: RequestSlot) -> web.StreamResponse:
        """ARAP, POST access/v1/requests/{id}/cancel."""
        of, caller, grant = await self._task(request, slot)
        body = (await self._authenticator.body(request, of, slot)).members if request.can_read_body else {}
        said = [_word(body, name) for name in ("reason", "comment")]
        if grant.request.requester.username != caller.account.username:
            raise forbidden("Only the requester can withdraw a request.")
        if not tasks.pending(grant):
            raise tasks.invalid_task_state("The request has already ended, so it cannot be withdrawn.")
        outcome = await self._authenticator.pdp.withdraw(
            grant, caller.account, ": ".join(word for word in said if word) or None
        )
        if isinstance(outcome, RefusedOpening):
            raise tasks.invalid_task_state(f"Not withdrawn: {outcome.detail}.")
        return json(200, self._task_of(of, outcome))

    def _task_of(self, of: Tenant, grant: Grant) -> dict[str, Any]:
        base = self._authenticator.base(of)
        described = tasks.task(grant, base, self._authenticator.signer.approval(grant, base))
        return {**described, **self._authenticator.identity.notice}

    async def _task(self, request: web.Request, slot: RequestSlot) -> tuple[Tenant, Any, Grant]:
        """Return who asks and the grant of the task. Raises `ProblemError`."""
        of = tenant(request)
        caller = await self._authenticator.caller(request, of, slot)
        self._authenticator.check_in_force(caller)
        grant = await self._authenticator.pdp.task(*of, caller.account, request.match_info["task"])
        if isinstance(grant, UnreadTask):
            self._authenticator.pdp.counts.overloads[Overload.LOOKS, CallerClass.ENFORCERS] += 1
            _log.warning("too many looks at unknown requests for approval", namespace=of.namespace)
            raise overloaded(Overload.LOOKS)
        if grant is None:
            raise tasks.unknown_task()
        return of, caller, grant


def _parsed(body: Mapping[str, Any]) -> messages.Evaluation:
    """Return what an approval is asked for. Raises `ProblemError` (400)."""
    evaluation = messages.parse(body)
    if evaluation.dry_run:
        raise bad_request("must not be true: a dry run asks for no approval", "context.dry_run")
    return evaluation


def _key(request: web.Request) -> str | None:
    found = request.headers.get(IDEMPOTENCY_KEY)
    if found is not None and not _KEY.fullmatch(found):
        raise bad_request("must be 1 to 255 visible ASCII characters", IDEMPOTENCY_KEY)
    return found


class _Denial(NamedTuple):
    """What a request says of the denial that it follows, ARAP's `denial`. `expires` is seconds since the epoch."""

    evaluation_id: str | None
    binding_token: str | None
    expires: float | None


def _denial(body: Mapping[str, Any]) -> _Denial:
    said = body.get("denial")
    if not isinstance(said, dict | None):
        raise bad_request("must be an object", "denial")
    said = said or {}
    for name in ("evaluation_id", "binding_token", "expires_at", "reason", "template"):
        if not isinstance(said.get(name), str | None):
            raise bad_request("must be a string", f"denial.{name}")
    expires = said.get("expires_at")
    try:
        moment = None if expires is None else datetime.fromisoformat(expires)
    except ValueError:
        raise bad_request("must be a time in RFC 3339 format", "denial.expires_at") from None
    if moment is not None and moment.tzinfo is None:
        raise bad_request("must be a time with a time zone", "denial.expires_at")
    return _Denial(said.get("evaluation_id"), said.get("binding_token"), None if moment is None else moment.timestamp())


def _word(body: Mapping[str, Any], name: str) -> str | None:
    found = body.get(name)
    if found is not None and (not isinstance(found, str) or len(found) > _MAX_WORD // 2 - 1):
        raise bad_request(f"must be a string of at most {_MAX_WORD // 2 - 1} characters", name)
    return found


def _offered(body: Mapping[str, Any], asked: EvaluationRequest) -> None:
    """Refuse what a caller might rely on and does not get. Raises `ProblemError`."""
    for name, why in (("items", "bulk requests"), ("callback", "callbacks; poll status_endpoint instead")):
        if body.get(name) is not None:
            raise bad_request(f"is not supported: Bailiwick does not offer {why}", name)
    wanted = body.get("requested_access")
    if wanted is not None and (not isinstance(wanted, dict) or wanted.get("emergency") not in {None, False}):
        raise bad_request("emergency access is not supported: the rule defines the window", "requested_access")
    client = body.get("client")
    if not isinstance(client, dict | None):
        raise bad_request("must be an object", "client")
    actor = (client or {}).get("actor")
    if actor is None:
        return
    # ARAP, "Delegation": a claimed chain that cannot be verified in full is refused.
    claimed: list[object] = []
    while isinstance(actor, dict) and actor:
        claimed.append(actor.get("id"))
        actor = actor.get("act")
    if claimed != [party.id for party in asked.call.actors]:
        raise bad_request("does not match the chain of actors that the tokens prove", "client.actor")
