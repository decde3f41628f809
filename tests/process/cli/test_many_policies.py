"""As many policies as an installation has, one more than are read, and more of them than a file may have, piped in."""

import json
import subprocess
from pathlib import Path
from typing import Final

import pytest

from bailiwick_api.documents.policyfiles import MAX_FILES
from bailiwick_api.documents.positions import MAX_BYTES, MAX_STREAM_BYTES
from support import commandline
from support.objects import Object, policy, rule, settings, subject
from support.pages import DOCS

POLICY: Final = policy("crm", rules=[rule()], endpointSettings=settings())
# Of one line, as most of these files would be of a hundred.
COMMENT: Final = "# nothing\n"


def folder(path: Path, files: int) -> Path:
    """Write one policy beside so many files that say nothing."""
    path.mkdir()
    (path / "policy.yaml").write_text(json.dumps(POLICY), encoding="utf-8")
    for number in range(files - 1):
        (path / f"{number}.yaml").write_text(COMMENT, encoding="utf-8")
    return path


def rendered(size: int, *objects: Object) -> str:
    """Return objects between ConfigMaps that make up so many bytes, as a chart renders them."""
    other = json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "x" * 100_000}})
    texts = [other] * (size // len(other) + 1)
    return "\n---\n".join((*texts, *map(json.dumps, objects)))


@pytest.mark.long
def test_ten_thousand_files_are_read_and_one_more_is_told(tmp_path: Path) -> None:
    most = folder(tmp_path / "most", MAX_FILES)
    assert MAX_FILES == 10_000
    ran = commandline.run("check", "--subject", "sa:agents/crm-agent", "customers.list", "customer/1", "-f", str(most))
    assert ran.code == 0, ran
    (most / "more.yaml").write_text(COMMENT, encoding="utf-8")
    said = f"error: {most} cannot be read: {most} has more than 10000 files\n"
    for words in (
        ("check", "--subject", "sa:agents/crm-agent", "customers.list", "customer/1", "-f", str(most)),
        ("validate", str(most)),
        ("diff", str(most), str(most)),
        ("who-can", "customers.list", "--on", "customer/1", "-f", str(most)),
    ):
        ran = commandline.run(*words)
        assert (ran.code, ran.out, ran.err) == (2, "", said), ran


@pytest.mark.long
@pytest.mark.timeout(900)
def test_ten_thousand_policies_are_compared(tmp_path: Path) -> None:
    for side in ("base", "head"):
        (tmp_path / side).mkdir()
        for number in range(MAX_FILES):
            more = {"endpointSettings": settings()} if number == 0 else {}
            actions = ["customers.list", "customers.get"] if (side, number) == ("head", 5_000) else ["customers.list"]
            # Of a subject each: nobody is served whom 10,000 rules name.
            agents = [subject(account=f"agent-{number}")]
            made = policy("crm", f"p{number}", rules=[rule(actions=actions)], subjects=agents, **more)
            (tmp_path / side / f"{number}.yaml").write_text(json.dumps(made), encoding="utf-8")
    words = ("diff", str(tmp_path / "base"), str(tmp_path / "head"), "-o", "json")
    ran = subprocess.run([*commandline.PROGRAM, *words], capture_output=True, text=True, check=False)
    assert (ran.returncode, json.loads(ran.stdout)["totals"]["wider"]) == (1, 1), ran
    assert "sa:agents/agent-5000" in ran.stdout


def test_a_rendered_chart_may_be_larger_than_a_file() -> None:
    text = rendered(3 * MAX_BYTES, POLICY)
    call = ("--subject", "sa:agents/crm-agent", "customers.list", "customer/1")
    assert commandline.run("check", *call, "-f", "-", given=text).code == 0
    ran = commandline.run("validate", "-", "-o", "json", given=text)
    assert (ran.code, json.loads(ran.out)["findings"]) == (0, []), ran


def test_a_policy_in_a_chart_is_not_larger_than_in_a_file() -> None:
    text = rendered(0, {**POLICY, "metadata": {**POLICY["metadata"], "annotations": {"a": "x" * MAX_BYTES}}})
    ran = commandline.run("validate", "-", given=text)
    assert (ran.code, f"the document is larger than {MAX_BYTES} bytes" in ran.out) == (1, True), ran


def test_more_than_the_largest_chart_is_not_read() -> None:
    text = rendered(MAX_STREAM_BYTES, POLICY)
    told = f"standard input:1:1: the file: larger than {MAX_STREAM_BYTES} bytes"
    ran = commandline.run("diff", "-", str(DOCS.parent / "examples" / "crm" / "policy.yaml"), given=text)
    assert (ran.code, ran.out, told in ran.err) == (2, "", True), ran
    ran = commandline.run("check", "--subject", "sa:a/b", "c.list", "c/1", "-f", "-", given=text)
    assert (ran.code, told in ran.err) == (2, True), ran
