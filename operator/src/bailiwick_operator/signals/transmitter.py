"""Polls a transmitter of security events (RFC 8936), under the address rules of its issuer.

Holds: no redirect is followed, the answer is bounded, and every poll has a deadline. The token is read again for each
poll, so that it can be rotated.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from bailiwick_api.issuers import IssuerConfig, SignalsConfig
from bailiwick_operator.reconcile.securityevent import RefusedSet
from bailiwick_process.jwt.fetch import FetchError, FetchRule, post_json

MOST_EVENTS: Final = 100
MOST_BYTES: Final = 2 * 1024 * 1024
POLL_SECONDS: Final = 90.0
"""How long a transmitter may wait for an event before it answers that there is none."""
_MOST_TOKEN: Final = 16_384


class TransmitterUnavailableError(Exception):
    """The transmitter gave no usable answer; the message says why."""


@dataclass(frozen=True, slots=True)
class PollAnswer:
    """The tokens that a transmitter sent, by the `jti` under which it sent each."""

    tokens: Mapping[str, str]
    more: bool


@dataclass(frozen=True, slots=True)
class PollReport:
    """What a receiver says of the tokens of the last answer: what it stored, and what it refused."""

    stored: tuple[str, ...] = ()
    refused: Mapping[str, RefusedSet] = field(default_factory=dict)


class Transmitter:
    """The transmitter of one issuer. `seconds`: of one poll."""

    def __init__(self, config: IssuerConfig, signals: SignalsConfig, seconds: float = POLL_SECONDS) -> None:
        self._config = config
        self._signals = signals
        self._seconds = seconds

    async def poll(self, report: PollReport) -> PollAnswer:
        """Send what became of the last tokens, and return the next ones. Raises `TransmitterUnavailableError`."""
        question = {
            "maxEvents": MOST_EVENTS,
            "returnImmediately": False,
            "ack": list(report.stored),
            "setErrs": {jti: {"err": one.code, "description": one.description} for jti, one in report.refused.items()},
        }
        try:
            answer = await post_json(
                self._signals.poll_url,
                question,
                self._token(),
                FetchRule(self._config.ca_file, self._config.allow_private_addresses, self._seconds, MOST_BYTES),
            )
        except FetchError as error:
            raise TransmitterUnavailableError(str(error)) from error
        tokens = answer.get("sets") if isinstance(answer, dict) else None
        if not isinstance(tokens, dict) or not all(isinstance(token, str) for token in tokens.values()):
            raise TransmitterUnavailableError(f"{self._signals.poll_url}: the answer has no sets (RFC 8936, 2.3)")
        # One that sends more than it was asked for sends the rest again.
        return PollAnswer(dict(islice(tokens.items(), MOST_EVENTS)), answer.get("moreAvailable") is True)

    def _token(self) -> str:
        path = self._signals.token_file
        try:
            with path.open(encoding="ascii") as file:
                token = file.read(_MOST_TOKEN + 1).strip()
        except (OSError, ValueError) as error:
            raise TransmitterUnavailableError(f"tokenFile {path} cannot be read: {error}") from error
        if not token or len(token) > _MOST_TOKEN or not token.isprintable() or " " in token:
            raise TransmitterUnavailableError(f"tokenFile {path} must have one bearer token and nothing else")
        return token
