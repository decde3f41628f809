"""Lists in pages: nobody's objects make an answer long, and none is left out."""

from collections.abc import Callable
from typing import Any

import pytest

from bailiwick_kube.lists import PAGE, PAGE_BYTES, ListPage, RefusedListError, continuation, pages
from bailiwick_kube.responses import ApiResponse
from bailiwick_kube.transport import ApiRequest, TooLongError
from support.transport import FakeTransport

SIZE = 60_000


class Collection:
    """So many objects of about 60 kB, and what was asked for."""

    def __init__(self, count: int, refuse: Callable[[int], ApiResponse | None] = lambda _start: None) -> None:
        self.count = count
        self.refuse = refuse
        self.asked: list[tuple[int, int]] = []

    async def listed(self, **query: str) -> list[ListPage]:
        return [page async for page in pages(FakeTransport(self.answer), "/x", query)]

    def answer(self, request: ApiRequest) -> ApiResponse:
        query = dict(request.query or {})
        start, limit = int(query.get("continue", 0)), int(query["limit"])
        self.asked.append((start, limit))
        if (refused := self.refuse(start)) is not None:
            return refused
        if limit > 1 and SIZE * min(limit, self.count - start) > PAGE_BYTES:
            raise TooLongError
        items = [{"n": number} for number in range(start, min(self.count, start + limit))]
        more = {"continue": str(start + limit)} if start + limit < self.count else {}
        return ApiResponse(200, {"metadata": {"resourceVersion": "7", **more}, "items": items})


@pytest.mark.parametrize("count", [0, 1, 17, 18, PAGE, 2 * PAGE + 1])
async def test_every_object_comes_once_however_large_they_are(count: int) -> None:
    collection = Collection(count)
    listed = await collection.listed()
    assert [item["n"] for page in listed for item in page.items] == [*range(count)]
    assert {page.resource_version for page in listed} == {"7"}
    assert max(limit for _, limit in collection.asked) <= PAGE


async def test_a_refusal_is_raised_and_says_whether_to_list_again() -> None:
    gone = Collection(100, lambda start: ApiResponse(410, {"message": "too old"}) if start else None)
    with pytest.raises(RefusedListError, match="list /x: too old") as raised:
        await gone.listed()
    assert raised.value.response.gone


@pytest.mark.parametrize("body", [{}, {"items": {}}, {"metadata": {}, "items": []}, {"items": []}], ids=str)
async def test_what_is_no_list_is_refused(body: dict[str, Any]) -> None:
    with pytest.raises(RefusedListError, match="not a list"):
        await Collection(1, lambda _start: ApiResponse(200, body)).listed()


async def test_what_is_asked_for_is_asked_for_on_each_page() -> None:
    seen: list[str] = []

    def answer(request: ApiRequest) -> ApiResponse:
        seen.append((request.query or {})["labelSelector"])
        more = {"continue": "x"} if len(seen) == 1 else {}
        return ApiResponse(200, {"metadata": {"resourceVersion": "7", **more}, "items": None})

    assert [page async for page in pages(FakeTransport(answer), "/x", {"labelSelector": "a=b"})] == [
        ListPage([], "7")
    ] * 2
    assert seen == ["a=b"] * 2


@pytest.mark.parametrize(
    ("body", "token"), [({}, ""), ({"metadata": None}, ""), ({"metadata": {"continue": "x"}}, "x")]
)
def test_the_last_page_names_no_other(body: dict[str, Any], token: str) -> None:
    assert continuation(body) == token
