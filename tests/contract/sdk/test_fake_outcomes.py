"""`FakePDP` with outcomes: the real decision point decides, and an application's test sees what was reported."""

from collections.abc import Iterator
from typing import Final

import pytest

from bailiwick import Call, Denied, Resource, testing
from bailiwick.testing import FakePDP, token_for
from support.pages import DOCS

POLICIES: Final = DOCS.parent / "examples" / "quickstart"
TOKEN: Final = token_for("system:serviceaccount:agents:crm-agent")
LIST: Final = Call(token=TOKEN, action="customers.list", resource=Resource("customer", "*"))
EXPORT: Final = Call(token=TOKEN, action="customers.export", resource=Resource("customer", "42"))


@pytest.fixture(scope="module")
def fake() -> Iterator[FakePDP]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(testing, "_START_SECONDS", 150.0)
        with FakePDP(POLICIES, outcomes=True) as running:
            yield running


async def test_an_applications_test_sees_what_its_application_reported(fake: FakePDP) -> None:
    assert fake.outcomes == []
    with fake.client("crm/crm-api") as pdp, pdp.guarded(LIST):
        pass
    with fake.client("crm/crm-api") as pdp, pytest.raises(Denied), pdp.guarded(EXPORT):
        pytest.fail("it ran")
    async with fake.async_client("crm/crm-api") as aio:
        with pytest.raises(RuntimeError):
            async with aio.guarded(LIST):
                raise RuntimeError
    assert fake.outcomes == [("customers.list", "succeeded"), ("customers.list", "failed")]
