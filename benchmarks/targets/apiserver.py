"""A stand-in for the API server: serves one folder's policies to the real process, and confirms every token.

Standing: a process of its own, `python -m benchmarks.targets.apiserver`, so that what is measured is the product as it
runs in a cluster, and nothing in it is replaced. It answers only what the decision point asks for at start and every
ten seconds, and tells of the changes that are posted to `EVENTS`; nothing else that is measured waits for it. It serves
no purpose but this one: it believes every token.
"""

import argparse
import asyncio
import base64
import contextlib
import json
import ssl
from pathlib import Path
from typing import Any, Final

import orjson
from aiohttp import web  # noqa: TID251 - a stand-in for a server

_BOOKMARK_SECONDS: Final = 10.0
_VERSION: Final = "1"
EVENTS: Final = "/bench/events"
_POLICIES: Final = "endpointpolicies"
_GRANTS: Final = "approvalgrants"


def token(username: str, audience: str) -> str:
    """Return something of the shape and size of a service account's token. Nobody signed it."""
    claims = {"sub": username, "aud": [audience], "iss": "https://kubernetes.default.svc.cluster.local", "exp": 2**32}
    namespace, name = username.split(":")[2:]
    claims |= {
        "kubernetes.io": {
            "namespace": namespace,
            "pod": {"name": f"{name}-7c9d8b6f5-x2x4z", "uid": "6d0f3c1e-8a52-4f7e-9f3b-0d1c2b3a4e5f"},
            "serviceaccount": {"name": name, "uid": _uid(username)},
        }
    }
    parts = (json.dumps({"alg": "RS256", "kid": "x" * 43}).encode(), json.dumps(claims).encode(), b"s" * 256)
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


def _uid(username: str) -> str:
    """Of the account, the same in its token and in the review of it: the decision point holds one against the other."""
    return f"uid-of-{username.rpartition(':')[2]}"


class _Server:
    def __init__(self, files: dict[str, Path]) -> None:
        self._lists = {
            name: orjson.loads(path.read_bytes()) if (path := files.get(name)) is not None and path.exists() else []
            for name in (_POLICIES, _GRANTS)
        }
        self._watching: dict[str, list[asyncio.Queue[bytes]]] = {_POLICIES: [], _GRANTS: []}

    async def collection(self, request: web.Request) -> web.StreamResponse:
        """Answer a list, page by page, or hold a watch open."""
        kind = request.path.rpartition("/")[2]
        if request.query.get("watch") == "true":
            return await self._watch(request, kind)
        objects = self._lists.get(kind, [])
        start, limit = int(request.query.get("continue", "0")), int(request.query.get("limit", "500"))
        metadata = {"resourceVersion": _VERSION}
        if start + limit < len(objects):
            metadata["continue"] = str(start + limit)
        return _json({"metadata": metadata, "items": objects[start : start + limit]})

    async def events(self, request: web.Request) -> web.StreamResponse:
        """Tell whoever watches policies, or grants (`of=grants`), of changes: one event a line, as a watch has them."""
        told = await request.read()
        watching = self._watching[_GRANTS if request.query.get("of") == "grants" else _POLICIES]
        for queue in watching:
            queue.put_nowait(told)
        return _json({"watching": len(watching)})

    async def _watch(self, request: web.Request, kind: str) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        bookmark = orjson.dumps({"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": _VERSION}}}) + b"\n"
        until = asyncio.get_running_loop().time() + int(request.query.get("timeoutSeconds", "300"))
        queue: asyncio.Queue[bytes] = asyncio.Queue()
        watching = self._watching.get(kind, [])
        watching.append(queue)
        try:
            while asyncio.get_running_loop().time() < until:
                await response.write(bookmark)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_BOOKMARK_SECONDS):
                        while True:
                            await response.write(await queue.get())
        finally:
            watching.remove(queue)
        return response

    @staticmethod
    async def review(request: web.Request) -> web.StreamResponse:
        """Confirm a token: whatever it says of itself is taken for true."""
        spec = orjson.loads(await request.read())["spec"]
        payload = spec["token"].split(".")[1]
        username = orjson.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["sub"]
        user = {"username": username, "uid": _uid(username)}
        return _json({"status": {"authenticated": True, "audiences": spec["audiences"], "user": user}}, 201)

    @staticmethod
    async def whoami(_: web.Request) -> web.StreamResponse:
        """Take whoever asks for an owner."""
        return _json({"status": {"userInfo": {"username": "carol", "groups": ["crm-owners"]}}}, 201)

    @staticmethod
    async def may(_: web.Request) -> web.StreamResponse:
        """Let whoever asks do anything."""
        return _json({"status": {"allowed": True}}, 201)


def _json(body: Any, status: int = 200) -> web.Response:  # noqa: ANN401 - any JSON value
    return web.Response(status=status, body=orjson.dumps(body), content_type="application/json")


def main() -> None:
    """Serve until the process is ended."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--policies", type=Path, required=True)
    parser.add_argument("--grants", type=Path)
    parser.add_argument("--certificate", type=Path, required=True)
    parser.add_argument("--key", type=Path, required=True)
    options = parser.parse_args()
    files = {_POLICIES: options.policies} | ({_GRANTS: options.grants} if options.grants else {})
    server = _Server(files)
    app = web.Application(client_max_size=2**24)
    app.router.add_post(EVENTS, server.events)
    app.router.add_post("/apis/authentication.k8s.io/v1/tokenreviews", server.review)
    app.router.add_post("/apis/authentication.k8s.io/v1/selfsubjectreviews", server.whoami)
    app.router.add_post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", server.may)
    app.router.add_get("/{path:.*}", server.collection)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(options.certificate, options.key)
    web.run_app(app, host="127.0.0.1", port=options.port, ssl_context=context, access_log=None, print=None)


if __name__ == "__main__":
    main()
