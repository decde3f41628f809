"""No person is called as only service accounts and parts of the cluster are, whatever door they come in by."""

from pathlib import Path
from typing import Any, Final

import pytest

from issuer.keys import acting
from unit.webhook.identity.world import (
    AGENT,
    CLUSTER_URL,
    CORP,
    World,
    account_token,
    endpoint,
    person_token,
    reason_of,
)

RESERVED: Final = "identity_reserved"
NAMES: Final = [AGENT, "system:serviceaccount:", "system:masters", "system:"]
ASSERTED: Final = endpoint(asserted=True)


@pytest.mark.invariant(32)
@pytest.mark.parametrize("claim", ["sub", "email", "upn"])
@pytest.mark.parametrize("name", NAMES)
async def test_a_token_that_names_a_person_so_proves_nobody(tmp_path: Path, name: str, claim: str) -> None:
    world = World(tmp_path, claims={"name": claim})
    claims: dict[str, Any] = {claim: name}
    token = person_token(**claims)
    # Also where nothing but the token names the subject, as behind a proxy.
    for kind, said in (("user", name), ("serviceAccount", name), ("", "")):
        assert reason_of(await world.verify(token, kind=kind, name=said)) == RESERVED


async def test_nor_does_one_that_has_actors(tmp_path: Path) -> None:
    world = World(tmp_path)
    token = person_token(sub=AGENT, **acting([{"sub": AGENT, "iss": CLUSTER_URL}]))
    parties = await world.verify(token, name=AGENT, actor_token=account_token())
    assert reason_of(parties) == RESERVED


async def test_an_actor_within_is_refused_as_before(tmp_path: Path) -> None:
    chain: list[dict[str, Any]] = [{"sub": AGENT, "iss": CLUSTER_URL}, {"sub": AGENT, "iss": CORP}]
    parties = await World(tmp_path).verify(person_token(**acting(chain)), actor_token=account_token())
    assert reason_of(parties) == "delegation_invalid"


async def test_an_actor_within_has_no_such_name_either(tmp_path: Path) -> None:
    world = World(tmp_path, claims={"name": "upn"})
    inner = {"sub": "broker", "iss": CORP, "upn": AGENT}
    token = person_token(upn="dave", **acting([{"sub": AGENT, "iss": CLUSTER_URL}, inner]))
    assert reason_of(await world.verify(token, actor_token=account_token())) == RESERVED


@pytest.mark.parametrize("name", ["System:masters", "oidc:system:x", "systems", "systems:x"])
async def test_another_name_is_a_person_s(tmp_path: Path, name: str) -> None:
    assert reason_of(await World(tmp_path).verify(person_token(sub=name), name=name)) is None


async def test_another_claim_than_the_one_that_names_the_person_may_be_so(tmp_path: Path) -> None:
    world = World(tmp_path, claims={"name": "upn", "kubernetesUsername": "{sub}"})
    parties = await world.verify(person_token(sub=AGENT, upn="dave"))
    assert reason_of(parties) is None
    # The API server would give nobody that name either.
    assert getattr(parties.subject, "username", "none") is None


@pytest.mark.parametrize("name", NAMES)
async def test_an_enforcer_s_word_makes_no_such_person_either(tmp_path: Path, name: str) -> None:
    world = World(tmp_path)
    assert reason_of(await world.verify(None, name=name, settings=ASSERTED)) == RESERVED
    # Who says what a service account is has said so.
    for kind in ("serviceAccount", "service_account"):
        assert reason_of(await world.verify(None, kind=kind, name=name, settings=ASSERTED)) is None
