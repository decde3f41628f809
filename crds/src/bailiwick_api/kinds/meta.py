"""Names and shapes that all kinds share.

Standing: below everything else in the project. Holds: only this module spells group, version and plurals; every model
is frozen and closed.
"""

from typing import Annotated, Any, Final, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.alias_generators import to_camel
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

GROUP: Final = "bailiwick.dev"
VERSION: Final = "v1alpha1"
API_VERSION: Final = f"{GROUP}/{VERSION}"
ENDPOINT_POLICIES: Final = "endpointpolicies"
APPROVAL_GRANTS: Final = "approvalgrants"
ENDPOINT_DATA: Final = "endpointdata"
ENDPOINT_HISTORIES: Final = "endpointhistories"
SUBJECT_REVOCATIONS: Final = "subjectrevocations"
# It selects the requests for one subject of one endpoint.
SUBJECT_LABEL: Final = f"{GROUP}/subject"
ENDPOINT_LABEL: Final = f"{GROUP}/endpoint"
"""It selects the histories of one endpoint."""
KEEP_UNTIL_LABEL: Final = f"{GROUP}/keep-until"
"""The hour from which a history counts nothing any more, in UTC: `2026-11-30T16`. The operator deletes it then."""

DNS_LABEL: Final = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
# RFC 3339 within years that every clock can hold. The API server's format date-time alone accepts values that no reader
# can parse: an offset of 99 hours, the year 0, anything after a second T.
TIME_PATTERN: Final = (
    r"^[12][0-9]{3}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?"
    r"(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$"
)


class Model(BaseModel):
    """A frozen, closed piece of a custom resource; attribute docstrings become its `kubectl explain` text."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
        use_attribute_docstrings=True,
        ser_json_timedelta="float",
    )


def list_map(*keys: str) -> dict[str, Any]:
    """Mark a list as a map by these keys, so that two writers can own different items (structural schema extension)."""
    return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": list(keys)}


LIST_ATOMIC: Final[dict[str, Any]] = {"x-kubernetes-list-type": "atomic"}


def _require_distinct(entries: list[Any] | None) -> list[Any] | None:
    """Raise if a list has an entry twice, as the API server does for a set."""
    if entries is not None and len(entries) > 1 and len(set(entries)) < len(entries):
        first = {entry: index for index, entry in reversed([*enumerate(entries)])}
        again = next(index for index, entry in enumerate(entries) if first[entry] != index)
        # The message has positions, not values: its reader may not be allowed to see values.
        message = "has the same entry twice, at [{first}] and at [{again}]: remove one"
        raise PydanticCustomError("duplicate_entry", message, {"first": first[entries[again]], "again": again})
    return entries


class _ListSet:
    """Marks a list, in its annotation, as a set for the API server and the model."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:  # noqa: ANN401 - any type
        return core_schema.no_info_after_validator_function(_require_distinct, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {**handler(schema), "x-kubernetes-list-type": "set"}


SET: Final = _ListSet()
"""A list without duplicates: files are refused as the API server refuses objects."""

Time = Annotated[AwareDatetime, Field(json_schema_extra={"pattern": TIME_PATTERN})]
Label = Annotated[str, Field(min_length=1, max_length=63, pattern=DNS_LABEL)]
ObjectName = Annotated[str, Field(min_length=1, max_length=253)]
Uid = Annotated[str, Field(min_length=1, max_length=128)]
Username = Annotated[str, Field(min_length=1, max_length=512)]
GroupName = Annotated[str, Field(min_length=1, max_length=253)]
Intent = Annotated[str, Field(min_length=1, max_length=63)]


class Condition(Model):
    """One condition, as `metav1.Condition` (Kubernetes API conventions, "Typical status properties")."""

    type: Annotated[str, Field(max_length=64)]
    status: Literal["True", "False", "Unknown"]
    observed_generation: Annotated[int | None, Field(ge=0, json_schema_extra={"format": "int64"})] = None
    last_transition_time: Time
    reason: Annotated[str, Field(min_length=1, max_length=128)]
    message: Annotated[str, Field(max_length=4096)] = ""
