"""MCP: guards for FastMCP (`fastmcp`) and the official SDK (`server`), and a gateway before any server (`gateway`).

Holds: only `gate` and `calls` decide what is asked, and they know neither framework.
"""
