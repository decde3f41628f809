"""A yes, or a line of text, at the terminal.

Standing: beside `output`. Holds: only what is typed after the question answers it, and only a yes is a yes.
"""

import contextlib
import sys


def has_terminal() -> bool:
    """Tell whether a person can be asked."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def confirm(question: str) -> bool:
    """Ask at the terminal, and tell whether the answer is yes."""
    return ask(f"{question} [y/N]").lower() in {"y", "yes"}


def ask(question: str) -> str:
    """Ask at the terminal, and return the line that is typed, without spaces at its ends; empty if it is closed."""
    _forget_typed()
    sys.stderr.write(f"{question} ")
    sys.stderr.flush()
    return sys.stdin.readline().strip()


def _forget_typed() -> None:
    """Throw away what was typed before the question: it is no answer to it."""
    try:
        import termios  # noqa: PLC0415 - not on every system
    except ImportError:
        return
    with contextlib.suppress(termios.error):
        termios.tcflush(sys.stdin, termios.TCIFLUSH)
