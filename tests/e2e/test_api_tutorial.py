"""The first section of `docs/tutorials/protect-an-api-in-a-cluster.md`, typed in front of the demo's processes."""

from pathlib import Path

import pytest

from demo.stack import Stack
from support.pages import DOCS
from support.shell import Shell, succeeded
from support.tutorials import MARK, section, shown, typed

pytestmark = pytest.mark.long

FIRST = "tutorials/protect-an-api.md"
PAGE = "tutorials/protect-an-api-in-a-cluster.md"


def test_the_policy_of_the_first_part_decides_in_the_cluster(stack: Stack, tmp_path: Path) -> None:
    page = (DOCS / PAGE).read_text(encoding="utf-8")
    text = section(page, "1. Apply the policy", "2. Run the API in a pod")
    policy = typed(section((DOCS / FIRST).read_text(encoding="utf-8"), "2. Write the policy", "3. Test it"))
    done = Shell(stack.cluster, PAGE, tmp_path).type("".join([*policy, *typed(text)]))
    said = succeeded(done)
    assert "allow  allowed\n" in said
    assert "approval required  approval_required\n" in said
    assert "\nshop-agent   shop-api   Enforce " in said
    # What cannot be requested in advance is complained of, and its exit code follows.
    complaint, code = shown(text)[0].splitlines()
    assert f"{complaint}\n" in done.stderr
    assert f"\n{code}\n{MARK}\n" in said
