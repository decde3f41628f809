"""Lists in pages: the size of a page, and how to read a whole list.

Holds: one answer is parsed in one go, and meanwhile the process answers no caller and renews no lease. So a page has at
most `PAGE` objects and `PAGE_BYTES` bytes, unless it is a single object.
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from bailiwick_kube.responses import ApiResponse
from bailiwick_kube.transport import JSON, ApiRequest, TooLongError, Transport

PAGE: Final = 200
PAGE_BYTES: Final = 1024 * 1024
_FEWER, _MORE = 8, 2


class RefusedListError(Exception):
    """A page was refused. `response.gone`: too much time has passed between two pages; list again."""

    def __init__(self, path: str, response: ApiResponse, why: str | None = None) -> None:
        super().__init__(f"list {path}: {why or response.message}")
        self.response = response


@dataclass(frozen=True, slots=True)
class ListPage:
    """One page of a list. A watch continues from the resource version of the last page.

    `date`: the server's time when it answered, in seconds since the epoch, rounded down; None if it sent none.
    """

    items: list[dict[str, Any]]
    resource_version: str
    date: float | None = None


def continuation(body: Mapping[str, Any]) -> str:
    """Return the `continue` token for the next page; empty after the last page."""
    return str((body.get("metadata") or {}).get("continue") or "")


def smaller_page(limit: int) -> int:
    """Return how many objects to list where so many were too long."""
    return max(1, limit // _FEWER)


def larger_page(limit: int) -> int:
    """Return how many objects to list where so many were not."""
    return min(PAGE, limit * _MORE)


async def pages(
    transport: Transport, path: str, query: Mapping[str, str] | None = None, accept: str = JSON
) -> AsyncIterator[ListPage]:
    """Yield every object of a list, page by page. Raises `RefusedListError` and `UnreachableError`."""
    more, limit = "", PAGE
    while True:
        parameters = {**(query or {}), "limit": str(limit)} | ({"continue": more} if more else {})
        try:
            request = ApiRequest("GET", path, parameters, accept=accept)
            response = await transport.call(request, most=PAGE_BYTES if limit > 1 else None)
        except TooLongError:
            # Large objects only make pages smaller; they never block the event loop for long.
            limit = smaller_page(limit)
            continue
        limit = larger_page(limit)
        if not response.ok:
            raise RefusedListError(path, response)
        items, metadata = response.body.get("items"), response.body.get("metadata") or {}
        if not isinstance(items, list | None) or "resourceVersion" not in metadata:
            raise RefusedListError(path, response, "the answer is not a list")
        yield ListPage(items or [], metadata["resourceVersion"], response.date)
        more = continuation(response.body)
        if not more:
            return
