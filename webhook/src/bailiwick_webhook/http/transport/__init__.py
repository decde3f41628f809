"""Transport: everything that reaches into aiohttp, and the sockets under it.

Standing: under every path. Holds: nothing outside of this folder overrides aiohttp.
"""
