"""A gateway before any MCP server over HTTP: `python -m bailiwick.mcp.gateway --help`.

Holds: each caller's own token decides and goes no further. MCP forbids to pass tokens through, so no flag does.
"""
