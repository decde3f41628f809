"""The operator's only client of the API server, but for kopf's watches: raw JSON out, an `KubeResponse` back.

Holds: every call has a time limit; no call is repeated here; an answer is a value whatever its status, only the lack
of one raises (`UnreachableError`); a write is sent only while the lease holds; every answer tells the time (`clock`).
"""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, Literal
from urllib.parse import urlencode

import aiohttp
from kubernetes.aio.client import ApiClient, Configuration
from kubernetes.aio.client.exceptions import ApiException
from kubernetes.aio.client.rest import RESTClientObject, RESTResponse

from bailiwick_api.access import Access, AccessError
from bailiwick_api.bodies import encoded
from bailiwick_api.meta import API_VERSION, APPROVAL_GRANTS, ENDPOINT_POLICIES, GROUP, VERSION
from bailiwick_api.serverclock import ServerClock, read_date

FIELD_MANAGER: Final = "bailiwick-operator"
POLICIES_PATH: Final = f"/apis/{GROUP}/{VERSION}/{ENDPOINT_POLICIES}"
GRANTS_PATH: Final = f"/apis/{GROUP}/{VERSION}/{APPROVAL_GRANTS}"
_APPLY: Final = "application/apply-patch+yaml"
_JSON_PATCH: Final = "application/json-patch+json"
_PAGE: Final = 500
# For calls of the election library, which has no limit of its own; every call of ours has one.
_LONGEST_SECONDS: Final = 300.0

Object = dict[str, Any]
Kind = Literal["EndpointPolicy", "ApprovalGrant"]
Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]


class UnreachableError(Exception):
    """The API server gave no answer, or we have no token to ask with."""


class RefusedError(Exception):
    """The API server answered a read that must succeed with an error; the message is its own."""


@dataclass(frozen=True, slots=True)
class KubeResponse:
    """What the API server said. `body` is empty where it was not a JSON object."""

    status: int
    body: Object

    @property
    def ok(self) -> bool:
        """Whether it did what was asked."""
        return HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES

    @property
    def missing(self) -> bool:
        """Whether there is no such object, or no such kind."""
        return self.status == HTTPStatus.NOT_FOUND

    @property
    def conflict(self) -> bool:
        """Whether the object is not, or no longer, the one that the call was about."""
        return self.status == HTTPStatus.CONFLICT

    @property
    def message(self) -> str:
        """Its words, for a person."""
        return str(self.body.get("message") or f"status {self.status}")


@dataclass(frozen=True, slots=True)
class KubeList:
    """A whole collection, as it was at `version`."""

    items: tuple[Object, ...]
    version: int


class _Connections(RESTClientObject):
    """The connections of the client, the election library's calls included. `clock` is told the time of each answer.

    The library's own request writes bodies as ASCII, which a server-side apply does not read (see `bodies`).
    """

    def __init__(self, configuration: Configuration, clock: ServerClock) -> None:
        super().__init__(configuration)
        self._clock = clock

    async def request(
        self,
        method: str,
        url: str,
        headers: dict[str, str] | None = None,
        body: object = None,
        post_params: object = None,  # noqa: ARG002 - likewise
        _request_timeout: float | None = None,
    ) -> RESTResponse:
        if self.pool_manager is None:
            self.pool_manager = self._create_pool_manager()
        sent = {"Content-Type": "application/json", **(headers or {})}
        data = None if body is None else encoded(body)
        limits = aiohttp.ClientTimeout(total=_request_timeout or _LONGEST_SECONDS)
        began = self._clock.monotonic()
        response = await self.pool_manager.request(method, url, headers=sent, data=data, timeout=limits)
        self._clock.heard(read_date(response.headers.get("Date")), began)
        return RESTResponse(response)


