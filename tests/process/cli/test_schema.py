"""`schema` prints what is stored, and knows every kind."""

from pathlib import Path

import pytest

import generate_schemas
from bailiwick_cli.commands import schema
from support import commandline
from support.offlineshell import OfflineShell
from support.pages import blocks


@pytest.mark.parametrize("kind", [*schema.KINDS, "endpointpolicy"])
def test_it_prints_the_stored_file(kind: str) -> None:
    ran = commandline.run("schema", kind)
    known = {one.lower(): one for one in schema.KINDS}[kind.lower()]
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == generate_schemas.path_of(known).read_text(encoding="utf-8")


def test_another_kind_is_an_error_that_names_those_there_are() -> None:
    ran = commandline.run("schema", "Pod")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == f"error: Pod has no schema: the kinds are {', '.join(schema.KINDS)}\n"


def test_what_the_page_types_writes_the_file_that_the_policy_there_names(tmp_path: Path) -> None:
    offline = OfflineShell(tmp_path)
    (typed,) = (block for block in blocks("reference/policy.md", "sh") if "bailiwick schema" in block)
    (policy,) = (block for block in blocks("reference/policy.md", "yaml") if "$schema=" in block)
    offline.succeed(typed)
    named = policy.partition("$schema=")[2].splitlines()[0]
    assert (offline.folder / named).read_text(encoding="utf-8") == generate_schemas.rendered("EndpointPolicy")
