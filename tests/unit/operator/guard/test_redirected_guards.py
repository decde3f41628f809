"""A guard that is loosened, and another server that answers for it now and then as if it were as shipped.

Holds: the other server knows uid and version of each guard as it stands, and the loosened guard still refuses every dry
run. So only what the API server itself says of the guard shows that it is loosened.
"""

import asyncio
import copy
import itertools
from collections.abc import Iterable, Iterator
from contextlib import suppress
from http import HTTPStatus
from typing import Final

import pytest
from hypothesis import given, strategies as st

from bailiwick_engine.approval.fingerprint import paths
from bailiwick_kube.responses import ApiResponse
from bailiwick_kube.transport import ApiRequest
from bailiwick_operator.guard.keeper import GuardKeeper
from bailiwick_operator.guard.prover import Prover, UnprovenError
from bailiwick_operator.kube import GRANTS_PATH, OperatorClient
from bailiwick_operator.loop.inventory import Ticks
from support.objects import Object, received
from support.transport import FakeTransport
from unit.operator.cases import INSTALLATION, active, grant, right_clock
from unit.operator.fakeapi import FakeApi

PATHS: Final = paths(INSTALLATION)
COLLECTIONS: Final = {path.rpartition("/")[0] for path in PATHS}
ROUTES: Final = ("v1.admissionregistration.k8s.io", "v1.apiextensions.k8s.io")
ROUNDS: Final = 4
MOMENTS: Final = st.lists(st.integers(1, 40), max_size=8)
"""After how many requests each the groups are redirected, put back, redirected again, and so on."""
TURNS: Final = st.lists(st.integers(0, 5), min_size=1, max_size=20)
"""For how many turns of the loop each request and each answer is on its way, over and over."""


class RedirectingTransport(FakeTransport):
    """The way to an API server, of which somebody redirects the groups of the guards and puts them back.

    `old_versions`: whether the other server lists the guards at the versions that they had before.
    """

    def __init__(self, api: FakeApi, turns: Iterable[int] = (0,), *, old_versions: bool = False) -> None:
        super().__init__(api.transport.answer)
        self._api, self._shipped, self._old_versions = api, received(api.guards), old_versions
        self._turns = itertools.cycle(turns)
        self._moments: Iterator[int] = iter(())
        self._left: int | None = None
        self._redirected = False
        self.lagging = 0
        """How many proofs the API server still forwards for, though the groups were put back."""

    async def call(self, request: ApiRequest, *, most: int | None = None) -> ApiResponse:
        await self._pass()
        self._move_on()
        if request.path == GRANTS_PATH and (request.query or {}).get("limit") == "1":
            self.lagging -= self.lagging > 0
        forwarded = self._redirected or self.lagging > 0
        answer = self._other(request.path) if forwarded and request.method == "GET" else None
        answer = await super().call(request, most=most) if answer is None else answer
        await self._pass()
        return answer

    def begin(self, moments: Iterable[int]) -> None:
        """Redirect the groups and put them back at these moments from now on."""
        self._moments = iter(moments)
        self._left = next(self._moments, None)

    def end(self) -> None:
        """Put the groups back, and leave them alone from now on."""
        self._left = None
        if self._redirected:
            self.redirect_or_put_back()

    def redirect_or_put_back(self) -> None:
        self._redirected = not self._redirected
        for name in ROUTES:
            route = received(self._api.routes[name])
            self._api.revision += 1
            route["metadata"]["resourceVersion"] = str(self._api.revision)
            route["spec"]["service"] = {"namespace": "x", "name": "y"} if self._redirected else None
            self._api.routes[name] = route

    async def _pass(self) -> None:
        for _ in range(next(self._turns)):
            await asyncio.sleep(0)

    def _move_on(self) -> None:
        if self._left is not None:
            self._left -= 1
            if self._left == 0:
                self._left = next(self._moments, None)
                self.redirect_or_put_back()

    def _other(self, path: str) -> ApiResponse | None:
        if path in PATHS:
            whole = received(self._shipped[path]) | {"metadata": self._claimed(path, old=False)}
            return ApiResponse(HTTPStatus.OK, whole)
        if path not in COLLECTIONS:
            return None
        claimed = [self._claimed(guard, old=self._old_versions) for guard in PATHS if guard.rpartition("/")[0] == path]
        items = [{"metadata": metadata} for metadata in claimed]
        return ApiResponse(HTTPStatus.OK, {"metadata": {"resourceVersion": "1"}, "items": items})

    def _claimed(self, path: str, *, old: bool) -> Object:
        """Return the metadata that the other server shows of a guard."""
        claimed = received(self._shipped[path]["metadata"])
        if not old:
            claimed["resourceVersion"] = self._api.guards[path]["metadata"]["resourceVersion"]
        return claimed


