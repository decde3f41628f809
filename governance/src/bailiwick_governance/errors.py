"""What stops a task, in words for the person who asked for it.

Holds: every failure that is foreseen is a `UserError`, whose text says what is wrong and, where it is not plain, what
to do. It imports nothing.
"""

from collections.abc import Sequence


class UserError(Exception):
    """A task cannot go on. The message is for a person and begins in lower case."""


class ApiError(UserError):
    """The API server refused. `status` is HTTP's, `reason` the machine-readable one of its Status object.

    `causes`: the fields that it refuses (`spec.rules[0].effect`; empty: all of it), each with why.
    """

    def __init__(self, message: str, status: int, reason: str = "", causes: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.causes = tuple(causes)
