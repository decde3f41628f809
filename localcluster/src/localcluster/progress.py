"""Telling a person what goes on, on standard error: standard output belongs to answers.

Standing: used by whatever takes long. At a terminal one line changes in place; elsewhere a line comes at
most every 15 seconds, so that a log stays readable and a long step never looks like a hang.
"""

import contextlib
import time
from collections.abc import Iterator
from typing import Final, Protocol

from rich.console import Console
from rich.text import Text

_QUIET_SECONDS: Final = 15.0


class Step(Protocol):
    """A step that takes long."""

    def update(self, text: str) -> None:
        """Say how far it is; may be called as often as one likes."""


class Progress(Protocol):
    """Where the words go."""

    def say(self, text: str) -> None:
        """Say one thing now."""

    def step(self, title: str) -> contextlib.AbstractContextManager[Step]:
        """Begin a long step."""


class Terminal:
    """To standard error, as a person or as a log wants it."""

    def __init__(self) -> None:
        """Look at what standard error is."""
        self._console = Console(stderr=True, highlight=False, soft_wrap=True)

    def say(self, text: str) -> None:
        """Print a line."""
        self._console.print(text, markup=False)

    @contextlib.contextmanager
    def step(self, title: str) -> Iterator[Step]:
        """Show a changing line, or a line now and then; and at the end how long it took."""
        started = time.monotonic()
        if self._console.is_terminal:
            # As `Text`, because rich would read what is in square brackets as its own markup.
            with self._console.status(Text(title)) as status:
                yield _Shown(title, started, lambda text: status.update(Text(text)))
        else:
            self.say(f"{title} ...")
            yield _Shown(title, started, self.say, _QUIET_SECONDS)
        self.say(f"{title}: done after {_elapsed(started)}")


class Silent:
    """Nowhere."""

    def say(self, text: str) -> None:
        """Keep it to ourselves."""

    @contextlib.contextmanager
    def step(self, title: str) -> Iterator[Step]:  # noqa: ARG002 - the protocol has it
        """Show nothing."""
        yield _Shown("", 0.0, self.say)


class _Show(Protocol):
    def __call__(self, text: str, /) -> None: ...


class _Shown:
    def __init__(self, title: str, started: float, show: _Show, every: float = 0.0) -> None:
        self._title, self._started, self._show, self._every = title, started, show, every
        self._last = started

    def update(self, text: str) -> None:
        now = time.monotonic()
        if now - self._last >= self._every:
            self._last = now
            self._show(f"{self._title}: {_elapsed(self._started)}, {text}")


def _elapsed(started: float) -> str:
    minutes, seconds = divmod(int(time.monotonic() - started), 60)
    return f"{minutes} min {seconds:02d} s" if minutes else f"{seconds} s"
