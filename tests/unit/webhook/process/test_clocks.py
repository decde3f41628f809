"""By which of two clocks a decision point with a cluster judges."""

import contextlib
from pathlib import Path
from typing import Any, Final, cast

import pytest
import yaml

from bailiwick_api.issuers import IssuerConfig
from bailiwick_api.serverclock import ServerClock
from bailiwick_kube.responses import ApiResponse
from bailiwick_webhook import main
from bailiwick_webhook.identity.subject import ByToken
from bailiwick_webhook.pipeline.observer import unobserved
from bailiwick_webhook.process.settings import parse
from support.pdp.alone import KeptRecords
from support.transport import FakeTransport
from unit.engine.cases import NOW

APART: Final = (-86_400.0, -20.0, 0.0, 20.0, 86_400.0)


@pytest.mark.parametrize("ours", APART)
async def test_what_gives_rights_ends_by_the_later_of_both_clocks(
    ours: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = ServerClock(lambda: NOW + ours, lambda: 1000.0)
    clock.record_answer(NOW, 1000.0)
    transport = FakeTransport(lambda _: ApiResponse(404, {}, NOW))
    transport.clock = clock
    monkeypatch.setattr(main, "access", lambda _: None)
    monkeypatch.setattr(main, "HttpTransport", lambda *_: transport)
    issuers = tmp_path / "issuers.yaml"
    keys = tmp_path / "keys.json"
    keys.write_text('{"keys": []}')
    entry = {"name": "corp", "issuer": "https://login.corp.example", "jwksFile": str(keys)}
    issuers.write_text(yaml.safe_dump({"issuers": [entry]}))
    settings = parse(["--issuers", str(issuers)])
    async with contextlib.AsyncExitStack() as stack:
        records = cast("Any", KeptRecords())
        (_, identity, pdp, _), _ = main._parts(settings, records, stack, unobserved)
    assert isinstance(identity, ByToken)
    tokens: Any = identity._tokens
    corp: Any = identity._issuers.find(IssuerConfig.model_validate(entry).issuer)
    opener: Any = pdp._opener
    ends = {
        "rules": pdp._evaluator.inputs().now,
        "grants": opener._around().now,
        "confirmed tokens": tokens._now(),
        "tokens of accounts": tokens._verifier._now(),
        "tokens of people": corp.verifier._now(),
    }
    assert ends == dict.fromkeys(ends, max(NOW + ours, NOW + 1.0))
    # What begins does so by our own clock.
    assert [tokens._verifier._begun(), corp.verifier._begun()] == [NOW + ours] * 2
