"""Policies: which data they read, and the status of each object of data.

Standing: above `loop`, beside the summaries of policies in `bailiwick_policystore`.
"""
