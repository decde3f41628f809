"""Histories: calls that are counted at the API server before they are answered.

Standing: under `pipeline`, beside `approvals`, above `store` and `cluster`. Holds: what is not counted is not let
through; each count is a write at the resourceVersion that it was judged by.
"""
