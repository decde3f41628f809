"""Tracebacks in captured logs are plain. Standing: a plugin, loaded by tests/conftest.py.

Where a test leaves structlog as it comes, structlog draws them with colours, source and frames, which took a tenth of
the time of the unit tests; both processes of ours write plain ones as well.
"""

import structlog


def pytest_configure() -> None:
    *others, _ = structlog.get_config()["processors"]
    plain = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[*others, plain])
