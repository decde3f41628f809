"""Telling a case as it happens, so that a person can follow it: who does what, what is asked, what comes back and why.

Standing: only words; whether a step came out as told is judged in the case itself.
"""

import json
from typing import Any, Protocol

from rich.console import Console
from rich.panel import Panel


class Narrator(Protocol):
    """Where the words go."""

    def chapter(self, title: str) -> None:
        """Begin a part."""

    def step(self, text: str) -> None:
        """Say what happens next, and who does it."""

    def command(self, text: str) -> None:
        """Show a command or a call as it is made."""

    def answer(self, text: str | dict[str, Any]) -> None:
        """Show what came back."""

    def held(self, text: str) -> None:
        """Say what was just seen to hold."""


class Terminal:
    """To standard output."""

    def __init__(self) -> None:
        """Look at what standard output is."""
        self._console = Console(highlight=False, soft_wrap=True)
        self._step = 0

    def chapter(self, title: str) -> None:
        """Print a heading."""
        self._console.print()
        self._console.print(Panel(title, expand=False), markup=False)

    def step(self, text: str) -> None:
        """Print a numbered step."""
        self._step += 1
        self._console.print()
        self._console.print(f"{self._step}. {text}", style="bold", markup=False)

    def command(self, text: str) -> None:
        """Print a command."""
        for line in text.splitlines():
            self._console.print(f"   $ {line}", style="cyan", markup=False)

    def answer(self, text: str | dict[str, Any]) -> None:
        """Print an answer, indented."""
        shown = text if isinstance(text, str) else json.dumps(text, indent=2, ensure_ascii=False)
        for line in shown.splitlines():
            self._console.print(f"   | {line}", style="dim", markup=False)

    def held(self, text: str) -> None:
        """Print what holds."""
        self._console.print(f"   ✓ {text}", style="green", markup=False)


class Silent:
    """Nowhere; for tests."""

    def chapter(self, title: str) -> None:
        """Say nothing."""

    def step(self, text: str) -> None:
        """Say nothing."""

    def command(self, text: str) -> None:
        """Say nothing."""

    def answer(self, text: str | dict[str, Any]) -> None:
        """Say nothing."""

    def held(self, text: str) -> None:
        """Say nothing."""
