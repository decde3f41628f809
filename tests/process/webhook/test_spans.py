"""Spans of a real process: what a collector receives, and what becomes of decisions while there is none."""

import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
import yaml

from bailiwick_webhook.process import settings as flags
from support.objects import AGENT, policy, rule, settings
from support.pdp import questions
from support.pdp.standalone import Process
from support.spans import Collector

TRACE: Final = "0af7651916cd43dd8448eb211c80319c"


@pytest.fixture
def policies(tmp_path: Path) -> Path:
    folder = tmp_path / "policies"
    folder.mkdir()
    return folder


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as collector:
        yield collector


def started(tmp_path: Path, policies: Path, *flags: str) -> Process:
    with (tmp_path / "log").open("wb") as log:
        # With gRPC, whose messages share a pool with those that spans are sent as.
        process = Process(tmp_path, policies, log, "--development", *flags, grpc=True)
    process.write("policy.yaml", policy("crm", "crm-agent", endpointSettings=settings(), rules=[rule()]))
    process.turns("allowed")
    return process


@pytest.mark.long
def test_a_collector_receives_each_decision_in_its_callers_trace(
    tmp_path: Path, policies: Path, collector: Collector
) -> None:
    process = started(tmp_path, policies, f"--otlp-endpoint={collector.url}/")
    try:
        traceparent = f"00-{TRACE}-b7ad6b7169203331-01"
        said = questions.post(
            process.url("evaluation"),
            questions.evaluation(AGENT, "customers.list"),
            None,
            headers={"traceparent": traceparent},
        )
        assert said.reason == "allowed"
    finally:
        # What waits is sent before the end.
        assert process.stop() == 0
    (span,) = [one for one in collector.spans if one.trace_id.hex() == TRACE]
    assert (span.name, span.parent_span_id.hex()) == ("bailiwick.decide", "b7ad6b7169203331")
    assert set(collector.paths) == {"/v1/traces"}
    assert collector.services == {"bailiwick-webhook"}


@pytest.mark.parametrize("wanted", [False, True])
def test_a_process_loads_the_libraries_of_spans_only_where_a_collector_is_named(
    tmp_path: Path, policies: Path, monkeypatch: pytest.MonkeyPatch, wanted: bool
) -> None:
    # Each import is a line on stderr.
    monkeypatch.setenv("PYTHONPROFILEIMPORTTIME", "1")
    policies.joinpath("policy.yaml").write_text(
        yaml.safe_dump(policy("crm", "crm-agent", endpointSettings=settings(), rules=[rule()]))
    )
    with (tmp_path / "log").open("wb") as log:
        process = Process(
            tmp_path, policies, log, "--development", *(["--otlp-endpoint=http://127.0.0.1:9"] if wanted else [])
        )
    try:
        assert process.ask().reason == "allowed"
    finally:
        assert process.stop() == 0
    loaded = re.findall(r"^import time: .*\| +([\w.]+)$", process.log.read_text(), re.MULTILINE)
    assert "bailiwick_webhook.pipeline.pdp" in loaded
    assert any(name.split(".")[0] == "opentelemetry" for name in loaded) is wanted


@pytest.mark.long
def test_without_a_collector_at_the_address_decisions_and_the_end_are_as_ever(tmp_path: Path, policies: Path) -> None:
    process = started(tmp_path, policies, "--otlp-endpoint=http://127.0.0.1:9")
    try:
        assert {process.ask().reason for _ in range(20)} == {"allowed"}
    finally:
        assert process.stop() == 0
    assert "Traceback" not in process.log.read_text()


@pytest.mark.long
def test_a_collector_that_never_answers_holds_up_neither_decisions_nor_the_end(tmp_path: Path, policies: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        process = started(tmp_path, policies, f"--otlp-endpoint=http://127.0.0.1:{silent.getsockname()[1]}")
        try:
            assert {process.ask().reason for _ in range(20)} == {"allowed"}
        finally:
            assert process.stop() == 0


@pytest.mark.parametrize("url", ["collector:4318", "ftp://x", "http://", "http://a@b", "http://x?y=1"])
def test_what_is_no_address_is_refused(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        flags.parse(["--otlp-endpoint", url])
    assert "is not a URL of a server: http[s]://host[:port][/path]" in capsys.readouterr().err
