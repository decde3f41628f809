"""A small CRM API that asks Bailiwick before it acts: what a policy enforcement point looks like from inside.

It never decides anything itself. It says who calls (by handing on the caller's own token), what they want to do to
which customer and with which arguments, and does what the decision point answers. No answer means no.
"""

import argparse
import asyncio
import base64
import contextlib
import json
import ssl
import urllib.parse
import uuid
from pathlib import Path

import aiohttp
from aiohttp import web

CUSTOMERS = {
    "41": {"id": "41", "name": "Fern & Daughters", "email": "post@fern.example", "revenue": 120_000},
    "42": {"id": "42", "name": "Harbour Mills", "email": "office@harbour.example", "revenue": 910_000},
}


class Bailiwick:
    """The client side of the decision point, for one endpoint."""

    def __init__(
        self, url: str, endpoint: str, token_file: Path, ca_file: Path | None = None, name: str | None = None
    ) -> None:
        self._base = f"{url.rstrip('/')}/endpoints/{endpoint}/access/v1"
        self._name = name
        self._token_file = token_file
        self._tls = ssl.create_default_context(cafile=ca_file)
        self._session: aiohttp.ClientSession | None = None

    async def evaluate(self, call: dict, request_id: str) -> dict:
        """Ask for a decision; whatever is not one becomes a denial."""
        status, body = await self._send("POST", "evaluation", call, request_id)
        if status == 200 and isinstance(body.get("decision"), bool):
            return body
        return {"decision": False, "context": {"reason": "pdp_unavailable", "detail": body.get("detail", "")}}

    async def request(self, call: dict, reason: str, request_id: str) -> tuple[int, dict]:
        """Ask for an approval of a call, on behalf of the caller."""
        context = {**call["context"], "business_justification": reason}
        return await self._send("POST", "requests", {**call, "context": context}, request_id)

    async def task(self, task: str) -> tuple[int, dict]:
        """Read what became of a request; once approved it holds the approval that the caller shows."""
        return await self._send("GET", f"requests/{urllib.parse.quote(task, safe='')}", None, str(uuid.uuid4()))

    async def _send(self, method: str, path: str, body: dict | None, request_id: str) -> tuple[int, dict]:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10))
        headers = {"Authorization": f"Bearer {self._token_file.read_text().strip()}", "X-Request-ID": request_id}
        try:
            async with self._session.request(
                method, f"{self._base}/{path}", json=body, headers=headers, ssl=self._tls, server_hostname=self._name
            ) as response:
                return response.status, await response.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            return 503, {"detail": f"the decision point did not answer: {error}"}

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()


def call_of(request: web.Request, action: str, customer: str, args: dict | None = None) -> dict:
    """Describe a request in AuthZEN's words. The subject is only claimed here; its token is what proves it."""
    token = request.headers.get("Authorization", "").removeprefix("Bearer ").strip()
    context: dict = {"evidence": {"subject_token": token}}
    if args is not None:
        context["args"] = args
    if (shown := request.headers.get("X-Approval")) is not None:
        # As the task of the request held it (AuthZEN ARAP, `context.approval`): handed on, and never judged here.
        context["approval"] = parsed(shown)
    return {
        "subject": {"type": "serviceAccount", "id": claimed_subject(token)},
        "action": {"name": action},
        "resource": {"type": "customer", "id": customer},
        "context": context,
    }


def claimed_subject(token: str) -> str:
    """Read the subject out of a token without verifying it: the decision point does that."""
    try:
        payload = token.split(".")[1]
        return str(json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["sub"])
    except (IndexError, KeyError, ValueError):
        return "unknown"


def parsed(text: str) -> object:
    """Parse JSON that a caller sent."""
    try:
        return json.loads(text)
    except ValueError:
        raise refused(web.HTTPBadRequest, "bad_request") from None


async def read(request: web.Request) -> object:
    """Read a body."""
    return parsed(await request.text())


def arguments_of(body: object, name: str, kind: type) -> dict:
    """Return the arguments of a call, of which one must be of this kind."""
    if not isinstance(body, dict) or not isinstance(body.get(name), kind):
        raise refused(web.HTTPBadRequest, "bad_request")
    return body


