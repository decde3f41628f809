"""kubectl's own flags, at commands that ask no cluster: each that would say nothing is refused."""

from typing import Final

import pytest

from support import commandline

CALL: Final = ("customers.list", "customer/1")
ONLY_NAMESPACE: Final = {
    "without --live, test": ("test", "nowhere_test.yaml"),
    "init": ("init", "nowhere", "--endpoint", "e", "--enforcer", "sa:a/b", "--subject", "sa:a/c", "--resource", "r"),
    "without --live, diff": ("diff", "before", "after"),
    "without --live, unused": ("unused", "decisions.log", "-f", "nowhere"),
    "without --live, suggest": ("suggest", "decisions.log", "-f", "nowhere"),
    "-f": ("check", *CALL, "--subject", "sa:a/b", "-f", "nowhere"),
    "audit grant": ("audit", "grant", "agr-1", "nowhere.log"),
}
"""Of each command, as it calls itself, one that knows a namespace."""
NOTHING: Final = {
    "replay": ("replay", "decisions.log", "--candidate", "nowhere"),
    "without --server, validate": ("validate", "nowhere"),
    "schema": ("schema", "EndpointPolicy"),
    "explain of a record": ("explain", "eval-1", "nowhere.log"),
    "without --checkpoints cluster, audit": ("audit", "verify", "nowhere.log"),
    "audit policy": ("audit", "policy", "sha256:0123456789", "nowhere.log"),
    "audit check-proof": ("audit", "check-proof", "nowhere.proof", "nowhere.json"),
    "audit leaves": ("audit", "leaves", "nowhere.log"),
    "audit check-value": ("audit", "check-value", "e", "nowhere.log", "--hmac-key", "nowhere", "--value", "a=b"),
}
FLAGS: Final = {
    "--context": "prod",
    "--kubeconfig": "nowhere",
    "--as": "carol",
    "--as-group": "owners",
    "--request-timeout": "5s",
}


@pytest.mark.parametrize("flag", FLAGS)
@pytest.mark.parametrize("what", [*ONLY_NAMESPACE, *NOTHING])
def test_a_flag_of_a_cluster_is_refused_where_none_is_asked(what: str, flag: str) -> None:
    ran = commandline.run(*{**ONLY_NAMESPACE, **NOTHING}[what], flag, FLAGS[flag])
    assert (ran.code, ran.out, ran.err) == (2, "", f"error: {what} does not use a cluster: remove {flag}\n"), ran


@pytest.mark.parametrize("what", NOTHING)
def test_a_namespace_is_refused_where_the_files_say_it(what: str) -> None:
    ran = commandline.run(*NOTHING[what], "-n", "crm")
    said = f"error: {what.removeprefix('without --server, ')} goes by the namespaces in the files: remove --namespace\n"
    assert (ran.code, ran.out, ran.err) == (2, "", said), ran


@pytest.mark.parametrize(
    "command",
    [
        ("validate", "-", "-"),
        ("who-can", "a", "--on", "r/1", "-f", "-", "-f", "-"),
        ("check", *CALL, "--subject", "sa:a/b", "-f", "-", "-f", "-"),
    ],
)
def test_standard_input_is_read_only_once(command: tuple[str, ...]) -> None:
    ran = commandline.run(*command)
    assert (ran.code, ran.out, ran.err) == (2, "", "error: standard input can be read only once\n"), ran


@pytest.mark.parametrize("command", [("who-can", "a", "--on", "r/1"), ("what-can", "sa:a/b")])
def test_questions_about_files_ask_no_cluster(command: tuple[str, ...]) -> None:
    ran = commandline.run(*command, "-f", "nowhere", "--kubeconfig", "nowhere")
    assert (ran.code, ran.err) == (2, "error: -f does not use a cluster: remove --kubeconfig\n"), ran


@pytest.mark.parametrize("verb", ["unused", "suggest"])
@pytest.mark.parametrize("which", [(), ("--live", "-f", "nowhere")])
def test_a_log_is_held_against_files_or_a_namespace(verb: str, which: tuple[str, ...]) -> None:
    ran = commandline.run(verb, "decisions.log", *which)
    said = "error: say which policies are in force: set either -f FILE, or --live for those of the namespace\n"
    assert (ran.code, ran.out, ran.err) == (2, "", said), ran
