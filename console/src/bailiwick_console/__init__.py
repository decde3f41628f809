"""The console: requests, endpoints, identities and decisions on pages, on loopback or, by `hosted`, in the cluster.

Rooms, from below: `threads`; `grants`, `markup`, `strip`; `visits`; `bulk`, `endpoints`, `live`, `records` and, for the
page of one grant, `reviewpage`; `access`; then `app` (paths), `server` (loopback) and `hosted` (many people, a login).
Standing: over `bailiwick_governance`, under the verbs `console` and `serve-console`, which start it. Holds: it has no
right of its own; whatever it reads or writes is asked of the API server as the person who looks, and what it writes is
what `approve`, `deny` and `revoke` write. It needs aiohttp and Jinja2, which are the extra [console].
"""
