"""The API server, asked as one person.

The client of Kubernetes opens the connections; what goes over them is plain JSON, since the kinds are ours and their
patches need media types that the client would choose.

Paths, pages, media types and what an answer means are those of `bailiwick_kube`, as for the two processes. Its
connections are not: they can neither run an exec plugin nor show a client certificate, and need an event loop.

Holds: imported by a command only once it needs a cluster; every failure is a `UserError` in one line. An answer, and a
list of many, takes a bounded number of bytes, whatever sends it.
"""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple
from urllib.parse import urlencode

import urllib3
from kubernetes.client import ApiClient, Configuration

from bailiwick_api.kinds.meta import API_VERSION, APPROVAL_GRANTS, ENDPOINT_HISTORIES, ENDPOINT_POLICIES
from bailiwick_api.serverclock import ServerClock, read_date
from bailiwick_governance.errors import ApiError, UserError
from bailiwick_kube.bodies import encode_body
from bailiwick_kube.lists import PAGE, continuation, larger_page, smaller_page
from bailiwick_kube.paths import object_path
from bailiwick_kube.responses import ApiResponse, is_success, parse_response
from bailiwick_kube.transport import APPLY, JSON, JSON_PATCH, MERGE_PATCH

Object = dict[str, Any]

_PROGRAM: Final = "kubectl-bailiwick"
TIMEOUT_SECONDS: Final = 30.0
"""How long a request may take, unless the person says otherwise."""
_NOT_THERE: Final = {HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND}
_PATCHES: Final = {"json": JSON_PATCH, "merge": MERGE_PATCH}
_MIB: Final = 1024 * 1024
_CHUNK: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class AnswerBounds:
    """The most bytes of one answer, of one event of a watch, and of all pages of a list; and the most pages of it."""

    answer: int = 64 * _MIB
    event: int = 16 * _MIB
    all_pages: int = 1024 * _MIB
    pages: int = 10_000


DEFAULT_BOUNDS: Final = AnswerBounds()


class TooLongAnswerError(UserError):
    """The answer has more bytes than one may have."""


class Event(NamedTuple):
    """One change that a watch tells of. GONE: the server has forgotten where we were; list again."""

    type: Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK", "GONE"]
    object: Object


