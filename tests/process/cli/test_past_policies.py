"""Who could do what at a moment: by the policies that a log names, and with what it cannot show."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from bailiwick_evidence.derive.versions import engine_versions
from support import commandline
from support.commandline import Ran
from support.decisions import crm_calls, decided, ledger_of, written
from support.evidence.logs import BEGAN, ProcessLog
from support.objects import Object
from support.offlineshell import OfflineShell
from support.pages import DOCS, script

EXAMPLE: Final = (DOCS.parent / "examples" / "crm" / "policy.yaml").read_text(encoding="utf-8")
BEFORE: Final[Object] = yaml.safe_load(EXAMPLE)
# An export without an approval, from some moment on.
AFTER: Final[Object] = yaml.safe_load(
    EXAMPLE.replace("[customers.list, customers.get]", "[customers.list, customers.export]").replace(
        "[customers.export, customers.delete]", "[customers.delete]"
    )
)
OTHER: Final[Object] = yaml.safe_load(
    EXAMPLE.replace("crm-api", "other-api").replace("name: crm-agent", "name: other", 1)
)
EXPORT: Final = ("who-can", "customers.export", "--on", "customer/42", "-o", "json")
SUBJECT: Final = "sa:agents/crm-agent"


def day(hours: float) -> str:
    return datetime.fromtimestamp(BEGAN + 3_600 * hours, UTC).isoformat()


def point(number: int = 2, **opening: Any) -> ProcessLog:  # noqa: ANN401 - of a line
    return ProcessLog(number, **({**engine_versions()} | opening))


def decide(log: ProcessLog, policy: Object, *hours: float) -> ProcessLog:
    """Write a decision by a policy at each of these hours."""
    for hour in hours:
        decided([policy], crm_calls(["customers.list"]), log=log, began=BEGAN + 3_600 * hour)
    return log


def ask(folder: Path, at: str, *words: str, logs: Sequence[ProcessLog]) -> Ran:
    files = [str(written(folder / f"{number}.log", log)) for number, log in enumerate(logs)]
    return commandline.run(*(words or EXPORT), "--at", at, *(word for file in files for word in ("--log", file)))


def verdicts(ran: Ran) -> list[str]:
    return [one["verdict"] for one in json.loads(ran.out)["answers"]]


@pytest.fixture
def changed() -> list[ProcessLog]:
    """Decisions at hours 0 to 2 by one policy, at 4 to 6 by another, and the ledger with both texts."""
    return [decide(decide(point(), BEFORE, 0, 1, 2), AFTER, 4, 5, 6), ledger_of([BEFORE, AFTER]).at(0)]


def test_the_policies_of_that_time_answer(changed: list[ProcessLog], tmp_path: Path) -> None:
    before, after = (ask(tmp_path, day(hour), logs=changed) for hour in (1.5, 5.5))
    assert (before.code, verdicts(before)) == (0, ["approval"]), before
    assert (after.code, "allow" in verdicts(after)) == (0, True), after
    assert json.loads(before.out)["incomplete"] == []
    assert "the log was read, and not verified" in before.err


def test_an_answer_is_that_of_the_same_policy_in_a_file(changed: list[ProcessLog], tmp_path: Path) -> None:
    for policy, hour in ((BEFORE, 1), (AFTER, 5)):
        (tmp_path / "policy.yaml").write_text(yaml.safe_dump(policy), encoding="utf-8")
        for words in (EXPORT, ("what-can", SUBJECT, "-o", "json")):
            here = json.loads(commandline.run(*words, "-f", str(tmp_path / "policy.yaml")).out)
            then = json.loads(ask(tmp_path, day(hour), *words, logs=changed).out)
            for one in (*here["answers"], *then["answers"]):
                # A file says where a rule stands.
                one["rules"] = [
                    {name: rule[name] for name in ("policy", "rule") if name in rule} for rule in one["rules"]
                ]
            assert then == here, words


def test_a_call_is_explained_by_the_policies_of_that_time(changed: list[ProcessLog], tmp_path: Path) -> None:
    words = ("customers.export", "customer/42", "--subject", SUBJECT)
    for verb in ("check", "explain"):
        assert ask(tmp_path, day(1.5), verb, *words, logs=changed).code == 3
        assert ask(tmp_path, day(5.5), verb, *words, logs=changed).code == 0


def test_the_page_can_be_typed(tmp_path: Path) -> None:
    written(tmp_path / "decisions.log", decided([BEFORE], crm_calls(["customers.list"] * 9)))
    written(tmp_path / "ledger.log", ledger_of([BEFORE]))
    shell = OfflineShell(tmp_path)
    text = script("how-to/ask-policies.md", "kubectl bailiwick who-can customers.export --on customer/42 --at")
    for line in text.splitlines():
        ran = shell.type(line)
        # An export needs an approval.
        assert (ran.code, "approval" in ran.out) == (3 if " explain " in line else 0, True), ran


def incomplete(ran: Ran, said: str) -> None:
    """Expect an answer that says that it is none, and why."""
    assert (ran.code, bool(json.loads(ran.out)["answers"])) == (2, True), ran
    assert any(said in one for one in json.loads(ran.out)["incomplete"]), ran
    assert "error: the answer is not complete: " in ran.err


def test_a_moment_between_two_policies_is_in_doubt(changed: list[ProcessLog], tmp_path: Path) -> None:
    incomplete(ask(tmp_path, day(3), logs=changed), "decisions around the moment name other policies: crm-agent")
    for verb in ("check", "explain"):
        words = (verb, "customers.export", "customer/42", "--subject", SUBJECT)
        assert ask(tmp_path, day(3), *words, logs=changed).code == 2


def test_a_moment_after_the_last_decision_is_in_doubt(changed: list[ProcessLog], tmp_path: Path) -> None:
    incomplete(ask(tmp_path, day(7), logs=changed), "no decision on crm/crm-api after the moment")


def test_a_process_that_was_late_puts_the_moment_in_doubt(tmp_path: Path) -> None:
    late = decide(point(2), BEFORE, 0, 4, 6)
    early = decide(decide(point(3), BEFORE, 1), AFTER, 3, 7)
    incomplete(ask(tmp_path, day(5), logs=[late, early, ledger_of([BEFORE, AFTER])]), "name other policies: crm-agent")


def test_a_change_that_no_decision_shows_is_in_doubt(tmp_path: Path) -> None:
    ledger = ledger_of([BEFORE])
    text = json.loads(ledger_of([AFTER]).lines[-1])
    ledger.at(3_600 * 1.2).add(kind="policy", digest=text["digest"], policy="crm/crm-agent", text=text["text"])
    logs = [decide(point(), BEFORE, 0, 1, 2, 3), ledger]
    incomplete(ask(tmp_path, day(1.5), logs=logs), "that no decision shows: of crm-agent")
    assert ask(tmp_path, day(2.5), logs=logs).code == 0
    other = json.loads(ledger_of([OTHER]).lines[-1])
    ledger.at(3_600 * 2.2).add(kind="policy", digest=other["digest"], policy="crm/other", text=other["text"])
    assert ask(tmp_path, day(2.5), logs=logs).code == 0, "a policy of another endpoint"
    ledger.at(3_600 * 2.3).add(kind="mode", policy="crm/crm-agent", mode="Audit", suspend=False, was={})
    incomplete(ask(tmp_path, day(2.5), logs=logs), "that no decision shows: of crm-agent")


def test_what_the_log_does_not_hold_is_no_answer(changed: list[ProcessLog], tmp_path: Path) -> None:
    early = ask(tmp_path, day(-1), logs=changed)
    assert (early.code, early.out, "no decision on crm/crm-api up to" in early.err) == (2, "", True), early
    textless = ask(tmp_path, day(1), logs=changed[:1])
    assert (textless.code, textless.out) == (2, "")
    assert "The text of a policy is missing. Give the operator's ledger of that time." in textless.err
    absent = ask(tmp_path, day(1), *EXPORT, "--endpoint", "other-api", logs=changed)
    assert (absent.code, "no decision on that endpoint" in absent.err) == (2, True), absent


def test_a_forged_text_answers_nothing(changed: list[ProcessLog], tmp_path: Path) -> None:
    true, wrong = (json.loads(ledger_of([policy]).lines[-1]) for policy in (BEFORE, AFTER))
    forged = ProcessLog(9, component="operator")
    forged.add(kind="policy", digest=true["digest"], policy="crm/crm-agent", text=wrong["text"])
    found = ask(tmp_path, day(1), logs=[changed[0], forged])
    assert (found.code, found.out, "does not have the digest" in found.err) == (2, "", True), found


def test_another_version_and_a_lost_opening_are_told(tmp_path: Path) -> None:
    other = ask(tmp_path, day(0.5), logs=[decide(point(engine="0.0.7"), BEFORE, 0, 1), ledger_of([BEFORE])])
    assert (other.code, "version 0.0.7 decided" in other.err) == (0, True), other
    headless = decide(point(), BEFORE, 0, 1)
    del headless.lines[0]
    lost = ask(tmp_path, day(0.5), logs=[headless, ledger_of([BEFORE])])
    assert (lost.code, "the line is missing that says which version decided" in lost.err) == (0, True), lost


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--at", "2026-03-05"), "name its files with --log"),
        (("--log", "a.log"), "set --at to it"),
        (("--at", "2026-03-05", "--log", "a.log", "-f", "b.yaml"), "remove -f"),
        (("--at", "2026-03-05", "--log", "a.log", "--context", "c"), "remove --context"),
        (("--at", "yesterday", "--log", "/dev/null"), "'yesterday' is not a time"),
        (("--at", "2026-03-05", "--log", "/nowhere"), "/nowhere cannot be read"),
    ],
)
def test_flags_that_do_not_go_together_are_refused(words: Sequence[str], said: str) -> None:
    found = commandline.run(*EXPORT, *words)
    assert (found.code, found.out, said in found.err) == (2, "", True), found
