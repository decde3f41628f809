"""What is known of the parties without asking anybody is what `verify` comes to, over any history of a cluster.

Holds: tokens, endpoints and claims of every kind that decides something; time passes, the cluster goes away and comes
back, accounts are deleted, and what was verified before is remembered or not.
"""

import asyncio
import tempfile
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import example, given, strategies as st
from msgspec.structs import replace

from bailiwick_engine.call import ServiceAccount
from bailiwick_webhook.identity.subject import ClaimedSubject
from bailiwick_webhook.identity.tokens import ProvenAccount
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
    ProvenAccount(ServiceAccount(AGENT, "agent-uid"), {"sub": AGENT}, live=False),
    # By a client certificate.
    ProvenAccount(ServiceAccount("envoy", ""), {}, live=True),
)


@st.composite
def asked(draw: st.DrawFn) -> Any:  # noqa: ANN401 - of `verify`
    kind, name = draw(st.sampled_from([("serviceAccount", AGENT), ("serviceAccount", OTHER), ("user", "dave")]))
    properties = draw(st.sampled_from([None, None, {}, {"team": "a"}, {"act": ACTS}, {"act": None}]))
    actor = draw(st.sampled_from([None, None, None, TOKENS[1]]))
    claimed = ClaimedSubject(kind, name, properties, draw(st.sampled_from(TOKENS)), actor)
    return claimed, draw(st.sampled_from(CALLERS)), draw(st.sampled_from(ENDPOINTS))


EVENTS: Final = st.one_of(
    st.tuples(st.just("verify"), asked()),
    st.tuples(st.just("at once"), asked()),
    st.tuples(st.just("time"), st.sampled_from([1.0, 9.0, 11.0, 40.0, 200.0])),
    st.tuples(st.just("away"), st.none()),
    st.tuples(st.just("gone"), st.none()),
)


@given(st.lists(EVENTS, max_size=12))
@example([("verify", (ClaimedSubject("serviceAccount", AGENT, None, TOKENS[1], None), ENFORCER, ENDPOINTS[0]))])
def test_what_is_known_is_what_would_be_told(events: list[tuple[str, Any]]) -> None:
    asyncio.run(_told_alike(events))


async def _told_alike(events: list[tuple[str, Any]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder))
    for what, how in events:
        match what:
            case "time":
                world.pass_seconds(how)
            case "away":
                world.cluster.down = not world.cluster.down
            case "gone":
                world.cluster.gone ^= {"gone-uid"}
            case "verify":
                await world.identity.verify(*how)
                await _same(world, how)
            case _:
                await _same(world, how)


async def _same(world: World, how: Any) -> None:  # noqa: ANN401 - of `verify`
    known = world.identity.verified(*how)
    if known is not None:
        assert known == await world.identity.verify(*how)


@pytest.mark.parametrize("token", TOKENS, ids=range(len(TOKENS)))
async def test_what_was_verified_at_one_endpoint_is_known_at_another_as_it_would_be_verified_there(
    token: str | None, tmp_path: Path
) -> None:
    world = World(tmp_path)
    claimed = ClaimedSubject("serviceAccount", AGENT, None, token, None)
    for first in ENDPOINTS:
        await world.identity.verify(claimed, ENFORCER, first)
    for then in ENDPOINTS:
        for properties, actor in SAID:
            await _same(world, (replace(claimed, properties=properties, actor_token=actor), ENFORCER, then))


async def test_a_token_that_was_verified_is_known_and_for_that_audience_alone(tmp_path: Path) -> None:
    world = World(tmp_path)
    claimed = ClaimedSubject("serviceAccount", AGENT, None, TOKENS[1], None)
    assert world.identity.verified(claimed, ENFORCER, ENDPOINTS[0]) is None
    found = await world.identity.verify(claimed, ENFORCER, ENDPOINTS[0])
    assert world.identity.verified(claimed, ENFORCER, ENDPOINTS[0]) == found
    assert world.identity.verified(claimed, ENFORCER, ENDPOINTS[4]) is None
