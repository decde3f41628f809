"""`docs/tutorials/approve-and-be-approved.md`, typed from its first line to its last before the demo's processes."""

import re
from pathlib import Path

import pytest

from demo.stack import Stack
from support.pages import DOCS
from support.shell import Shell, succeeded
from support.tutorials import MARK, shown, typed

pytestmark = pytest.mark.long

PAGE = "tutorials/approve-and-be-approved.md"
# What differs from one cluster to the next: names of requests, UIDs, times, and how long until then.
OWN = re.compile(r"\breq-\w+|\b[0-9a-f]{8}-[0-9a-f-]{27}\b|\b\d{4}-\d\d-\d\dT[\d:]+Z|\(in \w+\)")


def test_the_tutorial_asks_approves_and_takes_back(stack: Stack, tmp_path: Path) -> None:
    text = (DOCS / PAGE).read_text(encoding="utf-8")
    said = succeeded(Shell(stack.cluster, PAGE, tmp_path).type("".join(typed(text))))
    parts = said.split(f"{MARK}\n")
    request, refusal = shown(text)
    assert OWN.sub("", parts[0]).endswith(f"\n{OWN.sub('', request)}\n")
    assert parts[1] == f"{refusal}\n"
    asked, rest = parts[0], parts[2]
    assert asked.count("approval required  approval_required\n") == 1
    assert "the auditors want the file of customer 42" in asked
    approved, _, revoked = rest.partition(" revoked\n")
    assert "allow  allowed\n" in approved
    assert approved.count("approval required  approval_required\n") == 1
    assert "approval required  " in revoked
    assert "Revoked" in revoked
