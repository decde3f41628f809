"""A token that was proven is not taken apart again, and nothing else about it is taken for granted."""

from pathlib import Path

import pytest

from bailiwick_api.accounts import ENFORCER_AUDIENCE
from bailiwick_engine.call import Party
from bailiwick_process.jwt import compact
from bailiwick_webhook.identity.jwt.tokencache import TokenCache
from bailiwick_webhook.identity.tokens import AuthenticatedAccount
from bailiwick_webhook.steps import resolve
from unit.webhook.identity.world import AGENT, NOW, World, account_token, person_token, reason_of


@pytest.mark.parametrize("token", [account_token(), person_token(), person_token({"kid": None})])
def test_what_is_remembered_is_what_would_be_parsed(token: str) -> None:
    apart = TokenCache()
    parsed = compact.parse(token)
    assert apart.parse(token) == parsed
    if parsed is not None:
        apart.keep(parsed)
        apart.keep(parsed)
    assert apart.parse(token) == parsed


@pytest.mark.parametrize(
    "token",
    [
        "",
        "a.b.c",
        "\ud800",
        "x" * (compact.MAX_TOKEN + 1),
        *(account_token() + stray for stray in (" ", "=", "+", "/", "\n", ".", ".x", "\0")),
        *(stray + account_token() for stray in (" ", "=", ".")),
        account_token().replace(".", ".\n", 1),
        account_token().replace(".", "=.", 1),
        account_token().rpartition(".")[0] + ".",
    ],
)
def test_what_is_no_token_stays_none(token: str) -> None:
    apart = TokenCache()
    assert apart.parse(token) is None
    assert apart.parse(token) is None


def test_no_token_is_kept() -> None:
    apart = TokenCache()
    parsed = compact.parse(account_token())
    assert parsed is not None
    apart.keep(parsed)
    assert parsed.token not in repr(vars(apart))


@pytest.mark.parametrize(
    ("token", "kind", "name"),
    [
        (account_token(exp=int(NOW) + 60), "serviceAccount", AGENT),
        (person_token(exp=int(NOW) + 60), "user", "dave"),
    ],
)
async def test_a_known_token_ends_all_the_same(tmp_path: Path, token: str, kind: str, name: str) -> None:
    world = World(tmp_path)
    for _ in range(2):
        assert isinstance((await world.verify(token, kind=kind, name=name)).subject, Party)
    world.pass_seconds(60)
    assert reason_of(await world.verify(token, kind=kind, name=name)) == "identity_invalid"


async def test_a_known_token_with_another_signature_is_another(tmp_path: Path) -> None:
    world = World(tmp_path)
    token = account_token()
    await world.verify(token, kind="serviceAccount", name=AGENT)
    head, signature = token.rsplit(".", 1)
    forged = f"{head}.{signature[:-8]}AAAAAAAA"
    assert reason_of(await world.verify(forged, kind="serviceAccount", name=AGENT)) == "identity_invalid"


@pytest.mark.parametrize(
    ("scheme", "taken"), [("Bearer ", True), ("bearer ", True), ("Basic ", False), ("Bearer", False), ("", False)]
)
async def test_a_caller_is_whom_a_bearer_token_names(tmp_path: Path, scheme: str, taken: bool) -> None:
    world = World(tmp_path)
    shown = scheme + account_token(aud=[ENFORCER_AUDIENCE])
    found = await resolve(world.identity.caller(shown))
    assert isinstance(found, AuthenticatedAccount) is taken
    again = world.identity.caller(shown)
    assert again == found
    assert (len(world.cluster.reviewed) == 1) is taken
