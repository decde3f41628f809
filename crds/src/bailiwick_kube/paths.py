"""Paths of the API server. Pure.

Holds: a name stays one segment of the path, whatever characters it contains.
"""

from typing import Final
from urllib.parse import quote

from bailiwick_api.kinds.meta import (
    API_VERSION,
    APPROVAL_GRANTS,
    ENDPOINT_DATA,
    ENDPOINT_HISTORIES,
    ENDPOINT_POLICIES,
    SUBJECT_REVOCATIONS,
)

CORE: Final = "v1"
"""The version of the kinds that belong to no group."""


def object_path(version: str, plural: str, namespace: str | None = None, name: str = "", part: str = "") -> str:
    """Return the path of a collection, of one object in it where `name` is given, or of a part of that.

    `version` is an apiVersion, such as `v1` or `bailiwick.dev/v1alpha1`; without a namespace it is that of all.
    """
    root = "/api" if version == CORE else "/apis"
    within = [] if namespace is None else ["namespaces", quote(namespace, safe="")]
    below = [*([quote(name, safe="")] if name else []), *([part] if part else [])]
    return "/".join([root, version, *within, plural, *below])


def policies_path(namespace: str | None = None, name: str = "", part: str = "") -> str:
    """Return the path of policies, or of one."""
    return object_path(API_VERSION, ENDPOINT_POLICIES, namespace, name, part)


def grants_path(namespace: str | None = None, name: str = "", part: str = "") -> str:
    """Return the path of grants, or of one."""
    return object_path(API_VERSION, APPROVAL_GRANTS, namespace, name, part)


def data_path(namespace: str | None = None, name: str = "", part: str = "") -> str:
    """Return the path of data objects, or of one."""
    return object_path(API_VERSION, ENDPOINT_DATA, namespace, name, part)


def histories_path(namespace: str | None = None, name: str = "") -> str:
    """Return the path of histories, or of one."""
    return object_path(API_VERSION, ENDPOINT_HISTORIES, namespace, name)


def revocations_path(name: str = "") -> str:
    """Return the path of subject revocations, which have no namespace, or of one."""
    return object_path(API_VERSION, SUBJECT_REVOCATIONS, None, name)
