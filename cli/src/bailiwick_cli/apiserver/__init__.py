"""The API server, asked as the person who types: the client, who that is, and the routes to an answer.

Standing: under all that needs a cluster. Holds: one module knows the Kubernetes client; no flag is believed.
"""
