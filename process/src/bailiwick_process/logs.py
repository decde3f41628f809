"""Logs as JSON lines on stderr, those of the libraries among them; stdout belongs to the decision record.

Standing: called once, by `main` of each process. Holds: no token is ever given to a logger; libraries are kept at
warnings, and of an exception of theirs only the type and the place are logged, because its text may quote a header.
"""

import logging
import sys
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import structlog
from structlog.typing import Processor

_NO_LEVELS: Final[Mapping[str, int]] = MappingProxyType({})


def configure(level: str, *, plain: bool = False, levels: Mapping[str, int] = _NO_LEVELS) -> None:
    """Set up structlog, and hand what the libraries log to it.

    `plain`: for a person at a terminal. `levels`: by the name of a library's logger, from which level on it is logged,
    where warnings are too much.
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
    for name, lowest in levels.items():
        logging.getLogger(name).setLevel(lowest)


class _Bridge(logging.Handler):
    """Hands a library's record on to structlog."""

    def emit(self, record: logging.LogRecord) -> None:
        fields = {}
        if record.exc_info and record.exc_info[0] is not None:
            kind, _, traceback = record.exc_info
            while traceback is not None and traceback.tb_next is not None:
                traceback = traceback.tb_next
            fields["error"] = kind.__name__
            if traceback is not None:
                fields["at"] = f"{traceback.tb_frame.f_globals.get('__name__')}:{traceback.tb_lineno}"
        structlog.get_logger().log(record.levelno, record.getMessage(), logger=record.name, **fields)
