"""What rules, ceilings and histories match calls by: names of actions, resources, and CEL expressions.

Standing: below `endpointpolicy` and `histories`. Holds: names are compared exactly; a star stands at the end alone.
"""

from typing import Annotated, Final

from pydantic import Field

from bailiwick_api.kinds.meta import SET, Model

# Exact, "*", or a trailing * after one of . : / ; so `customers.*` covers `customers.a.b` and not `customers`.
# No \s in patterns: it matches five characters in the API server, and all spaces of Unicode in pydantic.
ACTION_PATTERN: Final = r"^(\*|[^*\x00-\x20\x7f]+([.:/]\*)?)$"
RESOURCE_ID_PATTERN: Final = r"^(\*|[^*\x00-\x1f\x7f]+([.:/]\*)?)$"
EXPRESSION_LENGTH: Final = 4096

Action = Annotated[str, Field(min_length=1, max_length=128, pattern=ACTION_PATTERN)]
ResourceId = Annotated[str, Field(min_length=1, max_length=253, pattern=RESOURCE_ID_PATTERN)]
Expression = Annotated[str, Field(min_length=1, max_length=EXPRESSION_LENGTH)]
PropertyValue = Annotated[str, Field(max_length=253)]


class ResourceMatch(Model):
    """Resources by type, id and properties."""

    type: Annotated[str, Field(min_length=1, max_length=63)]
    ids: Annotated[list[ResourceId], Field(min_length=1, max_length=64), SET]
    """An exact name, "*", or a prefix that ends in * after one of . : /"""
    properties: Annotated[
        dict[
            str,
            Annotated[list[PropertyValue], Field(min_length=1, max_length=16), SET],
        ]
        | None,
        Field(min_length=1, max_length=16),
    ] = None
    """Each named property must have one of the listed values."""
