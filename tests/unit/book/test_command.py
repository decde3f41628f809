"""The command line of the site: what cannot be done is said, and the exit code is 1."""

from pathlib import Path

import pytest

from book import __main__, site


def test_what_ends_a_build_is_printed_line_by_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def build(version: str) -> Path:
        raise site.BookError(f"{version}: first\nsecond")

    monkeypatch.setattr(site, "build", build)
    assert __main__.main(["build", "--version", "0.9.0"]) == 1
    assert capsys.readouterr().err == "docs: 0.9.0: first\ndocs: second\n"


def test_a_site_that_was_not_built_is_not_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(site, "SITE", tmp_path)
    assert __main__.main(["serve", "--port", "0"]) == 1
    assert "run 'make docs'" in capsys.readouterr().err
