"""The edge: what every decision path does first, from a request to a call with proven parties.

Holds: who asks is authenticated before the body is read; URLs in answers come from the setting, never from `Host`.
"""

from typing import NamedTuple

import orjson
from aiohttp import web

from bailiwick_engine.call import Call
from bailiwick_engine.reasons import Reason
from bailiwick_webhook.asked import Asked
from bailiwick_webhook.http import authzen
from bailiwick_webhook.http.answers import request_id
from bailiwick_webhook.http.authzen import Evaluation
from bailiwick_webhook.http.body import read_object
from bailiwick_webhook.http.problems import unauthenticated, unavailable
from bailiwick_webhook.identity.proof import Identity
from bailiwick_webhook.identity.subject import Parties
from bailiwick_webhook.identity.tokens import Proven, Refused
from bailiwick_webhook.pdp import Pdp
from bailiwick_webhook.tracing import traceparent

Verified = dict[bytes, Parties]
"""Parties of the items of one body, by what was said and shown of them."""


class Tenant(NamedTuple):
    """Whose endpoint is asked about."""

    namespace: str
    endpoint: str


class Edge:
    """Reads requests of one decision point."""

    def __init__(self, pdp: Pdp, identity: Identity, external_url: str) -> None:
        self.pdp = pdp
        self.identity = identity
        self._external_url = external_url

    async def asked(self, request: web.BaseRequest, of: Tenant) -> tuple[Asked, Evaluation]:
        """Read an evaluation. Raises `ProblemError`."""
        caller = await self.caller(request)
        parsed = authzen.parse(await read_object(request))
        return await self.call(of, caller, parsed, request_id(request)), parsed

    async def call(
        self,
        of: Tenant,
        caller: Proven,
        parsed: Evaluation,
        own_id: str | None,
        *,
        verified: Verified | None = None,
        searching: bool = False,
    ) -> Asked:
        """Return what is asked, with its parties proven. `verified` keeps what one body shows more than once."""
        namespace, endpoint = of
        settings = self.pdp.settings(namespace, endpoint, caller.account)
        kept = {} if verified is None else verified
        shown = b"" if verified is None else orjson.dumps(tuple(parsed.subject))
        parties = kept.get(shown)
        if parties is None:
            parties = kept[shown] = await self.identity.verify(parsed.subject, caller, settings)
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
        call = await self.pdp.with_workloads(call, self.identity.workload, searching=searching)
        explain = parsed.explain and await self.pdp.may_explain(caller.account, namespace)
        trace = traceparent(request.headers.get("traceparent"))
        return Asked(call, own_id, live_identity=parties.live and caller.live, explain=explain, trace=trace)

    async def caller(self, request: web.BaseRequest) -> Proven:
        """Return who asks. Raises `ProblemError` (401, 503)."""
        match await self.identity.caller(request.headers.get("Authorization", "")):
            case None:
                raise unauthenticated(
                    "Send a service-account token for the audience bailiwick as Authorization: Bearer."
                )
            case Proven() as proven:
                return proven
            case Refused(Reason.IDENTITY_UNVERIFIABLE):
                raise unavailable("The caller's token cannot be verified at the moment; ask again.")
            case Refused():
                raise unauthenticated("The token is not a current service-account token for the audience bailiwick.")

    def base(self, of: Tenant) -> str:
        """Return the endpoint's own base URL."""
        return f"{self._external_url}/endpoints/{of.namespace}/{of.endpoint}"


def tenant(request: web.Request) -> Tenant:
    """Return namespace and endpoint of the path."""
    return Tenant(request.match_info["namespace"], request.match_info["endpoint"])
