"""Listing grants for the revocations whose time is over costs the operator, and the API server, a bounded part."""

import asyncio
from typing import Final

import pytest

from bailiwick_api.times import stamp
from bailiwick_engine.keys import CLUSTER
from bailiwick_engine.revocations import PartyRevocation
from bailiwick_kube.responses import ApiResponse
from bailiwick_kube.transport import ApiRequest, UnreachableError
from bailiwick_operator.kube import OperatorClient, RefusedError
from bailiwick_operator.loop.grantsurvey import GrantSurvey
from support.objects import AGENT, Object
from support.transport import FakeTransport
from unit.operator.cases import NOW, STEP_OF_TWO, grant

ACTIVE: Final = {"phase": "Active", "approvedTime": stamp(NOW), "notAfterTime": stamp(NOW)}
MANY: Final = 2_000


class ListedGrants:
    """An API server that takes `seconds` for each page, and answers the last one with `status`."""

    def __init__(self, *grants: Object, seconds: float = 0.0, status: int = 200) -> None:
        self.lists = 0
        self.status = status
        self.now = 1000.0
        self._grants = list(grants)
        self._seconds = seconds
        self.survey = GrantSurvey(OperatorClient(FakeTransport(self._answer), lambda: True), None, lambda: self.now)

    def _answer(self, request: ApiRequest) -> ApiResponse:
        self.now += self._seconds
        if "continue" not in (request.query or {}):
            self.lists += 1
            return ApiResponse(200, {"metadata": {"resourceVersion": "9", "continue": "more"}, "items": self._grants})
        if not self.status:
            raise UnreachableError("gone")
        body = {"metadata": {"resourceVersion": "9"}, "items": []}
        return ApiResponse(self.status, body if self.status == 200 else {"message": "no"})

    async def find(self, *over: PartyRevocation) -> set[str] | None:
        """Ask once."""
        return await self.survey.find_unfinished(over, NOW)


def over(number: int = 0, **match: str) -> PartyRevocation:
    """Return a revocation of the agent, or of whom `match` names, whose time is over."""
    moment = NOW.timestamp() - 1
    return PartyRevocation(
        name=f"r-{number}",
        issuer=CLUSTER,
        match=tuple((match or {"sub": AGENT}).items()),
        issued_before=moment,
        hold=False,
        as_of=moment,
        until=moment,
    )


@pytest.mark.parametrize("status", [200, 410, 500, 0])
async def test_a_survey_rests_longer_than_it_took_also_where_its_end_was_refused(status: int) -> None:
    api = ListedGrants(seconds=15.0, status=status)

    async def look() -> set[str] | None:
        try:
            return await api.find(over())
        except (RefusedError, UnreachableError):
            return set()

    assert await look() == set()
    api.now += 500
    assert await look() is None
    assert api.lists == 1
    api.now += 100
    assert await look() == set()
    assert api.lists == 2


@pytest.mark.parametrize(
    ("unfinished", "match"),
    [
        pytest.param(grant(status=ACTIVE), {"sub": AGENT}, id="of the subject of a grant"),
        pytest.param(grant("dave", steps=[STEP_OF_TWO]), {"username": "dave"}, id="of a reviewer who approves"),
    ],
)
async def test_thousands_of_revocations_of_one_party_hold_nothing_up(unfinished: Object, match: dict[str, str]) -> None:
    api, turns = ListedGrants(unfinished), 0
    asked = asyncio.create_task(api.find(*(over(number, **match) for number in range(MANY)), over(MANY, sub="eve")))
    while not asked.done():
        turns += 1
        await asyncio.sleep(0)
    assert await asked == {f"r-{number}" for number in range(MANY)}
    assert turns > MANY / 80
