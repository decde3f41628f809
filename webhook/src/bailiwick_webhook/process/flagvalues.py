"""Types of flag values for argparse, such as positive numbers and loopback addresses, and the form of its help.

Standing: under `settings`. Holds: a value is refused with a sentence, before anything starts.
"""

import argparse
import ipaddress
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit


class Help(argparse.ArgumentDefaultsHelpFormatter):
    """Shows a default only where there is one: an absent default is described by the help text, or is obvious."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        absent = action.default is None or action.default is False or action.default in ("", [])
        return action.help if absent else super()._get_help_string(action)


class RemovalNotice(argparse.Action):
    """A removed flag: with any value, it is refused with what to do `instead`."""

    def __init__(self, option_strings: Sequence[str], dest: str, *, instead: str, **kwargs: Any) -> None:  # noqa: ANN401 - argparse's own
        super().__init__(option_strings, dest, **kwargs)
        self._instead = instead

    def __call__(self, *_: object) -> None:
        """Refuse."""
        raise argparse.ArgumentError(self, f"was removed, because {self._instead}")


def positive(text: str) -> float:
    """Return a number above 0. Raises `ArgumentTypeError` or `ValueError`, as argparse expects."""
    value = float(text)
    # Neither inf nor nan: a store would never be too old.
    if not 0 < value < float("inf"):
        message = "must be a number greater than 0"
        raise argparse.ArgumentTypeError(message)
    return value


def seconds(text: str) -> float:
    """Return a number of seconds, 0 included. Raises `ArgumentTypeError` or `ValueError`."""
    value = float(text)
    if not 0 <= value < float("inf"):
        message = "must be a number, 0 or greater"
        raise argparse.ArgumentTypeError(message)
    return value


def fraction(text: str) -> float:
    """Return a number from 0 to 1. Raises `ArgumentTypeError` or `ValueError`."""
    value = float(text)
    if not 0 <= value <= 1:
        message = "must be a number from 0 to 1"
        raise argparse.ArgumentTypeError(message)
    return value


def count(text: str) -> int:
    """Return a whole number above 0. Raises `ArgumentTypeError`."""
    value = int(text) if text.isascii() and text.isdigit() else 0
    if value < 1:
        message = "must be an integer greater than 0"
        raise argparse.ArgumentTypeError(message)
    return value


def any_count(text: str) -> int:
    """Return a whole number, 0 too. Raises `ArgumentTypeError`."""
    try:
        return 0 if text == "0" else count(text)
    except argparse.ArgumentTypeError:
        message = "must be 0 or an integer greater than 0"
        raise argparse.ArgumentTypeError(message) from None


def base_url(text: str) -> str:
    """Return a URL of a server, as http[s]://host[:port][/path]. Raises `ArgumentTypeError`."""
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment or parts.username:
        message = f"{text!r} is not a URL of a server: http[s]://host[:port][/path]"
        raise argparse.ArgumentTypeError(message)
    return text.rstrip("/")


def percent(text: str) -> int:
    """Return a percentage that leaves something on either side. Raises `ArgumentTypeError`."""
    value = int(text) if text.isascii() and text.isdigit() else 0
    if not 1 <= value <= 90:  # noqa: PLR2004 - said here, and in the sentence
        message = "must be an integer from 1 to 90"
        raise argparse.ArgumentTypeError(message)
    return value


def is_loopback(host: str) -> bool:
    """Tell whether only this machine can reach an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
