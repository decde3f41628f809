"""The decision record: one JSON line for each decision."""
