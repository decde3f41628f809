"""The console in the cluster: people log in by OpenID Connect, and what they do is asked for with their own token.

Standing: above the pages, which it shares with the console on loopback. Holds: it has no account and no right of its
own; a token is memory of this process alone, and goes nowhere but to the API server that was named at the start.
"""
