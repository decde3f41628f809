"""HTTP routes of an endpoint: how a proxied call becomes an action and a resource.

Standing: below `endpointpolicy`, which has them in `endpointSettings`. Holds: every list and every string is bounded;
the compiler reports a route that uses names which its path does not have.
"""

from typing import Annotated, Final

from pydantic import ConfigDict, Field

from bailiwick_api.kinds import cel
from bailiwick_api.kinds.meta import LIST_ATOMIC, SET, Model

# Characters that mean themselves in a path and have only one spelling (RFC 3986, 3.3), without ; and * ; a {name} is
# a whole segment.
PATH_PATTERN: Final = r"^(/|(/([A-Za-z0-9._~!$&'()+,=:@-]+|\{[A-Za-z_][A-Za-z0-9_]*\}))+/?)$"
# The same without names.
LITERAL_PATH_PATTERN: Final = r"^(/|(/[A-Za-z0-9._~!$&'()+,=:@-]+)+/?)$"
# {name} comes from the path, {query.name} from the query and {header.name} from a header.
VALUE_PATTERN: Final = r"^([^{}\x00-\x1f\x7f]|\{([A-Za-z_][A-Za-z0-9_]*|query\.[A-Za-z0-9_-]+|header\.[a-z0-9-]+)\})+$"
# RFC 6901, into the body; the empty pointer is the whole body. Or one name in braces, as in a value.
ARGUMENT_PATTERN: Final = (
    r"^((/[^\x00-\x1f\x7f/]*)*|\{([A-Za-z_][A-Za-z0-9_]*|query\.[A-Za-z0-9_-]+|header\.[a-z0-9-]+)\})$"
)
# A name, an IPv4 address or an IPv6 address in brackets, with or without a port.
HOST_PATTERN: Final = (
    r"^([a-z0-9_]([a-z0-9_-]*[a-z0-9])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9])?)*|\[[0-9a-f:.]+\])(:[1-9][0-9]{0,4})?$"
)

Value = Annotated[str, Field(min_length=1, max_length=253, pattern=VALUE_PATTERN)]
RouteAction = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[^*\x00-\x20\x7f]+$")]
Argument = Annotated[str, Field(max_length=253, pattern=ARGUMENT_PATTERN)]
Values = Annotated[dict[str, Value], Field(min_length=1, max_length=16)]
Method = Annotated[str, Field(min_length=1, max_length=16, pattern="^[A-Z]+$")]


class RouteResource(Model):
    """The resource of a call: its type, and its id and properties with names in braces, for example "{id}"."""

    type: Annotated[str, Field(min_length=1, max_length=63)]
    id: Value
    """Text and names in braces: {name} of the path, {query.name}, {header.name}."""
    properties: Values | None = None
    """A property is absent if the query or the headers lack the value that it names."""


class HttpRoute(Model):
    """Maps calls with these methods and this path to an action on a resource."""

    methods: Annotated[list[Method], Field(min_length=1, max_length=16), SET]
    """Exact methods. GET does not include HEAD."""
    path: Annotated[str, Field(min_length=1, max_length=253, pattern=PATH_PATTERN)]
    """Segments. {name} matches any segment that is not empty. If two routes match, the more specific one applies."""
    action: RouteAction
    action_properties: Values | None = None
    resource: RouteResource
    args: Annotated[dict[str, Argument] | None, Field(min_length=1, max_length=32)] = None
    """Arguments (context.args) by name: a JSON pointer into the body, "" for all of it, or one name in braces.

    Parts of the body that no argument names are not in an approval, and reviewers do not see them."""
    forms: bool = False
    """Accepts bodies of HTML forms (application/x-www-form-urlencoded, multipart). Set it only if the upstream takes no
    method from a form: many frameworks do (_method), and would run another action than the one that was allowed."""


class HttpSettings(Model):
    """Maps proxied HTTP calls to actions and resources. A call that maps to nothing is denied."""

    model_config = ConfigDict(json_schema_extra=cel.validations(cel.HTTP_SAYS_SOMETHING))

    hosts: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=253, pattern=HOST_PATTERN)]],
        Field(min_length=1, max_length=16),
        SET,
    ]
    """Hosts of the calls, in lower case. A host without a port matches every port."""
    routes: Annotated[list[HttpRoute] | None, Field(min_length=1, max_length=128, json_schema_extra=LIST_ATOMIC)] = None
    mcp: bool = False
    """The hosts serve MCP: what is posted to mcpPath is read as an MCP message. A tool is the action and the resource
    (type tool), and its arguments are context.args. Needs a proxy that sends bodies."""
    mcp_path: Annotated[str, Field(min_length=1, max_length=253, pattern=LITERAL_PATH_PATTERN)] = "/mcp"
    """The path of MCP. Only with mcp."""
