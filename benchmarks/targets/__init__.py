"""Targets: what is measured, each started as its makers would start it."""
