"""HTTP: what both ports and the status port are asked, as calls; and verdicts, in the words of who asked.

Standing: `authzen` and `adapters` have one contract a module, `admission` the reviews of policies, `app` every path of
the two ports, `status` the status port. `transport` (aiohttp and sockets) and `shares` (bounds) are below them.
"""