def found(request: web.Request) -> dict:
    """Return the customer. Only after the decision: whoever may not read it must not learn whether it is there."""
    customer = CUSTOMERS.get(request.match_info["id"])
    if customer is None:
        raise refused(web.HTTPNotFound, "not_found")
    return customer


def refused(error: type[web.HTTPError], reason: str) -> web.HTTPError:
    return error(text=json.dumps({"reason": reason}), content_type="application/json")


class CrmApi:
    """The CRM itself: every handler asks first, and looks at a record only after that."""

    def __init__(self, bailiwick: Bailiwick) -> None:
        self._bailiwick = bailiwick

    def application(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/customers", self.list_customers)
        app.router.add_post("/customers/{id}/export", self.export)
        app.router.add_post("/customers/{id}/export/approval", self.ask_export)
        app.router.add_get("/approvals/{task}", self.approval)
        app.router.add_post("/customers/{id}/notify", self.notify)
        app.router.add_post("/customers/{id}/notify/approval", self.ask_notify)
        app.on_cleanup.append(lambda _: self._bailiwick.close())
        return app

    async def list_customers(self, request: web.Request) -> web.Response:
        denied = await self._denied(call_of(request, "customers.list", "*"))
        return denied or web.json_response([{"id": one["id"], "name": one["name"]} for one in CUSTOMERS.values()])

    async def export(self, request: web.Request) -> web.Response:
        args = arguments_of(await read(request), "fields", list)
        if (
            denied := await self._denied(call_of(request, "customers.export", request.match_info["id"], args))
        ) is not None:
            return denied
        customer = found(request)
        return web.json_response({field: customer.get(field) for field in map(str, args["fields"])})

    async def notify(self, request: web.Request) -> web.Response:
        args = arguments_of(await read(request), "text", str)
        if (
            denied := await self._denied(call_of(request, "customers.notify", request.match_info["id"], args))
        ) is not None:
            return denied
        found(request)
        return web.json_response({"sent": args["text"]})

    async def ask_export(self, request: web.Request) -> web.Response:
        return await self._ask(request, "customers.export")

    async def ask_notify(self, request: web.Request) -> web.Response:
        return await self._ask(request, "customers.notify")

    async def approval(self, request: web.Request) -> web.Response:
        status, answer = await self._bailiwick.task(request.match_info["task"])
        return web.json_response(answer, status=status)

    async def _ask(self, request: web.Request, action: str) -> web.Response:
        body = arguments_of(arguments_of(await read(request), "arguments", dict), "reason", str)
        call = call_of(request, action, request.match_info["id"], body["arguments"])
        status, answer = await self._bailiwick.request(call, body["reason"], str(uuid.uuid4()))
        return web.json_response(answer, status=status)

    async def _denied(self, call: dict) -> web.Response | None:
        """Return the refusal that the caller gets, or None where the call may go on."""
        answer = await self._bailiwick.evaluate(call, str(uuid.uuid4()))
        if answer["decision"] is True:
            return None
        unanswered = answer["context"]["reason"] == "pdp_unavailable"
        return web.json_response(answer["context"], status=503 if unanswered else 403)


async def serve(options: argparse.Namespace) -> None:
    api = CrmApi(Bailiwick(options.pdp, options.endpoint, options.token_file, options.ca_file, options.pdp_name))
    runner = web.AppRunner(api.application(), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, options.host, options.port).start()
    print(f"CRM API on http://{options.host}:{options.port}, asking {options.pdp}", flush=True)
    try:
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pdp", required=True, help="URL of the decision point")
    parser.add_argument("--endpoint", default="crm/crm-api", help="namespace/endpoint that this API is")
    parser.add_argument("--token-file", type=Path, required=True, help="our own token, for the audience bailiwick")
    parser.add_argument("--ca-file", type=Path, help="authority of the decision point (default: this system's)")
    parser.add_argument("--pdp-name", help="name that its certificate is for, where --pdp is a forwarded port")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(parser.parse_args()))
