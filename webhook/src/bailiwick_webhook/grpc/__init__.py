"""Envoy's ext_authz over gRPC, on a port of its own."""
