"""Files of others in the console are those of their releases, with their licence, and reach for nothing outside."""

import hashlib
import re
import tomllib
from pathlib import Path
from typing import Any, Final

import pytest

import bailiwick_console
from bailiwick_console.markup import pages

FOLDER: Final = Path(bailiwick_console.__file__).parent / "vendored"
MANIFEST: Final[dict[str, Any]] = tomllib.loads((FOLDER / "manifest.toml").read_text(encoding="utf-8"))
FILES: Final = {name: entry for one in MANIFEST.values() for name, entry in one["files"].items()}


def test_the_manifest_names_each_file_and_no_other() -> None:
    assert sorted(FILES) == sorted(path.name for path in FOLDER.iterdir() if path.name != "manifest.toml")


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_the_one_of_its_release(name: str) -> None:
    assert hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() == FILES[name]["sha256"]


@pytest.mark.parametrize("name", MANIFEST)
def test_each_has_a_version_and_a_licence_that_lets_it_be_passed_on(name: str) -> None:
    one = MANIFEST[name]
    assert re.fullmatch(r"\d+\.\d+\.\d+", one["version"])
    assert one["version"] in one["package"]
    assert re.fullmatch("[0-9a-f]{64}", one["package-sha256"])
    assert one["licence"] == "MIT"
    assert "Permission is hereby granted, free of charge" in (FOLDER / one["text"]).read_text(encoding="utf-8")


def test_what_is_served_of_others_is_in_the_manifest_and_what_is_ours_is_not() -> None:
    texts = {one["text"] for one in MANIFEST.values()}
    assert set(pages.VENDORED) == set(FILES) - texts
    assert not set(pages.VENDORED) & set(pages.STATIC)
    for name in (*pages.VENDORED, *pages.STATIC):
        assert pages.static(name) is not None
    assert pages.static("manifest.toml") is None


@pytest.mark.parametrize("name", [*pages.VENDORED, *pages.STATIC])
def test_no_file_reaches_outside_or_makes_markup_of_text(name: str) -> None:
    found = pages.static(name)
    assert found is not None
    text = found[0].decode()
    for unwanted in ("url(", "@import", "sourceMappingURL", "innerHTML", "outerHTML", "insertAdjacentHTML", "eval("):
        assert unwanted not in text, unwanted
    assert "new Function" not in text
