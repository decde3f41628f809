"""What the API server says of a token, and what is made of it: it decides, and only about the account that it names."""

from pathlib import Path
from typing import Any, Final

import pytest

from bailiwick_process.jwt import compact
from bailiwick_webhook.identity.tokens import RefusedToken
from bailiwick_webhook.steps import resolve
from unit.webhook.identity.world import (
    AGENT,
    AUDIENCE,
    OTHER,
    World,
    account_token,
    proven,
    reason_of,
)

INVALID: Final = "identity_invalid"
USER: Final = {"username": AGENT, "uid": "agent-uid"}
GOOD: Final[dict[str, Any]] = {"authenticated": True, "user": USER, "audiences": [AUDIENCE]}
TOKEN: Final = account_token()
CAROL: Final = {"username": "carol", "uid": "agent-uid"}


def _bound(value: Any) -> str:  # noqa: ANN401 - what stands for the account
    claims: dict[str, Any] = {"kubernetes.io": value}
    return account_token(**claims)


TABLE: Final[dict[str, tuple[dict[str, Any], str]]] = {
    "it is not authenticated": ({**GOOD, "authenticated": False}, TOKEN),
    "it does not say whether it is": ({"user": USER, "audiences": [AUDIENCE]}, TOKEN),
    "it says so in another way": ({**GOOD, "authenticated": "true"}, TOKEN),
    "it is for no audience": ({"authenticated": True, "user": USER}, TOKEN),
    "it is for another audience": ({**GOOD, "audiences": ["other"]}, TOKEN),
    "it is nobody's": ({"authenticated": True, "audiences": [AUDIENCE]}, TOKEN),
    "it is another account's": ({**GOOD, "user": {**USER, "username": OTHER}}, TOKEN),
    "it is an account's that was made anew": ({**GOOD, "user": {**USER, "uid": "newer"}}, TOKEN),
    "it is a person's": ({**GOOD, "user": CAROL}, account_token(sub="carol")),
    "its account has no uid": ({**GOOD, "user": {**USER, "uid": ""}}, account_token(uid="")),
    "its claims name no account": (GOOD, _bound(...)),
    "its claims name an account in another way": (GOOD, _bound("agents")),
    "its claims name an account without a uid": (GOOD, _bound({"serviceaccount": AGENT})),
    "nothing": ({}, TOKEN),
}


@pytest.mark.parametrize(("says", "token"), TABLE.values(), ids=TABLE)
async def test_a_token_is_nobodys_where_the_api_server_says_of_it_that(
    tmp_path: Path, says: dict[str, Any], token: str
) -> None:
    world = World(tmp_path)
    world.cluster.says = says
    name = (says.get("user") or USER)["username"]
    found = [await world.verify(token, kind="serviceAccount", name=name) for _ in range(2)]
    assert [reason_of(one) for one in found] == [INVALID] * 2
    assert world.cluster.reviewed == [token]


async def test_a_token_is_the_accounts_that_the_api_server_names(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.cluster.says = GOOD
    found = proven(await world.verify(TOKEN, kind="serviceAccount", name=AGENT))
    assert (found.id, found.uid) == (AGENT, "agent-uid")


# Without its keys nothing is verified here before the API server is asked.
@pytest.mark.parametrize(
    ("audience", "reason"),
    [
        ("other", "audience_mismatch"),
        (["other", "another"], "audience_mismatch"),
        (["other", {"not": "text"}], "audience_mismatch"),
        (AUDIENCE, INVALID),
        (["other", AUDIENCE], INVALID),
        (..., INVALID),
    ],
)
async def test_a_token_for_somebody_else_is_told_so(tmp_path: Path, audience: object, reason: str) -> None:
    world = World(tmp_path)
    world.cluster.keys_down = True
    world.cluster.says = {"authenticated": False}
    found = await world.verify(account_token(aud=audience), kind="serviceAccount", name=AGENT)
    assert reason_of(found) == reason


@pytest.mark.parametrize("keys_down", [False, True], ids=["its keys are known", "its keys are not known"])
async def test_a_token_that_is_bound_to_a_key_proves_no_caller_and_no_subject_whatever_the_api_server_says(
    tmp_path: Path, keys_down: bool
) -> None:
    world = World(tmp_path)
    world.cluster.keys_down = keys_down
    world.cluster.says = GOOD
    bound = account_token(cnf={"jkt": "x"})
    found = await resolve(world.identity.caller(f"Bearer {bound}"))
    assert isinstance(found, RefusedToken)
    assert found.reason.value == "possession_unproven"
    assert reason_of(await world.verify(bound, kind="serviceAccount", name=AGENT)) == "possession_unproven"
    assert world.cluster.reviewed == []


@pytest.mark.parametrize("text", ["garbage", "a.b.c", TOKEN[:-10], "x" * (compact.MAX_TOKEN + 1)])
async def test_a_caller_who_shows_no_token_is_nobody(tmp_path: Path, text: str) -> None:
    world = World(tmp_path)
    for _ in range(2):
        found = await resolve(world.identity.caller(f"Bearer {text}"))
        assert isinstance(found, RefusedToken)
        assert found.reason.value == INVALID
    assert world.cluster.reviewed == []
