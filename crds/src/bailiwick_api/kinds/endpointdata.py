"""`EndpointData`: attributes from outside the policy, such as a directory of people or the state of an incident.

Holds: the CRD is generated from these models (`schema`). Below `spec.data` the schema is open: every reader checks the
content (`bailiwick_engine.cel.data`), and so does admission, with the same function.
"""

from typing import Annotated, Any, Final

from pydantic import Field

from bailiwick_api.kinds.meta import SET, Condition, Model, ObjectName, list_map

KIND: Final = "EndpointData"
MOST_BYTES: Final = 256 * 1024
"""The size of `spec.data`, written as JSON without spaces."""
MOST_CONTAINERS: Final = 20_000
"""Objects and lists in it. To parse or walk over more of them would keep callers waiting."""
MOST_READERS: Final = 64


class DataSource(Model):
    """An EndpointData of the policy's own namespace that conditions can read as `data.<name>`."""

    name: Annotated[str, Field(min_length=1, max_length=63, pattern="^[A-Za-z_][A-Za-z0-9_]*$")]
    from_: Annotated[ObjectName | None, Field(alias="from")] = None
    """Name of the EndpointData. Defaults to `name`."""

    @property
    def source(self) -> str:
        """The name of the object."""
        return self.from_ or self.name


class EndpointDataSpec(Model):
    """The data."""

    data: Annotated[dict[str, Any], Field(json_schema_extra={"x-kubernetes-preserve-unknown-fields": True})]
    """A JSON object (I-JSON, RFC 7493) of at most 256 KiB, with at most 20,000 objects and lists in it. Conditions of
    policies that name this object in spec.data read it as `data.<name>`."""


class EndpointDataStatus(Model):
    """Status that the operator writes."""

    observed_generation: Annotated[int | None, Field(ge=0, json_schema_extra={"format": "int64"})] = None
    digest: Annotated[str | None, Field(max_length=80)] = None
    """SHA-256 of the canonical form (RFC 8785) of spec.data, as in decision records."""
    readers: Annotated[list[ObjectName] | None, Field(max_length=MOST_READERS), SET] = None
    """Names of the policies that read this object, the first 64 in order of name."""
    conditions: Annotated[list[Condition] | None, Field(max_length=16, json_schema_extra=list_map("type"))] = None


class EndpointData(Model):
    """EndpointData holds attributes that the conditions of policies in the same namespace can read.

    Anyone who can write it is as powerful as the rules that read it.
    """

    spec: EndpointDataSpec
    status: EndpointDataStatus | None = None
