"""A machine that cannot have a browser says what is missing, and how to have it."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from browsers import __main__ as browsers
from browsers.chromium import chromium
from browsers.firefox import firefox
from localcluster.node import needs
from localcluster.node.needs import NodeNeedsError


@pytest.fixture(autouse=True)
def _without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(needs, "find", lambda _: None)
    monkeypatch.setattr(sys, "argv", ["browsers", "packages"])


def test_who_is_not_root_is_told_so_with_a_code_of_its_own(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert browsers.main() == 4
    needed = "chromium, firefox-esr, npm cannot be installed here. This machine lacks:\n  - root"
    assert needed in capsys.readouterr().err


@pytest.mark.parametrize(("find", "package"), [(chromium, "chromium"), (firefox, "firefox-esr")])
def test_the_tests_say_how_to_have_one(find: Callable[[], Path], package: str) -> None:
    with pytest.raises(NodeNeedsError, match=rf"apt-get install {package}, or `python -m browsers packages`"):
        find()
