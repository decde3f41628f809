"""The pages of `docs/reference` say what the code does."""

import re
from typing import Final

import pytest

import generate_metrics
import generate_reasons
import generate_record
from bailiwick_cli.auditflags import AUDIT
from bailiwick_cli.errors import Exit
from bailiwick_cli.flags import COMMANDS
from bailiwick_engine.reasons import EXPLAINED, WHEN, Reason
from bailiwick_webhook.metrics.table import METRICS
from support import commandline
from support.pages import DOCS, blocks

ROWS: Final = [line for line in generate_reasons.rendered().splitlines() if line.startswith("| `")]


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
        assert WHEN[reason].endswith(".")
        assert WHEN[reason] != EXPLAINED[reason].sentence

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


class TestThePageOfThePlugin:
    PAGE: Final = (DOCS / "reference" / "cli.md").read_text(encoding="utf-8")

    def test_has_every_command(self) -> None:
        table = self.PAGE.partition("## Exit codes")[0]
        rows = [
            name for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE) for name in re.findall(r"`([\w-]+)`", row)
        ]
        assert sorted(rows) == sorted(COMMANDS)

    def test_has_every_command_of_the_audit(self) -> None:
        section = self.PAGE.partition("## Auditing")[2].partition("\n## ")[0]
        assert re.findall(r"^\| `([a-z-]+)` \|", section, re.MULTILINE) == list(AUDIT)

    def test_has_every_exit_code(self) -> None:
        assert [int(code) for code in re.findall(r"^\| (\d) \|", self.PAGE, re.MULTILINE)] == sorted(Exit)

    def test_shows_what_check_prints(self) -> None:
        shown = blocks("reference/cli.md", "json")
        quickstart = str(DOCS.parent / "examples" / "quickstart")
        call = ("--subject", "sa:agents/crm-agent", "customers.export", "customer/42")
        ran = commandline.run("check", *call, "-f", quickstart, "-o", "json")
        assert (ran.code, [ran.out]) == (Exit.PENDING, shown)
