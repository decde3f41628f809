"""A yes at the terminal.

Standing: beside `output`. Holds: nothing but a yes that is typed after the question is one.
"""

import contextlib
import sys


def has_terminal() -> bool:
    """Tell whether a person can be asked."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def confirm(question: str) -> bool:
    """Ask at the terminal, and tell whether the answer is yes."""
    _forget_typed()
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def _forget_typed() -> None:
    """Throw away what was typed before the question: it is no answer to it."""
    try:
        import termios  # noqa: PLC0415 - not on every system
    except ImportError:
        return
    with contextlib.suppress(termios.error):
        termios.tcflush(sys.stdin, termios.TCIFLUSH)
