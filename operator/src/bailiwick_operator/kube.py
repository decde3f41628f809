"""The operator's only client of the API server, except kopf's watches: raw JSON out, an `ApiResponse` back.

Holds: an answer is a value with any status, and only a missing answer raises (`UnreachableError`); nothing is retried
here (see `bailiwick_kube`); a write is sent only while the lease is valid.
"""

import json
import random
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

from bailiwick_api.kinds.meta import API_VERSION
from bailiwick_kube.lists import ListPage, RefusedListError, pages
from bailiwick_kube.paths import data_path, grants_path, histories_path, policies_path, revocations_path
from bailiwick_kube.responses import ApiResponse, is_success
from bailiwick_kube.transport import (
    APPLY,
    JSON,
    JSON_PATCH,
    METADATA,
    METADATA_LIST,
    ApiRequest,
    Method,
    Transport,
    UnreachableError,
)

FIELD_MANAGER: Final = "bailiwick-operator"
POLICIES_PATH: Final = policies_path()
GRANTS_PATH: Final = grants_path()
DATA_PATH: Final = data_path()
HISTORIES_PATH: Final = histories_path()
REVOCATIONS_PATH: Final = revocations_path()

Object = dict[str, Any]
Kind = Literal["EndpointPolicy", "ApprovalGrant", "EndpointData"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
"""The kinds whose status is written here."""
_PATHS: Final = {"EndpointPolicy": policies_path, "ApprovalGrant": grants_path, "EndpointData": data_path}


# A collection in which nothing happens says nothing, not even a bookmark, until the watch ends.
_WATCH_SECONDS: Final = (45, 60)
_GRACE_SECONDS: Final = 10.0


class RefusedError(Exception):
    """The API server answered a read that must succeed with an error; the message is its own."""


@dataclass(frozen=True, slots=True)
class KubeList:
    """A whole collection, as it was at `version`."""

    items: tuple[Object, ...]
    version: int


@dataclass(frozen=True, slots=True)
class ObjectChange:
    """What a watch says: an object of this name changed, or nothing (None) up to this resourceVersion."""

    name: str | None
    version: str


class OperatorClient:
    """Calls as the operator's service account.

    `may_write` is called before every write: a process that was suspended past its lease must not write when it wakes.
    """

    def __init__(self, transport: Transport, may_write: Callable[[], bool]) -> None:
        self._transport = transport
        self._may_write = may_write

    def through(self, transport: Transport) -> "OperatorClient":
        """Return a client of the same account over another transport."""
        return OperatorClient(transport, self._may_write)

    async def get(self, path: str, query: Mapping[str, str] | None = None, *, most: int | None = None) -> ApiResponse:
        """Read. Without a resourceVersion in the query it is a consistent read.

        Raises `TooLongError` for an answer of more than `most` bytes.
        """
        return await self._transport.call(ApiRequest("GET", path, query), most=most)

    async def version(self, path: str) -> int:
        """Return the present resourceVersion of a collection. Raises `RefusedError`."""
        answer = await self.get(path, {"limit": "1"})
        if not answer.ok:
            message = f"GET {path}: {answer.message}"
            raise RefusedError(message)
        return int(answer.body["metadata"]["resourceVersion"])

    async def list(
        self,
        path: str,
        selector: Mapping[str, str] | None = None,
        reduce: Callable[[Object], Object] = lambda body: body,
    ) -> KubeList:
        """Read a whole collection, in pages of one moment. Raises `RefusedError`, also when it took too long (410).

        `reduce` returns the part of an object to keep, where whole objects would be too large together.
        """
        items: list[Object] = []
        version: int | None = None
        try:
            async for page in pages(self._transport, path, selector):
                items += map(reduce, page.items)
                # Of the first page: a caller must not claim to have judged anything newer than that.
                version = int(page.resource_version) if version is None else version
        except RefusedListError as error:
            raise RefusedError(str(error)) from error
        return KubeList(tuple(items), version or 0)

    async def metadata_pages(self, path: str) -> AsyncIterator[ListPage]:
        """Yield the metadata of a collection, page by page. Raises `RefusedError`, also when it took too long (410)."""
        try:
            async for page in pages(self._transport, path, accept=METADATA_LIST):
                yield page
        except RefusedListError as error:
            raise RefusedError(str(error)) from error

    async def changes(self, path: str, version: str) -> AsyncIterator[ObjectChange]:
        """Yield what changes in a collection from a version on, until the API server ends the watch.

        Raises `RefusedError` where it cannot go on from that version, and `UnreachableError`.
        """
        query = {"watch": "true", "allowWatchBookmarks": "true", "resourceVersion": version}
        query["timeoutSeconds"] = str(random.randint(*_WATCH_SECONDS))  # noqa: S311 - jitter, not a secret
        request = ApiRequest("GET", path, query, accept=METADATA)
        async with self._transport.stream(request, silence=_WATCH_SECONDS[1] + _GRACE_SECONDS) as stream:
            if not is_success(stream.status):
                message = f"watch {path}: {stream.status}"
                raise RefusedError(message)
            async for line in stream.lines:
                yield _change(path, line)

    async def create(self, path: str, body: Object, *, dry_run: bool = False) -> ApiResponse:
        """Create in a collection."""
        return await self._write("POST", path, _options(dry_run=dry_run), body)

    async def replace(self, path: str, body: Object) -> ApiResponse:
        """Replace the object whose resourceVersion this one carries."""
        return await self._write("PUT", path, _options(), body)

    async def patch(self, path: str, patch: Sequence[Object], *, dry_run: bool = False) -> ApiResponse:
        """Send a JSON patch (RFC 6902)."""
        return await self._write("PATCH", path, _options(dry_run=dry_run), patch, JSON_PATCH)

    async def delete(self, path: str, *, dry_run: bool = False) -> ApiResponse:
        """Delete one object."""
        return await self._write("DELETE", path, {"dryRun": "All"} if dry_run else {}, None)

    async def delete_grant(self, judged: Object) -> ApiResponse:
        """Delete a grant, only if it is still the very version that was judged (else 409)."""
        metadata = judged["metadata"]
        return await self._delete_judged(grants_path(metadata["namespace"], metadata["name"]), metadata)

    async def delete_history(self, metadata: Object) -> ApiResponse:
        """Delete a history by its metadata, only if it is still the very version that was judged (else 409)."""
        return await self._delete_judged(histories_path(metadata["namespace"], metadata["name"]), metadata)

    async def delete_revocation(self, judged: Object) -> ApiResponse:
        """Delete a subject revocation, only if it is still the very version that was judged (else 409)."""
        return await self._delete_judged(revocations_path(judged["metadata"]["name"]), judged["metadata"])

    async def _delete_judged(self, path: str, metadata: Object) -> ApiResponse:
        preconditions = {"uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"]}
        body = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": preconditions}
        return await self._write("DELETE", path, {}, body)

    async def apply_status(self, kind: Kind, judged: Object, status: Object) -> ApiResponse:
        """Server-side apply of our fields of the status, only upon the very version that was judged (else 409)."""
        metadata = {key: judged["metadata"][key] for key in ("namespace", "name", "uid", "resourceVersion")}
        path = _PATHS[kind](metadata["namespace"], metadata["name"], "status")
        body = {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "status": status}
        return await self._write("PATCH", path, _options() | {"force": "true"}, body, APPLY)

    async def apply_fields(self, path: str, judged: Object, fields: Object, manager: str) -> ApiResponse:
        """Server-side apply of fields under a manager of their own, only upon the version that was judged (else 409).

        Without that precondition an apply would create the object where it is gone.
        """
        metadata = {key: judged["metadata"][key] for key in ("name", "uid", "resourceVersion")}
        body = {"apiVersion": judged["apiVersion"], "kind": judged["kind"], "metadata": metadata, **fields}
        return await self._write("PATCH", path, {"fieldManager": manager, "force": "true"}, body, APPLY)

    async def apply(self, path: str, body: Object, *, dry_run: bool = False) -> ApiResponse:
        """Server-side apply. It creates the object where there is none, which RBAC can tie to the object's name."""
        return await self._write("PATCH", path, _options(dry_run=dry_run) | {"force": "true"}, body, APPLY)

    async def _write(
        self, method: Method, path: str, query: Mapping[str, str], body: object, media: str = JSON
    ) -> ApiResponse:
        if not self._may_write():
            message = "the lease has expired: no more writes"
            raise UnreachableError(message)
        return await self._transport.call(ApiRequest(method, path, query, body, media))


def _options(*, dry_run: bool = False) -> dict[str, str]:
    return {"fieldManager": FIELD_MANAGER} | ({"dryRun": "All"} if dry_run else {})


def _change(path: str, line: bytes) -> ObjectChange:
    try:
        event = json.loads(line)
        metadata = event["object"]["metadata"]
        if event["type"] != "ERROR":
            return ObjectChange(None if event["type"] == "BOOKMARK" else metadata["name"], metadata["resourceVersion"])
        message = f"watch {path}: {event['object']['message']}"
    except (KeyError, TypeError, ValueError) as error:
        message = f"watch {path}: {error!r}"
    raise RefusedError(message)
