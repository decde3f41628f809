"""Case S1 through a real Envoy, before an API that asks nobody: the very steps of `make demo`."""

import platform
import sys

import pytest

from demo.enforcement import envoy
from demo.enforcement.s1envoy import S1Envoy
from demo.ground import ROOT
from demo.narrator import Silent
from demo.stack import Stack
from proxies.envoy import ensure


@pytest.mark.skipif(
    (sys.platform, platform.machine()) != ("linux", "x86_64"), reason="Envoy's wheel is for Linux on x86-64 alone"
)
def test_an_agent_exports_through_envoy_only_what_was_approved_and_nothing_else_reaches_the_api(stack: Stack) -> None:
    S1Envoy(stack, Silent(), envoy.start(stack, ensure())).play()


def test_the_api_behind_envoy_has_no_line_of_bailiwick() -> None:
    text = (ROOT / "examples" / "enforcement" / "plain_crm.py").read_text(encoding="utf-8")
    assert "bailiwick" not in text.lower()
