"""What an attempt to deliver came to."""

from dataclasses import dataclass
from typing import Final, Literal

AttemptResult = Literal["delivered", "failed", "refused"]


@dataclass(frozen=True, slots=True)
class DeliveryAttempt:
    """`failed` may be tried again, `refused` is for good. `why` holds neither a URL nor a secret.

    `tried` False: the target was not called, so that this says nothing about it.
    """

    result: AttemptResult
    why: str = ""
    tried: bool = True


DELIVERED: Final = DeliveryAttempt("delivered")
# Too early, too many, or too slow: the same may be taken later.
_AGAIN: Final = frozenset({408, 425, 429})


def attempt_from_status(status: int, who: str) -> DeliveryAttempt:
    """Return what a status of HTTP means."""
    if 200 <= status < 300:  # noqa: PLR2004 - success, in HTTP
        return DELIVERED
    if 300 <= status < 400:  # noqa: PLR2004 - redirects, in HTTP
        return DeliveryAttempt("refused", f"{who} answered {status}: redirects are not followed")
    again = status in _AGAIN or status >= 500  # noqa: PLR2004 - failures of the server, in HTTP
    return DeliveryAttempt("failed" if again else "refused", f"{who} answered {status}")
