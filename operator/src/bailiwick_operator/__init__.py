"""The operator: keeps status, keys and certificates of both kinds."""
