"""`make demo-fleet`: two API servers, the same policy in both by Argo CD, and their decision logs in one object store.

Standing: test bed only; it stands on what the tests have of Argo CD, the Collector and the S3 server (`tests/support`).
"""
