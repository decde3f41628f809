"""A running Bailiwick for every test below."""

from support.pdp.fixtures import pdp, tenant, tenants

__all__ = ["pdp", "tenant", "tenants"]
