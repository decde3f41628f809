"""Case S1 over MCP, by an agent that calls tools: the very steps of `make demo`."""

from demo.enforcement import s1mcp
from demo.narrator import Silent
from demo.stack import Stack


def test_an_agent_lists_its_tools_and_exports_once_for_one_approval(stack: Stack) -> None:
    s1mcp.S1Mcp(stack, Silent(), s1mcp.start(stack)).play()
