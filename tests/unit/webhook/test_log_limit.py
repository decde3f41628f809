"""What callers can cause is logged once in a while, and says how often it was left out."""

import structlog

from bailiwick_webhook.loglimit import SECONDS, LogLimit


def test_an_event_is_written_once_in_a_while_and_each_by_itself() -> None:
    now = [100.0]
    log = LogLimit(lambda: now[0])
    with structlog.testing.capture_logs() as written:
        for _ in range(5):
            log.warning("too many", sender="a")
        log.debug("something else")
        now[0] += SECONDS - 0.01
        log.warning("too many", sender="b")
        assert [(entry["event"], entry["log_level"]) for entry in written] == [
            ("too many", "warning"),
            ("something else", "debug"),
        ]
        now[0] += 0.02
        log.warning("too many", sender="c")
        log.error("a defect")
    assert written[2:] == [
        {"event": "too many", "sender": "c", "left_out": 5, "log_level": "warning"},
        {"event": "a defect", "log_level": "error"},
    ]
    now[0] += SECONDS
    with structlog.testing.capture_logs() as written:
        log.warning("too many", sender="d")
    assert written == [{"event": "too many", "sender": "d", "log_level": "warning"}]


def test_who_logs_learns_whether_the_line_was_written() -> None:
    now = [100.0]
    log = LogLimit(lambda: now[0])
    with structlog.testing.capture_logs():
        assert [log.error("full") for _ in range(3)] == [True, False, False]
        now[0] += SECONDS
        assert log.error("full")
