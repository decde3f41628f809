"""Every command that reads policies refuses a folder without policies, and a pipe without a writer."""

import os
import shlex
import subprocess
from pathlib import Path
from typing import Final

import pytest

from support import commandline
from support.commandline import PROGRAM

EXAMPLE: Final = Path(__file__).parents[3] / "examples" / "crm"
POLICIES: Final = EXAMPLE / "policy.yaml"
TESTS: Final = EXAMPLE / "tests"
CALL: Final = "customers.list customer/1 --subject sa:agents/crm-agent"
COMMANDS: Final = (
    "validate {full} {folder}",
    f"check {CALL} -f {{full}} -f {{folder}}",
    f"explain {CALL} -f {{full}} -f {{folder}}",
    "who-can customers.list --on customer/1 -f {full} -f {folder}",
    "what-can sa:agents/crm-agent -f {full} -f {folder}",
    "coverage -f {full} -f {folder}",
    "unused {log} -f {full} -f {folder}",
    "suggest {log} -f {full} -f {folder}",
    "replay {log} --candidate {full} --candidate {folder}",
    "fleet status --against {full} --against {folder}",
    "test {tests} -f {full} -f {folder}",
)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_folder_without_policies_is_an_error_also_beside_others(tmp_path: Path, command: str) -> None:
    folder, log = tmp_path / "folder", tmp_path / "log"
    folder.mkdir()
    log.touch()
    words = command.format(full=POLICIES, folder=folder, log=log, tests=TESTS).split()
    ran = commandline.run(*words, env={"KUBECONFIG": "/nowhere"})
    assert (ran.code, f"{folder}: no EndpointPolicy found" in ran.err) == (2, True), ran


def test_a_state_that_is_compared_may_have_no_policy(tmp_path: Path) -> None:
    (tmp_path / "before").mkdir()
    ran = commandline.run("diff", str(tmp_path / "before"), str(POLICIES))
    assert (ran.code, "WIDER" in ran.out, ran.err) == (1, True, ""), ran


@pytest.mark.parametrize(("pattern", "code"), [("folder", 2), ("f*r", 0)], ids=["a name", "a pattern"])
def test_a_folder_without_policies_is_an_error_in_a_test_that_names_it(tmp_path: Path, pattern: str, code: int) -> None:
    (tmp_path / "folder").mkdir()
    text = (TESTS / "policy_test.yaml").read_text(encoding="utf-8")
    file = tmp_path / "a_test.yaml"
    file.write_text(text.replace("policies: [../policy.yaml]", f"policies: [{POLICIES}, {pattern}]"), encoding="utf-8")
    ran = commandline.run("test", str(file))
    assert (ran.code, f"{tmp_path / 'folder'}: no EndpointPolicy found" in ran.err) == (code, code == 2), ran


def test_what_a_shell_writes_into_a_pipe_is_read_and_a_pipe_without_a_writer_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    program = shlex.join([*PROGRAM, "validate"])
    for given, code, said in (
        (f"<(sleep 0.2; cat {POLICIES})", 0, "1 policies: 0 errors, 0 warnings\n"),
        (str(tmp_path / "pipe"), 2, f"error: {tmp_path / 'pipe'} cannot be read: it is a pipe without a writer\n"),
    ):
        done = subprocess.run(
            ["bash", "-c", f"{program} {given}"],
            capture_output=True,
            text=True,
            timeout=commandline.patience(),
            check=False,
        )
        assert (done.returncode, done.stdout + done.stderr) == (code, said)
