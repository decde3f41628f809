"""Effect and reference: what a rule does to the calls that it covers, and whose it is."""

from dataclasses import dataclass
from enum import StrEnum


class Effect(StrEnum):
    """What a rule does; the strictest that applies wins."""

    ALLOW = "Allow"
    REQUIRE_APPROVAL = "RequireApproval"
    DENY = "Deny"


@dataclass(frozen=True, slots=True)
class PolicyRef:
    """A policy object, as the API server knows it."""

    namespace: str
    name: str
    uid: str
    generation: int
