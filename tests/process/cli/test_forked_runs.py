"""Runs of the command line that tests fork are as those that are started, and share nothing."""

import os
import signal
from pathlib import Path

import pytest

from support import commandline
from support.commandline import CommandServer, environment
from support.pages import DOCS

EXAMPLE = str(DOCS.parent / "examples" / "crm" / "policy.yaml")
CALL = ("check", "customers.list", "customer/1", "--subject", "sa:agents/crm-agent", "-f")


@pytest.mark.parametrize(
    ("arguments", "given"),
    [
        ((*CALL, EXAMPLE), ""),
        ((*CALL, "-"), Path(EXAMPLE).read_text(encoding="utf-8")),
        ((*CALL, "nowhere.yaml"), ""),
        (("no-such-command",), ""),
        (("--version",), ""),
    ],
    ids=["a file", "standard input", "no file", "no command", "the version"],
)
def test_a_forked_run_ends_and_prints_as_one_that_is_started(arguments: tuple[str, ...], given: str) -> None:
    assert commandline.run(*arguments, given=given) == commandline.started(*arguments, given=given)


def test_a_run_has_the_folder_and_the_environment_of_its_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "policy.yaml").write_text(Path(EXAMPLE).read_text(encoding="utf-8"), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert commandline.run(*CALL, "policy.yaml").code == 0
    assert "/of-this-run" in commandline.run("list", env={"KUBECONFIG": "/of-this-run"}).err
    assert "/of-this-run" not in commandline.run("list", env={"KUBECONFIG": "/of-another"}).err


def test_where_the_process_ends_it_is_told_and_the_next_run_has_another() -> None:
    server = CommandServer()
    assert server.run(["--version"], environment(None), "") is not None
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    with pytest.raises(RuntimeError, match="ended with -9"):
        server.run(["--version"], environment(None), "")
    again = server.run(["--version"], environment(None), "")
    assert again is not None
    assert again.code == 0
