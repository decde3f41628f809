"""What callers read where more than one kind of guard can refuse them.

Standing: below `web` and `mcp`. Holds: each sentence says what happened, and what the caller can do next.
"""

from typing import Final

NO_TOKEN: Final = "The request has no token. Send one in the header: Authorization: Bearer TOKEN."  # noqa: S105 - words


def undecided(*, refused: bool) -> str:
    """Return what to say where no decision came. `refused`: none comes of the same request later either."""
    if refused:
        return "The decision point rejected the question, so nothing was done. Ask the owner of this service why."
    return "The decision point did not answer, so nothing was done. Try again later."


def unmapped(what: str) -> str:
    """Return what to say of something that no rule of the guard maps to an action. `what` begins the sentence."""
    return f"{what} is not mapped to an action, so the request is denied. Ask the owner of this service to map it."


def ambiguous(why: object) -> str:
    """Return what to say of a request that two readers could take for different things."""
    return f"The request can be read in more than one way: {why}. Change it so that it has one meaning."


def undecidable(what: str, error: object) -> str:
    """Return what to say of something that no decision can be requested about. `what` begins the sentence."""
    why = str(error).removesuffix(".")
    return f"{what} cannot be submitted for a decision: {why}. Correct the request and send it again."
