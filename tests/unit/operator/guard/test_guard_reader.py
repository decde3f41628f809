"""The guards by their versions: what is read whole and when, and that it is always what stands at the API server."""

import asyncio
from http import HTTPStatus
from typing import Final

import pytest
from hypothesis import given, strategies as st

from bailiwick_engine.approval.fingerprint import paths
from bailiwick_kube.responses import ApiResponse
from bailiwick_kube.transport import ApiRequest
from bailiwick_operator.guard.guardreader import WHOLE_SECONDS, GuardReader
from bailiwick_operator.kube import OperatorClient, RefusedError
from support.objects import Object, received
from support.transport import FakeTransport
from unit.operator.cases import INSTALLATION
from unit.operator.fakeapi import FakeApi

PATHS: Final = paths(INSTALLATION)
STEPS: Final = st.lists(
    st.tuples(
        st.sampled_from(("change", "delete", "create again", "change while it is read", "time passes", "nothing")),
        st.sampled_from(PATHS),
    ),
    max_size=20,
)


class Guards:
    """The guards at a server, and a reader of them, which asks by `client`."""

    def __init__(self) -> None:
        self.api = FakeApi()
        self.shipped = received(self.api.guards)
        self.now = 0.0
        self.whole: list[str] = []
        self.reader = GuardReader(OperatorClient(self.api.transport, lambda: True), INSTALLATION, lambda: self.now)
        self.api.before_read = self._note

    def change(self, path: str) -> None:
        if path in self.api.guards:
            self.api.revision += 1
            body = self.api.guards[path]
            body["spec"] = {"revision": self.api.revision}
            body["metadata"]["resourceVersion"] = str(self.api.revision)

    def delete(self, path: str) -> None:
        self.api.guards.pop(path, None)

    def create_again(self, path: str) -> None:
        # Of another uid. Its version may be any, also the one that the earlier one had.
        self.delete(path)
        body = self.api.guards[path] = received(self.shipped[path])
        self.api.revision += 1
        body["metadata"]["uid"] = f"uid-{self.api.revision}"
        body["spec"] = {"revision": self.api.revision}

    def stored(self) -> list[Object]:
        return [self.api.guards[path] for path in PATHS if path in self.api.guards]

    async def read(self, *, meanwhile: str | None = None) -> list[Object]:
        """Read as a proof does; change one between the lists and the objects."""
        listed = await self.reader.definitions() | await self.reader.policies()
        if meanwhile is not None:
            self.change(meanwhile)
        return await self.reader.objects(listed)

    def _note(self, path: str) -> None:
        if path in PATHS:
            self.whole.append(path)


@given(steps=STEPS)
def test_what_is_read_is_what_stands_there_however_it_came_about(steps: list[tuple[str, str]]) -> None:
    async def play() -> None:
        guards = Guards()
        for what, path in steps:
            meanwhile = None
            match what:
                case "change":
                    guards.change(path)
                case "delete":
                    guards.delete(path)
                case "create again":
                    guards.create_again(path)
                case "time passes":
                    guards.now += 40
                case "change while it is read":
                    meanwhile = path
                case _:
                    pass
            before = [*map(received, guards.stored())]
            read = await guards.read(meanwhile=meanwhile)
            after = guards.stored()
            assert len(read) == len(after) == len(before)
            assert all(found in (old, new) for found, old, new in zip(read, before, after, strict=True))
            assert await guards.read() == after

    asyncio.run(play())


async def test_what_has_not_changed_is_not_read_whole_again() -> None:
    guards = Guards()
    await guards.read()
    assert sorted(guards.whole) == sorted(PATHS)
    guards.whole.clear()
    guards.change(PATHS[2])
    await guards.read()
    await guards.read()
    assert guards.whole == [PATHS[2]]


async def test_everything_is_read_whole_once_a_minute_in_case_it_is_another_under_the_same_version() -> None:
    guards = Guards()
    await guards.read()
    guards.api.guards[PATHS[0]]["spec"] = {"as": "another version of the API server writes it"}
    assert await guards.read() != guards.stored()
    guards.now += WHOLE_SECONDS
    assert await guards.read() == guards.stored()


async def test_one_that_cannot_be_read_is_asked_for_again() -> None:
    guards = Guards()
    silent = {PATHS[0]}

    def before_read(path: str) -> None:
        if path in silent:
            raise ConnectionError(path)

    guards.api.before_read = before_read
    try:
        await guards.read()
    except ConnectionError:
        silent.clear()
    assert await guards.read() == guards.stored()


@pytest.mark.parametrize(
    "item", [1, None, {}, {"metadata": None}, {"metadata": {"name": "a"}}, {"metadata": {"name": "a", "uid": "u"}}]
)
async def test_a_list_of_what_has_no_version_is_refused(item: object) -> None:
    def answer(_request: ApiRequest) -> ApiResponse:
        return ApiResponse(HTTPStatus.OK, {"metadata": {"resourceVersion": "1"}, "items": [item]})

    reader = GuardReader(OperatorClient(FakeTransport(answer), lambda: True), INSTALLATION)
    with pytest.raises(RefusedError, match="CustomResourceDefinitions"):
        await reader.definitions()
    with pytest.raises(RefusedError, match="validatingadmissionpolicies"):
        await reader.policies()