class Kube:
    """Calls as the operator's service account. Close it when done.

    `may_write` is asked before every write: a process that slept through its lease must not wake up writing. `clock` is
    told the time of every answer.
    """

    def __init__(
        self,
        access: Access,
        timeout: float,
        may_write: Callable[[], bool] = lambda: True,
        clock: ServerClock | None = None,
    ) -> None:
        self._access = access
        self._timeout = timeout
        self._may_write = may_write
        configuration = Configuration(host=access.server, ca_cert_data=access.ca_data)
        # Straight to the API server, as kopf does it; a proxy that the environment names is for the outside.
        configuration.client_session_kwargs = {"trust_env": False}
        if access.ca_file is not None:
            configuration.ssl_ca_cert = str(access.ca_file)
        configuration.api_key["BearerToken"] = "set before each call by the hook"
        # Typed by its default alone, None.
        configuration.refresh_api_key_hook = self._refresh  # type: ignore[assignment]
        self.clock: Final = clock or ServerClock()
        """Ours beside the API server's."""
        self.client: Final = ApiClient(configuration)
        """For the election library, which wants one; it asks for the token as we do."""
        self.client.rest_client = _Connections(configuration, self.clock)

    async def close(self) -> None:
        """Close the connections."""
        await self.client.close()  # type: ignore[no-untyped-call]

    async def get(self, path: str, query: Mapping[str, str] | None = None) -> KubeResponse:
        """Read. Without a resourceVersion in the query it is a consistent read."""
        return await self._request("GET", path, query)

    async def version(self, path: str) -> int:
        """Return the present resourceVersion of a collection. Raises `RefusedError`."""
        return _version(await self._read(path, {"limit": "1"}))

    async def list(self, path: str, selector: Mapping[str, str] | None = None) -> KubeList:
        """Read a whole collection, in pages of one moment. Raises `RefusedError`, also when it took too long (410)."""
        query = {"limit": str(_PAGE), **(selector or {})}
        body = await self._read(path, query)
        version, items = _version(body), list(body.get("items") or ())
        while token := body["metadata"].get("continue"):
            body = await self._read(path, query | {"continue": token})
            items += body.get("items") or ()
        return KubeList(tuple(items), version)

    async def create(self, path: str, body: Object, *, dry_run: bool = False) -> KubeResponse:
        """Create in a collection."""
        return await self._write("POST", path, _options(dry_run=dry_run), body)

    async def replace(self, path: str, body: Object) -> KubeResponse:
        """Put an object in the place of the one whose resourceVersion it carries."""
        return await self._write("PUT", path, _options(), body)

    async def patch(self, path: str, patch: Sequence[Object], *, dry_run: bool = False) -> KubeResponse:
        """Send a JSON patch (RFC 6902)."""
        return await self._write("PATCH", path, _options(dry_run=dry_run), patch, _JSON_PATCH)

    async def delete(self, path: str, *, dry_run: bool = False) -> KubeResponse:
        """Delete one object."""
        return await self._write("DELETE", path, {"dryRun": "All"} if dry_run else {}, None)

    async def delete_grant(self, judged: Object) -> KubeResponse:
        """Delete a grant, only if it is still the very version that was judged (else 409)."""
        metadata = judged["metadata"]
        path = f"/apis/{API_VERSION}/namespaces/{metadata['namespace']}/{APPROVAL_GRANTS}/{metadata['name']}"
        preconditions = {"uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"]}
        body = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": preconditions}
        return await self._write("DELETE", path, {}, body)

    async def apply_status(self, kind: Kind, judged: Object, status: Object) -> KubeResponse:
        """Server-side apply of our fields of the status, only upon the very version that was judged (else 409)."""
        plural = ENDPOINT_POLICIES if kind == "EndpointPolicy" else APPROVAL_GRANTS
        metadata = {key: judged["metadata"][key] for key in ("namespace", "name", "uid", "resourceVersion")}
        path = f"/apis/{API_VERSION}/namespaces/{metadata['namespace']}/{plural}/{metadata['name']}/status"
        body = {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "status": status}
        return await self._write("PATCH", path, _options() | {"force": "true"}, body, _APPLY)

    async def apply_fields(self, path: str, judged: Object, fields: Object, manager: str) -> KubeResponse:
        """Server-side apply of fields as a manager of their own, only upon the very version that was judged (else 409).

        Without that an apply would make the object where it is gone.
        """
        metadata = {key: judged["metadata"][key] for key in ("name", "uid", "resourceVersion")}
        body = {"apiVersion": judged["apiVersion"], "kind": judged["kind"], "metadata": metadata, **fields}
        return await self._write("PATCH", path, {"fieldManager": manager, "force": "true"}, body, _APPLY)

    async def _read(self, path: str, query: Mapping[str, str]) -> Object:
        answer = await self.get(path, query)
        if not answer.ok:
            message = f"GET {path}: {answer.message}"
            raise RefusedError(message)
        return answer.body

    async def _write(
        self, method: Method, path: str, query: Mapping[str, str], body: object, content_type: str = "application/json"
    ) -> KubeResponse:
        if not self._may_write():
            message = "the lease is over: nothing is written any more"
            raise UnreachableError(message)
        return await self._request(method, path, query, body, content_type)

    async def _request(
        self,
        method: Method,
        path: str,
        query: Mapping[str, str] | None = None,
        body: object = None,
        content_type: str = "application/json",
    ) -> KubeResponse:
        url = self._access.server + path + (f"?{urlencode(query)}" if query else "")
        try:
            headers = {
                "Accept": "application/json",
                "Content-Type": content_type,
                "Authorization": f"Bearer {self._access.token()}",
                "User-Agent": FIELD_MANAGER,
            }
            async with asyncio.timeout(self._timeout):
                response = await self.client.call_api(method, url, headers, body)
                data: bytes = await response.read()  # type: ignore[no-untyped-call]
        except AccessError as error:
            raise UnreachableError(str(error)) from error
        except (aiohttp.ClientError, ApiException, TimeoutError, OSError) as error:
            what = f"no answer within {self._timeout:g} s" if isinstance(error, TimeoutError) else str(error)
            message = f"{method} {path}: {what or type(error).__name__}"
            raise UnreachableError(message) from error
        return KubeResponse(response.status, _json(data))

    def _refresh(self, configuration: Configuration) -> None:
        configuration.api_key["BearerToken"] = f"Bearer {self._access.token()}"


def _options(*, dry_run: bool = False) -> dict[str, str]:
    return {"fieldManager": FIELD_MANAGER} | ({"dryRun": "All"} if dry_run else {})


def _version(body: Object) -> int:
    return int(body["metadata"]["resourceVersion"])


def _json(data: bytes) -> Object:
    try:
        body = json.loads(data)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
