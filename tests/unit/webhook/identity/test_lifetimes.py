"""How long a token of an issuer with signals may live: no longer than a revocation lasts."""

from pathlib import Path
from typing import Any, Final

import pytest

from unit.webhook.identity.world import NOW, World, person_token, reason_of

LONGEST: Final = 600
SIGNALS: Final = {
    "pollURL": "https://login.corp.example/poll",
    "tokenFile": "ssf.token",
    "audience": "https://bailiwick.example.com",
    "maxTokenSeconds": LONGEST,
}
EXCEEDED: Final = "token_lifetime_exceeded"


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        pytest.param({"iat": NOW, "exp": NOW + LONGEST}, None, id="as long as it may"),
        pytest.param({"iat": NOW, "exp": NOW + LONGEST + 1}, EXCEEDED, id="a second longer"),
        pytest.param({"iat": NOW - 3000, "exp": NOW + 10}, EXCEEDED, id="long, and nearly over"),
        pytest.param({"iat": ..., "exp": NOW + 10}, EXCEEDED, id="since an unknown time"),
        pytest.param({"iat": NOW - LONGEST - 1, "exp": NOW - 1}, "identity_invalid", id="expired"),
    ],
)
async def test_a_token_that_could_outlive_a_revocation_proves_nobody(
    tmp_path: Path, claims: dict[str, Any], reason: str | None
) -> None:
    world = World(tmp_path, signals=SIGNALS)
    for _ in range(2):
        # The second time it may be remembered.
        assert reason_of(await world.verify(person_token(**claims))) == reason


async def test_without_signals_a_token_may_live_as_long_as_its_issuer_says(tmp_path: Path) -> None:
    token = person_token(iat=NOW - 100_000, exp=NOW + 100_000)
    assert reason_of(await World(tmp_path).verify(token)) is None