class Siege:
    """A process that has proven and recorded the guards, and somebody who loosens one and lets a grant in."""

    def __init__(self, turns: Iterable[int] = (0,), *, old_versions: bool = False) -> None:
        self.api = FakeApi()
        self.way = RedirectingTransport(self.api, turns, old_versions=old_versions)
        self.keeper = GuardKeeper(
            OperatorClient(self.way, lambda: True),
            INSTALLATION,
            Ticks(),
            interval=60,
            settle=0,
            now=right_clock().now,
            proven=lambda: None,
        )

    async def begin(self, path: str) -> None:
        """Prove and record the guards, then loosen one for one person, whom no dry run asks about."""
        await self.keeper.round()
        assert await self.keeper.round()
        self._shipped = self.api.guards[path]["spec"]
        self._write(path, {**self._shipped, "matchConditions": [{"name": "not-dave", "expression": "..."}]})
        forged = grant("dave", status=active(counted=[{"reviewer": "dave"}]))
        self.api.store({**forged, "metadata": {"namespace": "crm", "name": "forged"}})

    async def assert_nothing_is_proven(self) -> None:
        recorded = copy.deepcopy(self.api.config_map)
        for _ in range(ROUNDS):
            assert not await self.keeper.round()
            assert self.api.config_map == recorded, "a loosened guard is recorded as one that is as shipped"

    async def assert_what_came_in_is_void(self, path: str) -> None:
        """Put everything back, and assert that what came in while the guard was loosened does not count."""
        self.way.end()
        self._write(path, self._shipped)
        for _ in range(2):
            await self.keeper.round()
        phase = (self.api.grants["crm", "forged"].get("status") or {}).get("phase")
        assert (self.keeper.problem, phase) == (None, "Lapsed")

    def _write(self, path: str, spec: Object) -> None:
        self.api.revision += 1
        metadata = self.api.guards[path]["metadata"]
        revised = {"generation": metadata["generation"] + 1, "resourceVersion": str(self.api.revision)}
        self.api.guards[path] = {**self.api.guards[path], "metadata": metadata | revised, "spec": spec}


@pytest.mark.invariant(27)
@given(moments=MOMENTS, turns=TURNS, path=st.sampled_from(PATHS), old_versions=st.booleans())
def test_a_loosened_guard_is_never_proven_however_its_group_is_redirected_and_put_back(
    moments: list[int], turns: list[int], path: str, old_versions: bool
) -> None:
    async def play() -> None:
        siege = Siege(turns, old_versions=old_versions)
        await siege.begin(path)
        siege.way.begin(moments)
        await siege.assert_nothing_is_proven()
        await siege.assert_what_came_in_is_void(path)

    asyncio.run(play())


@pytest.mark.invariant(27)
@pytest.mark.parametrize("old_versions", [False, True])
@pytest.mark.parametrize("path", PATHS)
async def test_what_an_api_server_still_forwarded_after_the_group_was_put_back_is_read_again(
    path: str, old_versions: bool
) -> None:
    siege = Siege(old_versions=old_versions)
    await siege.begin(path)
    siege.way.redirect_or_put_back()
    siege.way.redirect_or_put_back()
    # Until the guards have settled, which one proof waits for.
    siege.way.lagging = 2
    await siege.assert_nothing_is_proven()
    await siege.assert_what_came_in_is_void(path)


@pytest.mark.invariant(27)
@given(moments=MOMENTS, turns=TURNS, path=st.sampled_from(PATHS), proofs=st.integers(1, 3))
def test_what_another_server_answered_is_forgotten_once_the_group_is_left_alone(
    moments: list[int], turns: list[int], path: str, proofs: int
) -> None:
    async def play() -> None:
        siege = Siege(turns)
        await siege.begin(path)
        siege.way.begin(moments)
        prover = Prover(OperatorClient(siege.way, lambda: True), INSTALLATION, right_clock().now)
        for _ in range(proofs):
            with suppress(UnprovenError):
                await prover.prove()
        siege.way.end()
        with pytest.raises(UnprovenError, match="not as shipped"):
            await prover.prove()

    asyncio.run(play())
