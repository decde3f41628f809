"""Help is quick, whole, and written as people call the plugin."""

import json
import re
import shlex
import subprocess
import sys
from importlib.metadata import version
from typing import Final

import pytest

from bailiwick_cli import main
from bailiwick_cli.commands import list as list_command
from bailiwick_cli.verbs.table import COMMANDS, GROUPS
from support import commandline
from support.pages import DOCS

HEAVY: Final = (
    *("kubernetes", "urllib3", "yaml", "rich", "msgspec", "cel_expr_python"),
    *("aiohttp", "jinja2"),
    *("bailiwick_api", "bailiwick_engine", "bailiwick_evidence", "cryptography"),
)
EVERY: Final = (*COMMANDS, *(f"audit {name}" for name in GROUPS["audit"]), "history show")
HELP: Final = """
import contextlib, io, sys
from bailiwick_cli.main import main
sys.argv[1:] = {arguments!r}
with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()) as out:
    main()
assert out.getvalue().startswith("Usage: kubectl bailiwick"), out.getvalue()
print(*sys.modules, sep="\\n")
"""


@pytest.mark.parametrize(
    "arguments", [["--help"], *([*name.split(), "-h"] for name in (*EVERY, "audit"))], ids=" ".join
)
def test_help_imports_nothing_that_takes_long(arguments: list[str]) -> None:
    ran = subprocess.run(
        [sys.executable, "-P", "-c", HELP.format(arguments=arguments)], capture_output=True, text=True, check=True
    )
    imported = {name.partition(".")[0] for name in ran.stdout.split()}
    # typer itself takes pydantic once it reads a command's flags, 50 ms; of the plugin's own help not even that.
    heavy = {*HEAVY, "pydantic"} if arguments == ["--help"] else {*HEAVY}
    assert imported.isdisjoint(heavy), imported & heavy


@pytest.mark.parametrize("group", [(), ("audit",), ("history",), ("notify",)], ids=" ".join)
def test_help_cuts_no_summary_of_a_command_at_80_columns(group: tuple[str, ...]) -> None:
    ran = commandline.run(*group, "--help", env={"COLUMNS": "80"})
    _, _, listed = ran.out.partition("\nCommands:\n")
    names = GROUPS[group[0]] if group else (*COMMANDS, *GROUPS)
    assert [line.split()[0] for line in listed.splitlines()] == [*names]
    assert "..." not in listed
    assert max(map(len, listed.splitlines())) <= 80


@pytest.mark.parametrize("name", EVERY)
def test_every_command_has_examples_and_kubectls_flags(name: str) -> None:
    ran = commandline.run(*name.split(), "--help")
    assert ran.code == 0
    assert re.search(rf"\n    (\S.* \| )?kubectl bailiwick {name} ", ran.out)
    for flag in ("--namespace", "-n", "--context", "--kubeconfig", "--as", "--as-group", "--request-timeout"):
        assert flag in ran.out, flag


def examples(name: str) -> list[list[str]]:
    """Return the examples of a command's help as words, without `kubectl bailiwick`."""
    _, _, text = commandline.run(name, "--help").out.partition("Examples:\n")
    lines = text.split("\n\n")[0].replace("\\\n", " ").splitlines()
    return [shlex.split(line)[2:] for line in lines if line.strip()]


def shipped(namespace: str) -> str:
    folder = {"crm": "crm", "vault": "secrets"}[namespace]
    return str(DOCS.parent / "examples" / folder / "policy.yaml")


def test_the_examples_of_a_check_are_decided_by_policies_that_are_shipped() -> None:
    for words in examples("check"):
        call = words[: words.index("-f")] if "-f" in words else words
        ran = commandline.run(*call, "-f", shipped(call[call.index("-n") + 1]), "-o", "json")
        said = json.loads(ran.out or "{}")
        assert said.get("reason") in {"allowed", "approval_required"}, ran


