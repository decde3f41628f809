"""A small CRM API that asks Bailiwick before it acts: what a policy enforcement point looks like from inside.

It never decides anything itself. Each handler says what it does to which customer, and runs only where the decision
point allows it: for this caller, with these arguments, now. No answer means no.
"""

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from aiohttp import web

from bailiwick import AsyncBailiwick, ServiceAccountFile
from bailiwick.aiohttp import guarded, install
from bailiwick.transports.aiohttp import AiohttpTransport

CUSTOMERS = {
    "41": {"id": "41", "name": "Fern & Daughters", "email": "post@fern.example", "revenue": 120_000},
    "42": {"id": "42", "name": "Harbour Mills", "email": "office@harbour.example", "revenue": 910_000},
}


def application(pdp: AsyncBailiwick) -> web.Application:
    routes = web.RouteTableDef()

    @routes.get("/customers")
    @guarded(pdp, "customers.list", resource=("customer", "*"))
    async def list_customers(_: web.Request) -> web.Response:
        return web.json_response([{"id": one["id"], "name": one["name"]} for one in CUSTOMERS.values()])

    @routes.post("/customers/{id}/export")
    @guarded(pdp, "customers.export", resource=("customer", "{id}"), args=having("fields", list))
    async def export(request: web.Request) -> web.Response:
        customer, args = found(request), await request.json()
        return web.json_response({field: customer.get(field) for field in map(str, args["fields"])})

    @routes.post("/customers/{id}/notify")
    @guarded(pdp, "customers.notify", resource=("customer", "{id}"), args=having("text", str))
    async def notify(request: web.Request) -> web.Response:
        found(request)
        return web.json_response({"sent": (await request.json())["text"]})

    app = web.Application()
    app.add_routes(routes)
    install(app, pdp, approvals="/approvals")
    return app


def having(name: str, kind: type) -> Callable[[Mapping[str, Any]], Mapping[str, Any]]:
    def arguments(body: Mapping[str, Any]) -> Mapping[str, Any]:
        if not isinstance(body.get(name), kind):
            raise ValueError(f"{name} must be a {kind.__name__}")  # noqa: TRY004 - what 400 is made of
        return body

    return arguments


def found(request: web.Request) -> dict[str, Any]:
    # Only after the decision: whoever may not read a customer must not learn whether it is there.
    if (customer := CUSTOMERS.get(request.match_info["id"])) is None:
        raise web.HTTPNotFound(text='{"reason": "not_found"}', content_type="application/json")
    return customer


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pdp", required=True, help="URL of the decision point")
    parser.add_argument("--endpoint", default="crm/crm-api", help="namespace/endpoint that this API is")
    parser.add_argument("--token-file", type=Path, required=True, help="our own token, for the audience bailiwick")
    parser.add_argument("--ca-file", type=Path, help="authority of the decision point (default: this system's)")
    parser.add_argument("--pdp-name", help="name that its certificate is for, where --pdp is a forwarded port")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    said = parser.parse_args()
    client = AsyncBailiwick(
        said.pdp,
        endpoint=said.endpoint,
        token=ServiceAccountFile(said.token_file),
        transport=AiohttpTransport(ca=said.ca_file, tls_name=said.pdp_name),
    )
    web.run_app(application(client), host=said.host, port=said.port, access_log=None)
