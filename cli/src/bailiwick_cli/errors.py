"""What a command ends with: an exit code, and one line that says what is wrong and what to do.

Holds: no failure is shown as a traceback; each that is foreseen is a `UserError`. This is on the way of `--help`, and
imports nothing but that class.
"""

from enum import IntEnum

from bailiwick_governance.errors import UserError


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


class CliError(UserError):
    """A command cannot go on, and ends with `code`."""

    def __init__(self, message: str, code: Exit = Exit.FAILURE) -> None:
        super().__init__(message)
        self.code = code
