"""Logs as JSON lines on stderr, ours and those of the libraries alike. Called once, by `main`.

Holds: nothing that is logged contains a token; the libraries that log requests with headers are kept at warnings.
"""

import logging
import sys
from typing import Final

import structlog

# kopf says each authentication at info; the election library logs an error with traceback for every try that another
# process wins. `leader` and `watch` say what matters of both.
_QUIET: Final = {
    "kopf": logging.WARNING,
    "kopf._core.reactor.running": logging.ERROR,  # warns that it cannot handle signals in a thread, which we do
    "kubernetes": logging.CRITICAL,
    "asyncio": logging.WARNING,
}


def configure(level: str) -> None:
    """Set up structlog and the standard library's logging."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.EventRenamer("message"),
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name, quiet in _QUIET.items():
        logging.getLogger(name).setLevel(quiet)
