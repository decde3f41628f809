"""By what a token is signed for a request is counted while the API server is asked: that is no proof of anything."""

from pathlib import Path
from typing import Final

import pytest

from bailiwick_api.accounts import ENFORCER_AUDIENCE
from bailiwick_webhook.identity.tokens import FRESH, AuthenticatedAccount, RefusedToken
from bailiwick_webhook.steps import resolve
from unit.webhook.identity.world import AGENT, CORP, NEXT_RSA, NOW, OTHER, World, account_token

TOKEN: Final = account_token(aud=[ENFORCER_AUDIENCE])
REFUSED: Final = {
    "no token": "garbage",
    "another audience": account_token(),
    "another issuer": account_token(aud=[ENFORCER_AUDIENCE], iss=CORP),
    "over": account_token(aud=[ENFORCER_AUDIENCE], exp=int(NOW) - 1),
    "not yet": account_token(aud=[ENFORCER_AUDIENCE], nbf=int(NOW) + 60),
    "an algorithm that the API server has not": account_token({"alg": "HS256"}, aud=[ENFORCER_AUDIENCE]),
}


async def known_keys(folder: Path) -> World:
    """Return a world that has read the cluster's keys, as it does soon after it started."""
    world = World(folder)
    await resolve(world.identity.caller(f"Bearer {account_token(username=OTHER, aud=[ENFORCER_AUDIENCE])}"))
    world.cluster.reviewed.clear()
    return world


async def test_the_signature_tells_whose_place_a_request_takes_and_asks_nobody(tmp_path: Path) -> None:
    world = await known_keys(tmp_path)
    assert world.identity.signed(f"Bearer {TOKEN}") == AGENT
    assert world.cluster.reviewed == []


@pytest.mark.parametrize("what", REFUSED)
async def test_what_the_caller_would_be_refused_for_is_refused_at_once(tmp_path: Path, what: str) -> None:
    world = await known_keys(tmp_path)
    assert isinstance(world.identity.signed(f"Bearer {REFUSED[what]}"), RefusedToken)
    assert isinstance(await resolve(world.identity.caller(f"Bearer {REFUSED[what]}")), RefusedToken)
    assert world.cluster.reviewed == []


async def test_a_key_that_is_not_known_tells_nothing_and_may_be_new(tmp_path: Path) -> None:
    world = await known_keys(tmp_path)
    token = account_token(key=NEXT_RSA, aud=[ENFORCER_AUDIENCE])
    assert world.identity.signed(f"Bearer {token}") is None
    read = world.cluster.keys_read
    assert world.identity.signed(f"Bearer {token}") is None
    assert world.cluster.keys_read == read


async def test_whatever_is_no_credential_tells_nothing(tmp_path: Path) -> None:
    world = await known_keys(tmp_path)
    for said in ("", "Basic eDp5", "Bearer"):
        assert world.identity.signed(said) is None


async def test_without_keys_a_token_that_was_confirmed_before_still_tells(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.cluster.keys_down = True
    assert world.identity.signed(f"Bearer {TOKEN}") is None
    assert isinstance(await resolve(world.identity.caller(f"Bearer {TOKEN}")), AuthenticatedAccount)
    world.pass_seconds(10 * FRESH)
    assert world.identity.signed(f"Bearer {TOKEN}") == AGENT
    # One that was refused tells nothing.
    world.cluster.gone.add("other-uid")
    other = account_token(username=OTHER, uid="other-uid", aud=[ENFORCER_AUDIENCE])
    assert isinstance(await resolve(world.identity.caller(f"Bearer {other}")), RefusedToken)
    assert world.identity.signed(f"Bearer {other}") is None


async def test_it_proves_nothing(tmp_path: Path) -> None:
    world = await known_keys(tmp_path)
    world.cluster.gone.add("agent-uid")
    assert world.identity.signed(f"Bearer {TOKEN}") == AGENT
    assert isinstance(await resolve(world.identity.caller(f"Bearer {TOKEN}")), RefusedToken)
