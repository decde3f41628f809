"""Metrics: what the decision point counts, and the table of it. `http.status.exposition` writes it for Prometheus."""
