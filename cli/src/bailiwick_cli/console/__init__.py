"""The console: grants on a page that is served on loopback, by the command line, to the one person who started it.

Standing: below `commands`. Holds: it has no right of its own; whatever it reads or writes is asked of the API server as
the person of the kubeconfig, and what it writes is what `approve`, `deny` and `revoke` write. The one room of the
command line that knows aiohttp and Jinja2, which are the extra [console].
"""
