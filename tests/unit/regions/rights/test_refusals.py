"""Refusals at an endpoint: which enforcer may still ask, and who is refused if none may."""

import pytest

from bailiwick_engine.call import Party
from bailiwick_engine.keys import CLUSTER, SERVICE_ACCOUNT
from bailiwick_engine.revocations import PartyRevocation, Revocations
from bailiwick_regions.rights.refusals import TokenRefusals
from support.objects import rule, settings
from unit.engine.cases import NOW
from unit.regions.rights.test_rights import endpoint

FIRST, SECOND = (f"system:serviceaccount:crm:{name}" for name in ("api", "gateway"))
SUBJECT = Party(SERVICE_ACCOUNT, "system:serviceaccount:agents:crm-agent", "~")


def refusals(*taken_back: str) -> TokenRefusals:
    enforcers = [{"namespace": "crm", "name": name} for name in ("gateway", "api")]
    held = Revocations()
    for number, name in enumerate(taken_back):
        # An enforcer is refused by name, whenever its token was issued.
        held.put(PartyRevocation(f"r-{number}", CLUSTER, (("sub", name),), NOW - 60, False, NOW - 60, NOW + 60))
    return TokenRefusals(endpoint(rule(), endpointSettings=settings() | {"enforcers": enforcers}), held, NOW)


@pytest.mark.parametrize(
    ("taken_back", "enforcer", "by"),
    [((), FIRST, None), ((FIRST,), SECOND, None), ((SECOND,), FIRST, None), ((SECOND, FIRST), FIRST, "r-1")],
    ids=["none", "the first", "the second", "both"],
)
def test_an_enforcer_asks_that_is_not_taken_back_and_without_one_everybody_is_refused(
    taken_back: tuple[str, ...], enforcer: str, by: str | None
) -> None:
    found = refusals(*taken_back)
    assert found.enforcer() == enforcer
    refusing = found.refusal(SUBJECT)
    assert (None if refusing is None else refusing.name) == by
    assert len([*found.of_enforcers()]) == len(taken_back)
