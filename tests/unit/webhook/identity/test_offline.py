"""Tokens of service accounts by published keys alone: what is remembered of them, and what ends that."""

import json
from pathlib import Path

import pytest
from joserfc.jwk import ECKey

from bailiwick_api.issuers import IssuerConfig
from bailiwick_engine.reasons import Reason
from bailiwick_process.jwt import compact as compact_tokens
from bailiwick_process.jwt.jwks import PublishedKey
from bailiwick_webhook.identity.jwt import verifier as verifiers
from bailiwick_webhook.identity.jwt.issuers import Issuer
from bailiwick_webhook.identity.offline import Offline
from bailiwick_webhook.identity.tokens import AuthenticatedAccount, RefusedToken
from bailiwick_webhook.steps import Need, resolve
from unit.webhook.identity.forgery import compact, signing
from unit.webhook.identity.world import AGENT, AUDIENCE, CLUSTER_URL, EC, NEXT_EC, NOW, jwks

WANTED = frozenset({AUDIENCE})


class World:
    """An issuer over a file of keys, and clocks that stand still. `verified`: how many signatures were."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.monotonic, self.time, self.verified = 0.0, NOW, 0
        self.file = folder / "keys.json"
        self.publish(EC)
        config = IssuerConfig.model_validate({"name": "cluster", "issuer": CLUSTER_URL, "jwksFile": str(self.file)})
        self.issuer = Issuer(config, lambda: self.monotonic, lambda: self.time)
        self.offline = Offline(self.issuer)
        verifies = PublishedKey.verifies

        def counted(key: PublishedKey, parsed: compact_tokens.CompactToken) -> bool:
            self.verified += 1
            return verifies(key, parsed)

        monkeypatch.setattr(PublishedKey, "verifies", counted)

    def publish(self, *keys: ECKey) -> None:
        self.file.write_text(json.dumps(jwks(*keys)))

    def token(self, **claims: object) -> str:
        account = {"kubernetes.io": {"serviceaccount": {"name": "crm-agent", "uid": "u-1"}}}
        times = {"iat": NOW - 1, "exp": NOW + 600}
        made = {"iss": CLUSTER_URL, "sub": AGENT, "aud": [AUDIENCE], **times, **account, **claims}
        return compact({"alg": "ES256", "kid": EC.kid}, made, signing(EC, "ES256"))

    async def prove(self, token: str) -> AuthenticatedAccount | RefusedToken:
        return await resolve(self.offline.authenticate(token, WANTED))

    def known(self, token: str, audiences: frozenset[str] = WANTED) -> AuthenticatedAccount | RefusedToken | None:
        """Return what is told of a token without a look at it; None where it has to be verified."""
        before, step = self.verified, self.offline.authenticate(token, audiences)
        return None if isinstance(step, Need) or self.verified > before else step


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return World(tmp_path, monkeypatch)


async def test_a_token_is_verified_and_taken_apart_once_however_often_it_is_shown(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = world.token()
    assert world.known(token) is None
    first = await world.prove(token)
    assert isinstance(first, AuthenticatedAccount)
    monkeypatch.setattr(compact_tokens, "parse", None)
    for _ in range(10):
        assert world.known(token) == await world.prove(token) == first
    assert world.verified == 1


async def test_what_is_known_of_a_token_ends_with_it(world: World) -> None:
    token = world.token(exp=NOW + 5)
    assert isinstance(await world.prove(token), AuthenticatedAccount)
    world.time = NOW + 5
    assert world.known(token) == await world.prove(token) == RefusedToken(Reason.IDENTITY_INVALID)


async def test_what_is_known_of_a_token_serves_no_other_audience(world: World) -> None:
    token, other = world.token(), frozenset({"other.crm"})
    assert isinstance(await world.prove(token), AuthenticatedAccount)
    assert world.known(token, other) == RefusedToken(Reason.AUDIENCE_MISMATCH)
    assert await resolve(world.offline.authenticate(token, other)) == RefusedToken(Reason.AUDIENCE_MISMATCH)


async def test_what_is_known_of_a_token_ends_when_its_issuer_withdraws_the_key(world: World) -> None:
    token = world.token()
    assert isinstance(await world.prove(token), AuthenticatedAccount)
    world.publish(NEXT_EC)
    world.monotonic += 31
    await world.issuer.keys.after_unknown()
    assert world.known(token) is None
    assert await world.prove(token) == RefusedToken(Reason.IDENTITY_INVALID)


async def test_what_is_known_of_a_token_ends_when_the_keys_could_not_be_read_for_too_long(world: World) -> None:
    token = world.token()
    assert isinstance(await world.prove(token), AuthenticatedAccount)
    world.file.unlink()
    world.monotonic += 3_601
    assert world.known(token) is None
    assert await world.prove(token) == RefusedToken(Reason.IDENTITY_UNVERIFIABLE)


async def test_what_is_known_of_a_token_is_verified_again_after_a_while(world: World) -> None:
    token = world.token()
    assert isinstance(await world.prove(token), AuthenticatedAccount)
    world.monotonic += verifiers.KEPT_SECONDS + 1
    assert world.known(token) is None
    assert isinstance(await world.prove(token), AuthenticatedAccount)
    assert world.verified == 2


async def test_another_token_with_the_same_claims_is_another_token(world: World) -> None:
    token = world.token()
    assert isinstance(await world.prove(token), AuthenticatedAccount)
    head, claims, signature = token.split(".")
    forged = f"{head}.{claims}.{'A' if signature[0] != 'A' else 'B'}{signature[1:]}"
    assert world.known(forged) is None
    assert await world.prove(forged) == RefusedToken(Reason.IDENTITY_INVALID)


async def test_a_token_that_is_too_long_is_never_known(world: World) -> None:
    assert await world.prove("x" * 20_000) == RefusedToken(Reason.IDENTITY_INVALID)
