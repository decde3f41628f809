"""Logs as JSON lines on stderr; stdout belongs to the decision record.

Holds: no token is ever given to a logger; libraries are kept at warnings, and what their exceptions quote is left out.
"""

import logging
import sys

import structlog
from structlog.typing import Processor


def configure(level: str, *, plain: bool = False) -> None:
    """Set up structlog; the standard library's loggers only warn, through the same lines.

    `plain`: for a person.
    """
    rendered: list[Processor] = [structlog.processors.EventRenamer("message"), structlog.processors.JSONRenderer()]
    if plain:
        rendered = [structlog.dev.ConsoleRenderer(colors=False, pad_event_to=0)]
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            *rendered,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
    )
    logging.basicConfig(level=logging.WARNING, handlers=[_Bridge()])


class _Bridge(logging.Handler):
    """Hands a library's record on to structlog.

    Of an exception only its type: aiohttp quotes the header that it could not parse, and that may hold a token.
    """

    def emit(self, record: logging.LogRecord) -> None:
        kind = record.exc_info[0] if record.exc_info else None
        structlog.get_logger(record.name).log(
            record.levelno, record.getMessage(), error=None if kind is None else kind.__name__
        )
