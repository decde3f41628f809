"""Record settings of an endpoint: what its decision records contain besides what its rules read.

Standing: below `endpointpolicy`, which hangs them on `endpointSettings`. Holds: a kept attribute is one of a call; of
data, records have the digest.
"""

from typing import Annotated, Final

from pydantic import Field

from bailiwick_api.kinds.meta import SET, Model

# A part of a path is the name of a member.
KEPT_PATTERN: Final = (
    r"^(context|(subject|actor)\.(claims|properties)|(action|resource)\.properties)"
    r"(\.[A-Za-z_][A-Za-z0-9_-]*){1,8}$"
)
KeptAttribute = Annotated[str, Field(min_length=1, max_length=253, pattern=KEPT_PATTERN)]


class RecordSettings(Model):
    """What the decision records of the endpoint contain, besides what its rules read."""

    keep: Annotated[list[KeptAttribute], Field(min_length=1, max_length=32), SET]
    """Call attributes that every record contains, so that a later policy that reads them can be tried on past calls.

    Example: context.tenant. Values are recorded as those that rules read: sensitive ones, objects and arguments
    (context.args) only as an HMAC."""