@pytest.mark.parametrize("name", ["who-can", "what-can", "explain"])
def test_the_examples_of_a_question_are_answered_by_policies_that_are_shipped(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(DOCS.parent)
    asked = [words for words in examples(name) if "-f" in words]
    assert asked
    for words in asked:
        ran = commandline.run(*words)
        assert (ran.code, "crm-agent" in ran.out or "secret" in ran.out) in {(0, True), (3, True)}, ran


def test_the_examples_of_a_request_are_of_a_rule_that_can_be_asked_for_beforehand() -> None:
    for _, action, resource, *flags in examples("request"):
        given = dict(zip(flags[::2], flags[1::2], strict=True))
        named = [word for flag in ("--subject", "--endpoint", "-n") for word in (flag, given[flag])]
        ran = commandline.run("check", action, resource, *named, "-f", shipped(given["-n"]))
        assert "Request an approval in advance:" in ran.err, ran
        assert re.fullmatch("INC-[0-9]+( .*)?", given["--reason"])


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("approve", "NAME"),
        ("revoke", "NAME"),
        ("check", "ACTION TYPE/ID"),
        ("list", ""),
        ("who-can", "ACTION"),
        ("what-can", "SUBJECT"),
        ("explain", "EVALUATION_ID FILE..."),
        ("audit verify", "FILE..."),
        ("audit prove", "EVALUATION_ID FILE..."),
        ("audit checkpoint", "[FILE]..."),
        ("audit check-proof", "PROOF RECORD-FILE"),
        ("audit check-value", "EVALUATION_ID FILE..."),
    ],
)
def test_the_usage_is_what_is_typed(name: str, arguments: str) -> None:
    usage, _, _ = commandline.run(*name.split(), "--help").out.partition("\n")
    assert usage == f"Usage: kubectl bailiwick {name} [OPTIONS] {arguments}".rstrip()


@pytest.mark.parametrize(
    "arguments",
    [
        ("nothing",),
        ("list", "--nothing"),
        ("show",),
        ("approve",),
        ("list", "-o", "xml"),
        ("request", "a"),
        ("audit", "verify"),
    ],
    ids=" ".join,
)
def test_what_is_used_wrongly_exits_with_2(arguments: tuple[str, ...]) -> None:
    ran = commandline.run(*arguments)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("Usage: kubectl bailiwick")


@pytest.mark.parametrize(
    "arguments", [("approve", "agr-x", "agr-y", "--reason", "r"), ("revoke", "--reason", "r", "a", "b")]
)
def test_several_names_are_refused_before_any_cluster_is_asked(arguments: tuple[str, ...]) -> None:
    ran = commandline.run(*arguments, env={"KUBECONFIG": "/nowhere"})
    assert (ran.code, "review each request separately" in ran.err) == (2, True)


def test_flags_may_stand_before_the_command_and_those_at_it_win() -> None:
    for arguments, named in (
        (("--kubeconfig", "/before", "list"), "/before"),
        (("--kubeconfig", "/before", "list", "--kubeconfig", "/at"), "/at"),
    ):
        ran = commandline.run(*arguments)
        assert (ran.code, ran.err.startswith(f"error: no kubeconfig at {named}:")) == (2, True)


def test_the_version_is_told_without_a_command() -> None:
    ran = commandline.run("--version")
    assert (ran.code, ran.out, ran.err) == (0, f"kubectl-bailiwick {version('bailiwick-authz')}\n", "")


def test_a_defect_is_no_traceback(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(list_command, "run", lambda _: 1 / 0)
    monkeypatch.setattr(sys, "argv", ["kubectl-bailiwick", "list"])
    with pytest.raises(SystemExit) as ended:
        main.main()
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("error: this is a bug in kubectl-bailiwick (ZeroDivisionError: division by zero)")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_completes_the_program_by_its_own_name(shell: str) -> None:
    ran = commandline.run("--show-completion", env={"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"})
    assert "Traceback" not in ran.err
    source = commandline.run(env={"_KUBECTL_BAILIWICK_COMPLETE": f"source_{shell}"})
    assert source.code == 0, source
    assert "kubectl-bailiwick" in source.out