class ClusterClient:
    """One API server, as somebody. `namespace` is that of the flags, else (`assumed`) of the context.

    `bearer` returns the token to ask with, in place of whatever the client's configuration has.
    """

    def __init__(
        self,
        client: ApiClient,
        namespace: str,
        acting: urllib3.HTTPHeaderDict,
        timeout: float,
        *,
        assumed: bool,
        bearer: Callable[[], str] | None = None,
        bounds: AnswerBounds = DEFAULT_BOUNDS,
    ) -> None:
        self.namespace = namespace
        self.server = str(client.configuration.host)
        self._assumed = assumed
        self._client = client
        self._acting = acting
        self._timeout = timeout or None
        self._fetching = threading.Lock()
        self._bearer = bearer
        self._bounds = bounds
        self.clock = ServerClock()
        """Our clock beside the API server's, as far as its answers tell."""

    @property
    def impersonates(self) -> bool:
        """Whether what is asked is asked as somebody else than the kubeconfig's own user."""
        return bool(self._acting)

    def get(self, path: str, **query: str) -> Object:
        """Read an object or a list."""
        return self._json("GET", path, query=query)

    def create(self, path: str, body: Object) -> Object:
        """Create an object, or ask a review."""
        return self._json("POST", path, body=body)

    def patch(self, path: str, body: Object | list[Object], kind: Literal["json", "merge"]) -> Object:
        """Change an object."""
        return self._json("PATCH", path, body=body, media=_PATCHES[kind])

    def try_apply(self, path: str, body: Object) -> Object:
        """Apply an object (server-side) without any effect: return what it would become."""
        query = {"dryRun": "All", "fieldManager": _PROGRAM, "fieldValidation": "Strict", "force": "true"}
        return self._json("PATCH", path, query=query, body=body, media=APPLY)

    def list_all(self, path: str, **query: str) -> tuple[list[Object], str]:
        """Read a whole list, in pages; returns its items and its resourceVersion."""
        items: list[Object] = []
        more: dict[str, str] = {}
        limit, size = PAGE, 0
        for _ in range(self._bounds.pages):
            response = self._send("GET", path, query={"limit": str(limit), **query, **more}, timeout=self._timeout)
            try:
                raw = self._read(response)
            except TooLongAnswerError:
                if limit == 1:
                    raise
                # Large objects only make pages smaller.
                limit = smaller_page(limit)
                continue
            limit = larger_page(limit)
            size += len(raw)
            if size > self._bounds.all_pages:
                break
            page = self._parse(raw)
            # Null where a list has none. What answers anything with some object would be a cluster without policies.
            found = page.get("items", "")
            if not isinstance(found, list | None):
                raise self._no_api_server()
            items += found or []
            if not (token := continuation(page)):
                return items, str((page.get("metadata") or {}).get("resourceVersion", ""))
            more = {"continue": token}
        raise UserError(
            f"{self.server} lists more than {_spelled(self._bounds.all_pages)} or {self._bounds.pages} pages at {path}:"
            " ask for less, such as for one namespace, or check the server address in your kubeconfig"
        )

    def watch(self, path: str, version: str, seconds: float, **query: str) -> Iterator[Event]:
        """Yield changes after a version, for at most so many seconds; then it just ends."""
        asked = {"watch": "1", "allowWatchBookmarks": "true", "resourceVersion": version, **query}
        asked["timeoutSeconds"] = str(max(1, int(seconds)))
        response = self._send("GET", path, query=asked, timeout=seconds + TIMEOUT_SECONDS)
        try:
            for line in self._lines(response):
                event = self._parse(line)
                if event["type"] == "ERROR":
                    if event["object"].get("code") == HTTPStatus.GONE:
                        yield Event("GONE", {})
                        return
                    raise ApiError(str(event["object"].get("message")), int(event["object"].get("code") or 500))
                yield Event(event["type"], event["object"])
        except urllib3.exceptions.HTTPError:
            # A watch that breaks is begun again by its reader.
            return
        finally:
            response.close()

    def _json(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: object = None,
        media: str = JSON,
    ) -> Object:
        response = self._send(method, path, query=query, body=body, media=media, timeout=self._timeout)
        return self._parse(self._read(response))

    def _parse(self, raw: bytes) -> Object:
        try:
            found = json.loads(raw)
        except (ValueError, RecursionError) as error:
            raise self._no_api_server() from error
        if not isinstance(found, dict):
            raise self._no_api_server()
        return found

    def _no_api_server(self) -> UserError:
        return UserError(
            f"{self.server} did not answer like a Kubernetes API server: check the server address in your kubeconfig"
        )

    def _read(self, response: urllib3.BaseHTTPResponse) -> bytes:
        """Read an answer to its end, unpacked. Raises `TooLongAnswerError` before it holds more than it may."""
        found = bytearray()
        try:
            for chunk in response.stream(_CHUNK):
                found += chunk
                if len(found) > self._bounds.answer:
                    # The rest would have to be read before the connection could be used again.
                    response.close()
                    raise self._too_long(self._bounds.answer)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            response.close()
            raise self._unanswered(error) from error
        return bytes(found)

    def _lines(self, response: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
        rest = b""
        for chunk in response.stream(_CHUNK):
            *whole, rest = (rest + chunk).split(b"\n")
            if len(rest) > self._bounds.event:
                raise self._too_long(self._bounds.event)
            yield from (line for line in whole if line)

    def _too_long(self, most: int) -> TooLongAnswerError:
        return TooLongAnswerError(
            f"{self.server} sends more than {_spelled(most)} at once, which an API server does not: check the server"
            " address in your kubeconfig"
        )

    def _unanswered(self, error: Exception) -> UserError:
        return UserError(f"the API server {self.server} does not answer: {_why(error)}")

    def _send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: object = None,
        media: str = JSON,
        timeout: float | None,
    ) -> urllib3.BaseHTTPResponse:
        """Send a request, and return when the head of its answer has arrived. A refusal is read, and raised."""
        configuration = self._client.configuration
        headers = urllib3.HTTPHeaderDict(self._acting)
        headers["Accept"] = JSON
        headers["User-Agent"] = _PROGRAM
        headers.extend(self._credentials())
        if body is not None:
            headers["Content-Type"] = media
        began = self.clock.monotonic()
        try:
            response = self._client.rest_client.pool_manager.request(
                method,
                f"{configuration.host}{path}{'?' + urlencode(query) if query else ''}",
                body=None if body is None else encode_body(body),
                headers=headers,
                timeout=urllib3.Timeout(connect=min(timeout or 10.0, 10.0), read=timeout),
                retries=False,
                redirect=False,
                preload_content=False,
            )
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise self._unanswered(error) from error
        self.clock.record_answer(read_date(response.headers.get("Date")), began)
        if not is_success(response.status):
            refusal = _refusal(parse_response(response.status, self._read(response)), configuration.host, path)
            raise self._add_namespace(refusal, path)
        return response

    def _credentials(self) -> dict[str, str]:
        """Return the headers that say who asks; a token that is over is fetched again. Raises `UserError`.

        One at a time: a plugin is run once, and no thread reads a token that another thread is about to replace.
        """
        if self._bearer is not None:
            return {"Authorization": f"Bearer {self._bearer()}"}
        configuration = self._client.configuration
        with self._fetching:
            try:
                return {auth["key"]: auth["value"] for auth in configuration.auth_settings().values()}
            except Exception as error:
                # Whatever it is: a plugin of the kubeconfig, or a library of a cloud, has raised it.
                raise UserError(f"cannot get a token for {configuration.host}: {_why(error)}") from error

    def _add_namespace(self, refusal: ApiError, path: str) -> ApiError:
        """Name the namespace that was assumed: a forgotten -n is the commonest mistake."""
        known = refusal.status in _NOT_THERE and f"/namespaces/{self.namespace}/" in path
        if not (self._assumed and known):
            return refusal
        where = f"in {self.namespace}, the namespace of your context; use -n to choose another"
        return ApiError(f"{refusal} ({where})", refusal.status, refusal.reason, refusal.causes)


