"""Metrics: what the decision point counts, and how Prometheus reads it."""
