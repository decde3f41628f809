"""Admission of policies: what the API server asks before it stores one."""
