"""On a real API server: how soon a change counts."""
