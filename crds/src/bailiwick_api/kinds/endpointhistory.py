"""`EndpointHistory`: what an endpoint has counted under one key.

Holds: the CRD is generated from these models (`schema`). Only the decision point writes it, and
`bailiwick_engine.history.state` alone knows what the texts hold. Lists of objects would cost the API server twice the
time of each write.
"""

from typing import Annotated, Final

from pydantic import Field

from bailiwick_api.kinds.meta import Label, Model

MOST_LINES: Final = 64
"""Lines of an object: those of the definitions in force, and of earlier ones whose calls are still in their window."""

Milliseconds = Annotated[int, Field(ge=0, json_schema_extra={"format": "int64"})]


class HistoryLine(Model):
    """What one definition has counted."""

    slots: Annotated[str, Field(max_length=4096)]
    """Number of a slot of the window, count, and sum in units of the last digit: "457:3:0 458:1:0"."""
    last: Milliseconds | None = None
    """When the latest call was counted, in milliseconds since 1970."""


class EndpointHistorySpec(Model):
    """The state of one key. It has no status, so that a call is counted by one write."""

    endpoint: Label
    """The endpoint, in the same namespace."""
    key: Annotated[str, Field(max_length=71, pattern="^sha256:[a-f0-9]{64}$")]
    """SHA-256 of the endpoint, the parts of the key and their values. A short value can be guessed."""
    seq: Annotated[int, Field(ge=0, json_schema_extra={"format": "int64"})]
    """Number of the latest event. Records of decisions have it, without a gap."""
    clock: Milliseconds
    """The latest time at which a call was counted, in milliseconds since 1970. Never goes back."""
    lines: Annotated[dict[str, HistoryLine] | None, Field(max_length=MOST_LINES)] = None
    """Counts, by the digest of the definition."""
    recent: Annotated[str | None, Field(max_length=65_536)] = None
    """The latest 64 calls, so that one that is repeated counts once, and one that fails can be taken back."""


class EndpointHistory(Model):
    """EndpointHistory holds what an endpoint has counted under one key. Only the decision point writes it."""

    spec: EndpointHistorySpec
