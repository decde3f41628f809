"""Keys come and go while the process runs, and nobody who sends tokens decides how often they are read."""

from pathlib import Path

import pytest

from bailiwick_process.jwt.keyset import MAX_AGE, UNKNOWN_SECONDS, IssuerKeys, KeySet
from bailiwick_webhook.identity.jwt.verifier import KEPT_SECONDS
from unit.webhook.identity.world import (
    AGENT,
    EC,
    NEXT_EC,
    NEXT_RSA,
    RSA,
    World,
    account_token,
    jwks,
    person_token,
    reason_of,
)


async def _account(world: World, token: str) -> str | None:
    return reason_of(await world.verify(token, kind="serviceAccount", name=AGENT))


async def test_a_new_key_is_found_by_the_first_token_that_names_it(tmp_path: Path) -> None:
    world = World(tmp_path)
    assert await _account(world, account_token()) is None
    world.cluster.published = jwks(NEXT_RSA, RSA)
    world.pass_seconds(UNKNOWN_SECONDS)
    assert await _account(world, account_token(key=NEXT_RSA)) is None
    assert await _account(world, account_token(note="another")) is None
    assert world.cluster.keys_read == 2


async def test_an_unknown_key_costs_one_reading_in_thirty_seconds_however_many_ask(tmp_path: Path) -> None:
    world = World(tmp_path)
    assert await _account(world, account_token()) is None
    world.pass_seconds(UNKNOWN_SECONDS)
    for number in range(20):
        assert await _account(world, account_token({"kid": f"made-up-{number}"})) == "identity_invalid"
    assert world.cluster.keys_read == 2
    # The price: a key that is published meanwhile waits.
    world.cluster.published = jwks(NEXT_RSA)
    world.pass_seconds(UNKNOWN_SECONDS - 1)
    assert await _account(world, account_token(key=NEXT_RSA)) == "identity_invalid"
    world.pass_seconds(1)
    assert await _account(world, account_token(key=NEXT_RSA)) is None


async def test_a_withdrawn_key_is_forgotten_with_all_that_it_signed(tmp_path: Path) -> None:
    world = World(tmp_path)
    old = person_token()
    assert reason_of(await world.verify(old)) is None
    world.publish(NEXT_EC)
    world.pass_seconds(UNKNOWN_SECONDS)
    # Remembered until the keys are read anew, at most as long as `run` takes to come round.
    assert reason_of(await world.verify(old)) is None
    assert reason_of(await world.verify(person_token(key=NEXT_EC))) is None
    assert reason_of(await world.verify(old)) == "identity_invalid"


async def test_a_verified_token_is_remembered_for_a_minute_and_never_past_its_end(tmp_path: Path) -> None:
    world = World(tmp_path)
    token = person_token(exp=int(world.now) + 30)
    assert reason_of(await world.verify(token)) is None
    world.pass_seconds(30)
    assert reason_of(await world.verify(token)) == "identity_invalid"
    assert KEPT_SECONDS == 60


@pytest.mark.parametrize(
    "broken", ["", "{}", '{"keys": []}', '{"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}', "nonsense"]
)
async def test_what_is_no_set_of_keys_leaves_the_old_one_for_an_hour(tmp_path: Path, broken: str) -> None:
    world = World(tmp_path)
    assert reason_of(await world.verify(person_token())) is None
    world.corp_keys.write_text(broken)
    world.pass_seconds(UNKNOWN_SECONDS)
    assert reason_of(await world.verify(person_token({"kid": "unknown"}))) == "identity_invalid"
    assert reason_of(await world.verify(person_token())) is None
    world.clock += MAX_AGE
    assert reason_of(await world.verify(person_token())) == "identity_unverifiable"
    world.publish(EC)
    world.clock += UNKNOWN_SECONDS
    assert reason_of(await world.verify(person_token())) is None


async def test_what_nobody_foresaw_of_an_issuer_is_as_if_it_did_not_answer() -> None:
    async def fetch() -> IssuerKeys:
        raise ZeroDivisionError

    assert await KeySet("corp", fetch).published() is None


async def test_an_issuer_whose_keys_were_never_read_vouches_for_nobody(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.corp_keys.unlink()
    assert reason_of(await world.verify(person_token())) == "identity_unverifiable"
    world.publish(EC)
    world.clock += UNKNOWN_SECONDS
    assert reason_of(await world.verify(person_token())) is None


async def test_without_the_clusters_keys_the_api_server_decides_alone(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.cluster.keys_down = True
    assert await _account(world, account_token()) is None
    assert len(world.cluster.reviewed) == 1
    world.cluster.gone.add("agent-uid")
    assert await _account(world, account_token(note="another")) == "identity_invalid"
    for claims in ({"exp": ...}, {"exp": int(world.now) - 1}):
        world.cluster.gone.clear()
        assert await _account(world, account_token(**claims)) == "identity_invalid"
