"""What is logged and what is not: one JSON line each, libraries at warnings, and no text that may hold a token."""

import json
import logging
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog

from bailiwick_process import logs


@pytest.fixture
def configure() -> Iterator[Callable[..., None]]:
    """Configure as a process does, without the handlers of pytest, and leave nothing behind."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level

    def begin(**options: Any) -> None:  # noqa: ANN401 - of `logs.configure`
        handlers[:] = root.handlers
        root.handlers.clear()
        logs.configure("info", **options)

    yield begin
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_what_a_librarys_exception_quotes_does_not_get_into_the_log(
    configure: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    configure()
    try:
        raise ValueError("Invalid header: b'Authorization : Bearer open-sesame'")
    except ValueError:
        logging.getLogger("aiohttp.server").exception("Error handling request from %s", "127.0.0.1")
    (line,) = lines(capsys)
    assert (line["message"], line["error"]) == ("Error handling request from 127.0.0.1", "ValueError")
    assert (line["logger"], line["level"]) == ("aiohttp.server", "error")
    assert re.fullmatch(re.escape(__name__) + r":\d+", line["at"])
    assert "sesame" not in json.dumps(line)


def test_libraries_are_kept_at_warnings_and_some_are_kept_quieter(
    configure: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    configure(levels={"quiet.library": logging.ERROR})
    try:
        for name in ("a.library", "quiet.library"):
            logger = logging.getLogger(name)
            logger.info("once in a while")
            logger.warning("odd")
            logger.error("wrong")
    finally:
        logging.getLogger("quiet.library").setLevel(logging.NOTSET)
    assert [(line["logger"], line["message"]) for line in lines(capsys)] == [
        ("a.library", "odd"),
        ("a.library", "wrong"),
        ("quiet.library", "wrong"),
    ]


def test_our_own_lines_have_a_time_a_level_and_their_fields(
    configure: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    configure()
    structlog.get_logger("bailiwick").debug("not this")
    structlog.get_logger("bailiwick").info("this", namespace="crm")
    (line,) = lines(capsys)
    assert line.pop("timestamp").endswith("Z")
    assert line == {"level": "info", "message": "this", "namespace": "crm"}


def test_a_person_at_a_terminal_reads_no_json(
    configure: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    configure(plain=True)
    structlog.get_logger().info("serving", port=8443)
    text = capsys.readouterr().err
    assert re.search(r"\[info *\] serving port=8443$", text.rstrip())
