"""What somebody does who may change APIServices: the API server sends a group to a server of theirs, and back.

Holds: the other server is a real one that the API server forwards to; it answers for grants whatever it was given, and
takes every write. Nobody who asks the API server for grants can tell the difference from an answer.
"""

import json
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlsplit

from bailiwick_api.kinds.meta import API_VERSION
from bailiwick_engine.approval.apiroutes import GRANTS_ROUTE, PATH
from localcluster.rest import Rest
from support.certificates import self_signed
from support.installation import accepted
from support.objects import Object
from support.waits import until_ok

_AUTOMANAGED: Final = "kube-aggregator.kubernetes.io/automanaged"
_SERVICE: Final = "elsewhere"


class OtherServer:
    """Answers for the group. `objects` are by path; a write of one, or of its status, is taken and answered.

    `seen` has the method and path of every request.
    """

    def __init__(self, folder: Path) -> None:
        self.objects: dict[str, Object] = {}
        self.seen: list[str] = []
        self._over = threading.Event()
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                status, said = owner.answer(self.command, self.path, body)
                written = json.dumps(said).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(written)))
                self.end_headers()
                self.wfile.write(written)

            do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = _answer  # noqa: N815 - as the base has them

            def log_message(self, format: str, *_: object) -> None:  # noqa: A002 - as the base has it
                """Say nothing."""

        certificate, key = self_signed(folder, "localhost")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.port: int = self._server.server_port

    def answer(self, method: str, target: str, body: bytes) -> tuple[int, Any]:
        """Return status and body."""
        path = urlsplit(target).path
        self.seen.append(f"{method} {path}")
        if path == f"/apis/{API_VERSION}":
            return 200, {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": API_VERSION, "resources": []}
        named = path.removesuffix("/status")
        if named not in self.objects:
            return 404, {"kind": "Status", "apiVersion": "v1", "code": 404, "reason": "NotFound", "message": "no"}
        if method == "PUT":
            written = json.loads(body)
            version = str(int(written["metadata"]["resourceVersion"]) + 1)
            self.objects[named] = {**written, "metadata": {**written["metadata"], "resourceVersion": version}}
        return 200, self.objects[named]

    def __enter__(self) -> Self:
        """Listen."""
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Listen no more."""
        self._server.shutdown()
        self._server.server_close()


class Routes:
    """The APIServices, to be tampered with by an administrator."""

    def __init__(self, admin: Rest) -> None:
        self._admin = admin

    def redirect(self, port: int, name: str = GRANTS_ROUTE) -> None:
        """Send a group to a server on this machine. The API server follows a moment later."""
        # Of this kind the API server asks no cluster network.
        service: Object = {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": _SERVICE, "namespace": "default"},
            "spec": {"type": "ExternalName", "externalName": "localhost", "ports": [{"port": port}]},
        }
        self._admin.delete(service)
        accepted(self._admin.create(service))
        spec = {
            "service": {"name": _SERVICE, "namespace": "default", "port": port},
            "insecureSkipTLSVerify": True,
        }
        stored = self._admin.get(f"{PATH}/{name}")
        if stored.ok:
            # Without the label, the API server takes it for somebody else's and leaves it alone.
            change = {"metadata": {"labels": {_AUTOMANAGED: None}}, "spec": spec}
            accepted(self._admin.patch(f"{PATH}/{name}", change, "merge"))
        else:
            version, _, group = name.partition(".")
            spec |= {"group": group, "version": version, "groupPriorityMinimum": 1000, "versionPriority": 1000}
            body = {"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": {"name": name}}
            accepted(self._admin.create({**body, "spec": spec}))

    def put_back(self, name: str = GRANTS_ROUTE) -> None:
        """Have the API server serve a group itself again, by the object that is there."""
        change = {"spec": {"service": None, "insecureSkipTLSVerify": None}}
        accepted(self._admin.patch(f"{PATH}/{name}", change, "merge"))

    def make_anew(self, name: str = GRANTS_ROUTE) -> None:
        """Delete one; the API server makes those that it needs anew, and this returns when it has."""
        self._admin.delete(f"{PATH}/{name}")
        if name == GRANTS_ROUTE:
            until_ok(lambda: self._admin.get(f"{PATH}/{name}"), f"{name} is there again")
            until_ok(lambda: self._admin.get(f"/apis/{API_VERSION}/approvalgrants"), "grants are served again")
