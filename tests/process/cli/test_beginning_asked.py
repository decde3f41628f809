"""`init` at a terminal asks for what no flag gives, and without one says what is missing."""

from pathlib import Path
from typing import Final

from support import commandline
from support.suites import run_tests, run_validate

FLAGS: Final = ("--endpoint", "crm-api", "--enforcer", "sa:crm/crm-api", "--resource", "customer")


def at_terminal(folder: Path, *flags: str, typed: str, after: str) -> commandline.Ran:
    return commandline.run_at_terminal("init", str(folder), *flags, kubeconfig=Path("/none"), typed={after: typed})


def test_at_a_terminal_everything_is_asked_for_with_examples_and_defaults(tmp_path: Path) -> None:
    folder = tmp_path / "crm"
    answers = ("", "", "", "crm-agent", "sa:agents/crm-agent", "", "customer", "customers.list, customers.get", "")
    ran = at_terminal(folder, typed="\n".join((*answers, "")), after="The namespace of the endpoint [crm]: ")
    assert ran.code == 0, ran
    for asked in (
        "The name of the endpoint [crm-api]: ",
        "The account that requests decisions [sa:crm/crm-api]: ",
        "The account whose calls are decided (for example sa:agents/crm-agent): ",
        "'crm-agent' is not a service account: write it as sa:NAMESPACE/NAME",
        "The type of the resources (for example customer): ",
        "write one word",
        "Actions to allow, with spaces between (for example customers.list): ",
        "Actions that need an approval (for example customers.export): ",
    ):
        assert asked in ran.err, ran
    assert "The group whose people approve" not in ran.err
    assert ran.out.splitlines() == [str(folder / "policy.yaml"), str(folder / "tests" / "policy_test.yaml")]
    assert "customers.get" in (folder / "policy.yaml").read_text(encoding="utf-8")
    assert (run_validate(folder).code, run_tests(folder).code) == (0, 0)


def test_only_what_no_flag_gives_is_asked_for(tmp_path: Path) -> None:
    flags = ("-n", "crm", *FLAGS, "--approve", "customers.export")
    ran = at_terminal(tmp_path / "new", *flags, typed="sa:agents/crm-agent\n\n", after="The account whose calls")
    assert ran.code == 0, ran
    assert "The group whose people approve [crm-owners]: " in ran.err
    assert [word in ran.err for word in ("namespace", "endpoint", "requests decisions", "Actions")] == [False] * 4
    assert "crm-owners" in (tmp_path / "new" / "policy.yaml").read_text(encoding="utf-8")


def test_a_policy_without_any_action_is_asked_for_again(tmp_path: Path) -> None:
    flags = ("-n", "crm", *FLAGS, "--subject", "sa:agents/crm-agent")
    ran = at_terminal(tmp_path / "new", *flags, typed="\n\ncustomers.export\nowners\n", after="Actions to allow")
    assert (ran.code, "a policy needs a rule" in ran.err) == (0, True), ran


def test_who_ends_the_input_has_nothing_written(tmp_path: Path) -> None:
    ran = at_terminal(tmp_path / "new", typed="crm\n\x04", after="The namespace of the endpoint")
    assert (ran.code, "nothing is written" in ran.err, (tmp_path / "new").exists()) == (2, True, False), ran


def test_without_a_terminal_nothing_is_asked_and_all_that_is_missing_is_named(tmp_path: Path) -> None:
    ran = commandline.run("init", str(tmp_path / "new"), "-n", "crm", "--approve", "a", given="crm\n" * 20)
    missing = "--endpoint, --enforcer, --subject, --resource, --reviewers"
    assert (ran.code, ran.out, ran.err) == (2, "", f"error: without a terminal, also set {missing}\n")
    assert not (tmp_path / "new").exists()


def test_nobody_answers_questions_beside_a_flag_that_cannot_be_read(tmp_path: Path) -> None:
    ran = at_terminal(tmp_path / "new", "--subject", "crm-agent", typed="crm\n", after="The namespace of the endpoint")
    assert (ran.code, "--subject: 'crm-agent' is not" in ran.err, "namespace of" in ran.err) == (2, True, False), ran


def test_nobody_answers_questions_for_a_folder_that_has_a_policy(tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text("mine")
    ran = at_terminal(tmp_path, typed="crm\n", after="The namespace of the endpoint")
    assert (ran.code, "exists already" in ran.err, "namespace of" in ran.err) == (2, True, False), ran
