"""Completion of words that need no cluster, and of nothing at all where there is none."""

import pytest

from bailiwick_cli import complete
from bailiwick_cli.complete import candidates
from bailiwick_cli.verbs.table import COMMANDS, GROUPS
from support import commandline


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ([""], [*COMMANDS, "audit", "fleet", "history", "notify", "reviewers"]),
        (["re"], ["revoke", "request", "replay", "reviewers"]),
        (["-n", "crm", "sho"], ["show"]),
        (["--namespace=crm", "sh"], ["show", "ship"]),
        (["approve", "agr-x", "--re"], ["--reason", "--request-timeout"]),
        (["list", "-o", ""], ["table", "wide", "json", "yaml", "name"]),
        (["list", "--output", "j"], ["json"]),
        (["wait", "agr-x", "--for", ""], ["approved", "ended"]),
        (["approve", "agr-x", "--reason", ""], []),
        (["approve", "agr-x", ""], []),
        (["request", ""], []),
        (["unheard", ""], []),
        (["test", "-o", "j"], ["json", "junit"]),
        (["wh"], ["who-can", "what-can"]),
        (["who-can", "-o", ""], ["table", "json", "markdown"]),
        (["who-can", "customers.list", "--on", ""], []),
        (["what-can", "sa:agents/crm-agent", "--mem"], ["--member-of"]),
        (["audit", ""], list(GROUPS["audit"])),
        (["audit", "ch"], ["checkpoint", "check-proof", "check-value"]),
        (["-n", "crm", "audit", "verify", "a.log", "--witness-k"], ["--witness-key"]),
        (["audit", "verify", "--leav"], ["--leaves"]),
        (["audit", "verify", "-o", ""], ["table", "json"]),
        (["audit", "unheard", ""], []),
    ],
)
def test_a_word_is_completed_from_what_there_is(words: list[str], found: list[str]) -> None:
    assert candidates(words) == (found, 4)


def test_files_are_left_to_the_shell() -> None:
    assert candidates(["check", "-f", "pol"]) == ([], 0)
    assert candidates(["audit", "verify", "a.log", ""]) == ([], 0)
    assert candidates(["test", "exam"]) == ([], 0)
    assert candidates(["validate", "exam"]) == ([], 0)
    assert candidates(["explain", "01JD3Z8Q6W", "deci"]) == ([], 0)
    assert candidates(["explain", "01JD3Z8Q6W", "decisions.log", "--policies", "led"]) == ([], 0)
    assert candidates(["who-can", "-f", "pol"]) == ([], 0)
    assert candidates(["audit", "verify", "--checkpoints", "c"]) == ([], 0)


def test_without_a_cluster_there_are_no_names_and_no_words(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KUBECONFIG", "/nowhere")
    monkeypatch.setattr("sys.argv", ["kubectl_complete-bailiwick", "show", ""])
    assert complete.main() == 0
    assert capsys.readouterr() == (":4\n", "")


@pytest.mark.parametrize(
    ("line", "found"),
    [("kubectl-bailiwick sho", "show"), ("kubectl-bailiwick show ", ""), ("kubectl-bailiwick list -o j", "json")],
)
def test_a_shell_completes_commands_and_nothing_where_there_is_no_cluster(line: str, found: str) -> None:
    env = {
        "_KUBECTL_BAILIWICK_COMPLETE": "complete_bash",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(line.split(" ")) - 1),
        "KUBECONFIG": "/nowhere",
    }
    ran = commandline.run(env=env)
    assert (ran.out.strip(), ran.err) == (found, ""), ran
