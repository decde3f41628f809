"""The pages of `docs/reference` say what the code does."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

import generate_cli
import generate_flags
import generate_metrics
import generate_reasons
import generate_record
from bailiwick_cli.errors import Exit
from bailiwick_cli.options import Flags
from bailiwick_cli.verbs.table import COMMANDS, GROUPS, option_types
from bailiwick_engine.reasons import EXPLAINED, Reason
from bailiwick_operator import settings as operator_settings
from bailiwick_webhook.metrics.table import METRICS
from bailiwick_webhook.process import settings as webhook_settings
from support import commandline
from support.pages import DOCS, blocks

ROWS: Final = [line for line in generate_reasons.rendered().splitlines() if line.startswith("| `")]

# In the order in which the page has them.
EVERY: Final = {
    **COMMANDS,
    **{f"{group} {name}": one for group, commands in GROUPS.items() for name, one in commands.items()},
}

FLAG: Final = re.compile(r"(?<!\S)--?[A-Za-z][a-z-]*")


class TestTheTableOfReasons:
    def test_is_up_to_date(self) -> None:
        assert generate_reasons.PATH.read_text(encoding="utf-8") == generate_reasons.rendered()

    def test_has_every_reason_twice_and_in_order(self) -> None:
        named = [re.findall(r"`([a-z_]+)`", row)[0] for row in ROWS]
        assert named == [reason.value for reason in Reason] * 2

    def test_has_as_many_cells_in_every_row(self) -> None:
        assert {row.count("|") for row in ROWS[: len(Reason)]} == {6}
        assert {row.count("|") for row in ROWS[len(Reason) :]} == {3}

    @pytest.mark.parametrize("reason", Reason)
    def test_says_when(self, reason: Reason) -> None:
        assert EXPLAINED[reason].when.endswith(".")
        assert EXPLAINED[reason].when != EXPLAINED[reason].sentence

    def test_allows_by_one_reason_alone(self) -> None:
        allowing = [reason for reason in Reason if "true" in generate_reasons.evaluation(reason)]
        assert allowing == [Reason.ALLOWED]

    def test_never_answers_an_evaluation_but_with_200(self) -> None:
        # AuthZEN denies with 200; whatever else an evaluation is answered with, no verdict was reached.
        assert all(generate_reasons.evaluation(reason).startswith("200,") for reason in Reason)

    def test_is_checked_and_written(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert generate_reasons.main(["--check"]) == 0
        assert capsys.readouterr().out == ""


class TestThePageOfTheRecord:
    def test_is_up_to_date(self) -> None:
        assert generate_record.PATH.read_text(encoding="utf-8") == generate_record.rendered()

    def test_is_checked_and_written(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert generate_record.main(["--check"]) == 0
        assert capsys.readouterr().out == ""


class TestTheTableOfMetrics:
    def test_is_up_to_date(self) -> None:
        assert generate_metrics.PATH.read_text(encoding="utf-8") == generate_metrics.rendered()

    def test_is_checked_and_written(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert generate_metrics.main(["--check"]) == 0
        assert capsys.readouterr().out == ""

    def test_names_each_metric_as_prometheus_asks(self) -> None:
        for metric in METRICS:
            assert metric.name.endswith("_total") == (metric.type == "counter")
            assert re.fullmatch(r"bailiwick_[a-z_]+", metric.name)
            assert metric.help.endswith(".")


class TestThePageOfCommands:
    PAGE: Final = generate_cli.PATH.read_text(encoding="utf-8")

    def test_is_up_to_date(self) -> None:
        assert generate_cli.rendered() == self.PAGE

    def test_is_checked_and_written(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert generate_cli.main(["--check"]) == 0
        assert capsys.readouterr().out == ""
        old = tmp_path / "commands.md"
        old.write_text(self.PAGE.replace("`--direct`", "`--indirect`"), encoding="utf-8")
        monkeypatch.setattr(generate_cli, "PATH", old)
        assert generate_cli.main(["--check"]) == 1
        assert "+| `--direct` | Do not ask" in capsys.readouterr().out

    def test_has_a_section_for_every_command(self) -> None:
        assert re.findall(r"^## ([a-z -]+)$", self.PAGE, re.MULTILINE) == [*EVERY]
        assert re.findall(r"^\| \[`([a-z -]+)`\]", self.PAGE, re.MULTILINE) == [*EVERY]

    @pytest.mark.parametrize("name", EVERY)
    def test_has_every_argument_flag_and_example_of_a_command(self, name: str) -> None:
        section = self.PAGE.partition(f"\n## {name}\n")[2].partition("\n## ")[0]
        options = EVERY[name]
        own = {flag for flag in option_types(options) if flag not in option_types(Flags)}
        assert {
            flag for row in re.findall(r"^\| `(-[^`]*)`", section, re.MULTILINE) for flag in FLAG.findall(row)
        } == own
        helped = commandline.run(*name.split(), "--help").out
        arguments = re.findall(r"^\| `([A-Z\[][^`]*)`", section, re.MULTILINE)
        (usage,) = re.findall(rf"^```\n(kubectl bailiwick {name} \[OPTIONS\].*)\n```$", section, re.MULTILINE)
        assert [word.strip("[].") for word in usage.partition("[OPTIONS]")[2].split()] == [
            word.strip("[].") for each in arguments for word in each.split()
        ]
        assert helped.startswith(f"Usage: {usage}\n")
        examples = section.partition("Examples:\n\n```\n")[2].partition("```")[0]
        told = helped.partition("Examples:\n")[2].partition("\n\n")[0]
        assert [f"    {line}" for line in examples.splitlines()] == told.splitlines()

    def test_says_what_a_flag_takes_and_what_it_is_without(self) -> None:
        assert r"| `-o, --output table\|json\|markdown` | Output format. | `table` |" in self.PAGE
        assert "| `--on TYPE/ID` | The resource. | required |" in self.PAGE


class TestThePageOfFlags:
    PAGE: Final = generate_flags.PATH.read_text(encoding="utf-8")

    def test_is_up_to_date(self) -> None:
        assert generate_flags.rendered() == self.PAGE

    def test_is_checked_and_written(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert generate_flags.main(["--check"]) == 0
        assert capsys.readouterr().out == ""
        old = tmp_path / "flags.md"
        old.write_text(self.PAGE.replace("`--record-fsync`", "`--record-sync`"), encoding="utf-8")
        monkeypatch.setattr(generate_flags, "PATH", old)
        assert generate_flags.main(["--check"]) == 1
        assert "+| `--record-fsync` |" in capsys.readouterr().out

    @pytest.mark.parametrize(
        ("heading", "parse"),
        [("The decision point", webhook_settings.parse), ("The operator", operator_settings.parse)],
        ids=["decision point", "operator"],
    )
    def test_has_every_flag_that_the_help_of_a_process_has(
        self, heading: str, parse: Callable[[list[str]], object], capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit):
            parse(["--help"])
        helped = set(re.findall(r"^  (--[a-z-]+)", capsys.readouterr().out, re.MULTILINE))
        section = self.PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
        assert set(re.findall(r"^\| `(--[a-z-]+)", section, re.MULTILINE)) == helped
        assert {row.count("|") - row.count(r"\|") for row in section.splitlines() if row.startswith("| `")} == {4}

    def test_says_what_a_flag_takes_and_what_it_is_without(self) -> None:
        assert (
            "| `--status-host NAME` | Address of the status port, which exposes no secrets. | `127.0.0.1` |"
            in self.PAGE
        )
        assert r"| `--record-chain on\|off` |" in self.PAGE
        assert "| the pod's projected token |" in self.PAGE


class TestThePageOfThePlugin:
    PAGE: Final = (DOCS / "reference" / "cli.md").read_text(encoding="utf-8")

    def test_has_every_command_of_the_audit(self) -> None:
        section = self.PAGE.partition("## Auditing")[2].partition("\n## ")[0]
        assert re.findall(r"^\| `([a-z-]+)` \|", section, re.MULTILINE) == list(GROUPS["audit"])

    def test_has_every_exit_code(self) -> None:
        assert [int(code) for code in re.findall(r"^\| (\d) \|", self.PAGE, re.MULTILINE)] == sorted(Exit)

    def test_shows_what_check_prints(self) -> None:
        shown = blocks("reference/cli.md", "json")
        quickstart = str(DOCS.parent / "examples" / "quickstart")
        call = ("--subject", "sa:agents/crm-agent", "customers.export", "customer/42")
        ran = commandline.run("check", *call, "-f", quickstart, "-o", "json")
        assert (ran.code, [ran.out]) == (Exit.PENDING, shown)
