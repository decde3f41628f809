"""What a command ends with: exit codes, and the one line that tells what to do.

Holds: nobody sees a traceback; every failure that is foreseen is a `CliError`, whose text says what is wrong and, where
it is not plain, what to do. Imported by every module and imports nothing.
"""

from collections.abc import Sequence
from enum import IntEnum


class Exit(IntEnum):
    """Exit codes. They are a contract: scripts go by them."""

    OK = 0
    """Allowed, approved, done."""
    NO = 1
    """Denied, ended without approval, or the person said no."""
    FAILURE = 2
    """Used wrongly, refused by the API server, or not reached; the policies that decide are broken."""
    PENDING = 3
    """An approval is needed, or is still waited for."""
    TIMED_OUT = 4
    """`wait` gave up."""


class CliError(Exception):
    """A command cannot go on. The message is for a person and begins in lower case."""

    def __init__(self, message: str, code: Exit = Exit.FAILURE) -> None:
        super().__init__(message)
        self.code = code


class ApiError(CliError):
    """The API server refused. `status` is HTTP's, `reason` the machine-readable one of its Status object.

    `causes`: the fields that it refuses (`spec.rules[0].effect`; empty: all of it), each with why.
    """

    def __init__(self, message: str, status: int, reason: str = "", causes: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.causes = tuple(causes)
