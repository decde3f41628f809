"""Case S1 through a real Envoy, before an API that asks nobody: the very steps of `make demo`."""

import pytest

from demo.enforcement import envoy
from demo.enforcement.s1envoy import S1Envoy
from demo.ground import ROOT
from demo.narrator import Silent
from demo.stack import Stack
from proxies.envoy import ProxyError, ensure


def test_an_agent_exports_through_envoy_only_what_was_approved_and_nothing_else_reaches_the_api(stack: Stack) -> None:
    try:
        program = ensure()
    except ProxyError as error:
        pytest.skip(str(error))
    S1Envoy(stack, Silent(), envoy.start(stack, program)).play()


def test_the_api_behind_envoy_has_no_line_of_bailiwick() -> None:
    text = (ROOT / "examples" / "enforcement" / "plain_crm.py").read_text(encoding="utf-8")
    assert "bailiwick" not in text.lower()
