"""What is known of the parties without asking anybody is what would be found by asking.

Holds: tokens, endpoints and claims of every kind that decides something; what was verified before is remembered.
"""

from pathlib import Path
from typing import Final

import pytest
from msgspec.structs import replace

from bailiwick_engine.call import ServiceAccount
from bailiwick_webhook.identity.subject import ClaimedSubject
from bailiwick_webhook.identity.tokens import AuthenticatedAccount
from bailiwick_webhook.steps import Need, resolve
from unit.webhook.identity.world import (
    AGENT,
    AUDIENCE,
    CLUSTER_URL,
    CORP,
    ENFORCER,
    NOW,
    OTHER,
    World,
    account_token,
    endpoint,
    person_token,
)

ACTS: Final = {"sub": AGENT, "iss": CLUSTER_URL}
TOKENS: Final = (
    None,
    account_token(),
    account_token(username=OTHER, uid="other-uid"),
    account_token(uid="gone-uid"),
    account_token(aud=["elsewhere"]),
    account_token(aud=["bailiwick", AUDIENCE]),
    account_token(exp=int(NOW) + 30),
    account_token(act=ACTS),
    account_token(act=None),
    account_token(iss=CORP),
    person_token(),
    person_token(act=ACTS),
    "no.token.at-all",
    "x" * 20_000,
)
ENDPOINTS: Final = (
    endpoint(),
    endpoint(asserted=True),
    endpoint(issuers=frozenset({"corp"})),
    endpoint(issuers=frozenset({"cluster"})),
    endpoint(audiences=frozenset({"bailiwick"})),
    endpoint(audiences=frozenset({AUDIENCE, "bailiwick"})),
)
# What may be said of an actor besides the token.
SAID: Final = ((None, None), ({"team": "a"}, None), ({"act": ACTS}, None), ({"act": None}, None), (None, TOKENS[1]))
CALLERS: Final = (
    ENFORCER,
    AuthenticatedAccount(ServiceAccount(AGENT, "agent-uid"), {"sub": AGENT}, live=False),
    # By a client certificate.
    AuthenticatedAccount(ServiceAccount("envoy", ""), {}, live=True),
)


@pytest.mark.parametrize("caller", CALLERS, ids=["enforcer", "itself", "certificate"])
@pytest.mark.parametrize("token", TOKENS, ids=range(len(TOKENS)))
async def test_what_was_verified_at_one_endpoint_changes_nothing_at_another(
    token: str | None, caller: AuthenticatedAccount, tmp_path: Path
) -> None:
    world = World(tmp_path)
    claimed = ClaimedSubject("serviceAccount", AGENT, None, token, None)
    for first in ENDPOINTS:
        await resolve(world.identity.verify(claimed, caller, first))
    for settings in ENDPOINTS:
        for properties, actor in SAID:
            said = replace(claimed, properties=properties, actor_token=actor)
            # One that has verified nothing before.
            expected = await resolve(World(tmp_path).identity.verify(said, caller, settings))
            assert await resolve(world.identity.verify(said, caller, settings)) == expected


async def test_a_token_that_was_verified_is_known_and_for_that_audience_alone(tmp_path: Path) -> None:
    world = World(tmp_path)
    claimed = ClaimedSubject("serviceAccount", AGENT, None, TOKENS[1], None)
    assert isinstance(world.identity.verify(claimed, ENFORCER, ENDPOINTS[0]), Need)
    parties = await resolve(world.identity.verify(claimed, ENFORCER, ENDPOINTS[0]))
    assert world.identity.verify(claimed, ENFORCER, ENDPOINTS[0]) == parties
    assert isinstance(world.identity.verify(claimed, ENFORCER, ENDPOINTS[4]), Need)
