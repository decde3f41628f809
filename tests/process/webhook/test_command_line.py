"""The command line: the flags that manifests and people use. A flag that goes away, or is renamed, breaks them."""

import argparse
import subprocess
import sys
from typing import Final

import pytest

from bailiwick_webhook.process import flags, settings

FLAGS: Final = {
    "--admission-connections",
    "--admission-port",
    "--api-timeout",
    "--body-bytes",
    "--body-bytes-per-second",
    "--body-grace-seconds",
    "--budget-bytes",
    "--connection-requests",
    "--connection-seconds",
    "--client-ca-file",
    "--connections",
    "--decisions-per-second-by-namespace",
    "--development",
    "--drain-seconds",
    "--kubernetes-endpoint",
    "--grpc-port",
    "--external-url",
    "--hard-staleness",
    "--help",
    "--host",
    "--human-username-prefix",
    "--issuers",
    "--kubeconfig",
    "--log-level",
    "--max-staleness",
    "--namespace",
    "--namespace-budget-bytes",
    "--namespace-pending-grants",
    "--namespace-policies",
    "--namespace-spec-bytes",
    "--on-record-failure",
    "--operator-account",
    "--others-percent",
    "--policies",
    "--policy-budget-bytes",
    "--port",
    "--record-before-answer",
    "--otlp-endpoint",
    "--passkey-origin",
    "--record-chain",
    "--record-file",
    "--record-fsync",
    "--record-hmac-key-file",
    "--record-queue",
    "--record-queue-bytes",
    "--record-timeout",
    "--registrar-keys",
    "--registrar-quorum",
    "--relist-interval",
    "--requests-at-once",
    "--reviewers-installation",
    "--shadow-share",
    "--status-host",
    "--status-port",
    "--tls-cert-file",
    "--tls-key-file",
    "--tls-poll-seconds",
    "--tls-server-name",
    "--witness-wait-seconds",
    "--webhook-account",
}


def test_the_flags_are_those_that_are_promised_and_each_says_what_it_does() -> None:
    actions = [action for action in flags.parser()._actions if action.help != argparse.SUPPRESS]
    assert {action.option_strings[-1] for action in actions} == FLAGS
    assert [action.option_strings for action in actions if not action.help] == []


def test_help_lists_every_flag() -> None:
    command = [sys.executable, "-m", "bailiwick_webhook", "--help"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert {word.strip("[],") for word in ended.stdout.split()} >= FLAGS


@pytest.mark.long
def test_a_flag_that_was_removed_is_in_no_help_and_says_what_to_do() -> None:
    said = flags.parser().format_help().split()
    for flag, instead in flags.REMOVED.items():
        assert flag not in said
        command = [sys.executable, "-m", "bailiwick_webhook", flag, "2"]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        assert ended.returncode == 2
        last = ended.stderr.splitlines()[-1]
        assert last == f"bailiwick-webhook: error: argument {flag}: was removed, because {instead}"


def test_help_tells_a_default_once_and_none_where_there_is_none() -> None:
    for each in flags.parser().format_help().replace("\n  -", "\n\n  -").split("\n\n"):
        assert each.count("(default") <= 1, each
        assert not {"None)", "[])", ": )"} & set(each.split()[-1:]), each


def test_a_flag_is_written_whole_and_what_is_wrong_with_it_is_not_lost_below_all_flags(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        settings.parse(["--max-stale", "3"])
    usage, said = capsys.readouterr().err.splitlines()
    assert usage.startswith("usage: bailiwick-webhook [")
    assert said == "bailiwick-webhook: error: unrecognized arguments: --max-stale 3"
