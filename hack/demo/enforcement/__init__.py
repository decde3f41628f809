"""Case S1 again, where the protected thing asks nobody: a real Envoy asks, or a server of MCP asks before a tool runs.

Standing: above `demo.stack`, whose decision points they ask; played by the demo and by the end-to-end tests.
"""