def client_of_token(
    server: str, ca_file: Path | None, bearer: Callable[[], str], bounds: AnswerBounds = DEFAULT_BOUNDS
) -> ClusterClient:
    """Return this API server, asked with the token that `bearer` returns before each request. Reads no kubeconfig."""
    configuration = Configuration()
    configuration.host = server
    configuration.ssl_ca_cert = None if ca_file is None else str(ca_file)
    # Neither a proxy of the environment nor anything else of it has a say in where a person's token goes.
    configuration.proxy = None
    client = ApiClient(configuration)
    acting = urllib3.HTTPHeaderDict()
    return ClusterClient(client, "", acting, TIMEOUT_SECONDS, assumed=False, bearer=bearer, bounds=bounds)


def grants_path(namespace: str | None, name: str = "") -> str:
    """Return the path of a namespace's grants, or of one; without a namespace of all."""
    return _path(APPROVAL_GRANTS, namespace, name)


def policies_path(namespace: str | None, name: str = "") -> str:
    """Return the path of a namespace's policies, or of one; without a namespace of all."""
    return _path(ENDPOINT_POLICIES, namespace, name)


def histories_path(namespace: str | None, name: str = "") -> str:
    """Return the path of a namespace's EndpointHistory objects, or of one."""
    return _path(ENDPOINT_HISTORIES, namespace, name)


def _path(plural: str, namespace: str | None, name: str) -> str:
    within = None if namespace is None else _segment(namespace)
    return object_path(API_VERSION, plural, within, name and _segment(name))


def _segment(text: str) -> str:
    # What somebody typed is refused in words, before it is asked for in vain.
    # Of dots alone, it would lead to another path.
    if not text.strip(".") or not all(one.isascii() and (one.isalnum() or one in "-.") for one in text):
        raise UserError(f"{text!r} is not a valid object name: use only a-z, 0-9, - and .")
    return text


def _spelled(size: int) -> str:
    return f"{size // _MIB} MiB"


def _refusal(response: ApiResponse, host: str, path: str) -> ApiError:
    if "message" in response.body:
        message = response.message
        unknown = "could not find the requested resource" in message
    else:
        # A group of which no kind is known is answered with a line of text.
        message = f"{host} answered {response.status}"
        unknown = path.startswith(f"/apis/{API_VERSION}")
    match response.status:
        case HTTPStatus.UNAUTHORIZED:
            message = f"{host} did not authenticate you ({message}): log in again, or choose another --context"
        case HTTPStatus.NOT_FOUND if unknown:
            message = f"{host} does not serve {API_VERSION}: Bailiwick is not installed in this cluster"
    return ApiError(message, response.status, response.reason, tuple(_causes(response.body)))


def _causes(body: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the fields that a Status object names, each with why."""
    for cause in (body.get("details") or {}).get("causes") or ():
        field, message = cause.get("field"), cause.get("message")
        if message:
            # Of an object as a whole the server writes no path.
            yield ("" if field in {None, "<nil>"} else str(field), str(message))


def _why(error: Exception) -> str:
    """Return the innermost cause, which is what a person can do something about."""
    cause: BaseException = error
    while (inner := cause.__cause__ or getattr(cause, "reason", None)) and isinstance(inner, BaseException):
        cause = inner
    return " ".join(str(cause).split()) or type(cause).__name__
