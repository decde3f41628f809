"""A small OIDC issuer: discovery, a JWK Set, signed tokens, and keys that rotate.

Standing: test bed only, for the demo and the tests; nothing that ships imports it. It signs whatever it is told to,
for whoever can read its folder: never let anything trust it that is not a test.
"""
