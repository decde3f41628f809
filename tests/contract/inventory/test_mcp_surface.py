"""What an MCP server lists is read from a real one, as calls that the decision point would be asked about."""

import pytest
from fastmcp import FastMCP

from bailiwick_governance.errors import UserError
from bailiwick_governance.inventory.apisurface import read_mcp
from support.mcp.mcpserver import served


def server() -> FastMCP:
    offered = FastMCP("offered")

    @offered.tool
    def transfer(amount: int) -> int:
        return amount

    @offered.resource("data://open")
    def opened() -> str:
        return "open"

    @offered.prompt
    def greet() -> str:
        return "hello"

    return offered


def test_tools_resources_and_prompts_are_the_calls_that_the_engine_maps_them_to() -> None:
    with served(server().http_app()) as url:
        found = read_mcp(f"{url}/mcp", ("shop", "tools"))
    assert [(one.action, one.type, one.identifier) for one in found] == [
        ("transfer", "tool", "transfer"),
        ("resources/read", "resource", "data://open"),
        ("prompts/get", "prompt", "greet"),
    ]


def test_a_server_that_does_not_answer_is_an_error_and_no_empty_list() -> None:
    with pytest.raises(UserError, match="does not answer"):
        read_mcp("http://127.0.0.1:1/mcp", ("shop", "tools"))
