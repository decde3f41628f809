"""JSON Web Tokens of issuers: read strictly, and verified by the keys that their issuer publishes (RFC 7515, 7517).

Standing: under the decision point, which verifies people's tokens, and the operator, which verifies signals.
Holds: nothing here says whether a token counts, or for whom.
"""
