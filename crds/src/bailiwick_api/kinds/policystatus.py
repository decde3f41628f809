"""The status of an `EndpointPolicy`: whether it is in force, a summary, and its use. The operator writes it.

Standing: under `endpointpolicy`. Holds: the numbers are for people and decide nothing; none is about another namespace.
"""

from typing import Annotated, Final

from pydantic import Field

from bailiwick_api.kinds.meta import LIST_ATOMIC, Condition, Model, Time, list_map

MOST_GATED_ACTIONS: Final = 32
"""Actions that a status lists."""


class PolicyUsage(Model):
    """Use of the policy's rules, as the decision points count it: a call that a rule or its approval let through."""

    last_used_time: Time | None = None
    """The day of the last use (UTC)."""
    observed_since: Time | None = None
    """Since when every decision point could be asked for uses. Absent while that is not known."""
    unused_since: Time | None = None
    """Since when no rule let a call through. Absent if one did today or yesterday, while that is not known, and for a
    policy that lets no call through: it is suspended, in mode Audit, or has only Deny rules."""


class ShadowCounts(Model):
    """How often a candidate (spec.replaces) was compared with the live policy. Rounded down to 1, 2, 5, 10, 20, ..."""

    observed_generation: Annotated[int, Field(ge=0, json_schema_extra={"format": "int64"})]
    """Generation of the candidate that was compared."""
    compared: Annotated[int, Field(ge=0, json_schema_extra={"format": "int64"})]
    """Calls that were decided once more with the candidate."""
    different: Annotated[int, Field(ge=0, json_schema_extra={"format": "int64"})]
    """Those of them with another verdict or another reason."""
    last_update_time: Time | None = None
    """Time of the last change. The counts change at most once in 10 minutes."""


class EndpointPolicyStatus(Model):
    """Status that the operator writes."""

    observed_generation: Annotated[int | None, Field(ge=0, json_schema_extra={"format": "int64"})] = None
    digest: Annotated[str | None, Field(max_length=80)] = None
    """Digest of the compiled policy, as in decision records."""
    rule_count: Annotated[int | None, Field(ge=0, le=64)] = None
    """Number of rules of the compiled policy."""
    gated_action_count: Annotated[int | None, Field(ge=0, le=4096)] = None
    """Number of actions that need an approval by a rule of this policy, as the rules name them."""
    gated_actions: Annotated[
        list[Annotated[str, Field(max_length=128)]] | None,
        Field(max_length=MOST_GATED_ACTIONS, json_schema_extra=LIST_ATOMIC),
    ] = None
    """The first 32 of these actions, in order of name."""
    usage: PolicyUsage | None = None
    shadow: ShadowCounts | None = None
    conditions: Annotated[list[Condition] | None, Field(max_length=16, json_schema_extra=list_map("type"))] = None
