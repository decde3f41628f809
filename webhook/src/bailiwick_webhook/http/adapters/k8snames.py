"""Which object a name in a call of the API server stands for, so that what has two names is asked about by one.

Standing: under `enforce` and `authorize`. Holds: pure; a name is read as the API server resolves it (`storage.go` and
`strategy.go` of pods and services, `SplitSchemeNamePort`), and a name that can be read in another way is `unclear`.
"""

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from bailiwick_engine.compile.kubenames import EVICTION, PROXIED, SAME

CONNECT: Final = "connect"
CREATE: Final = "create"
DELETE: Final = "delete"
UPDATE: Final = "update"
UNNAMED: Final = "*"
# What the API server issues in a dry run as it does otherwise, since it stores nothing of it.
_ISSUED: Final = frozenset({"serviceaccounts/token"})
_SERVICES, _NODES = "services/proxy", "nodes/proxy"
_SCHEMES: Final = frozenset({"http", "https"})
# Without a sign or leading zeros: the API server dials 080 and +80 as 80.
_NUMBER: Final = re.compile(r"[1-9][0-9]{0,4}", re.ASCII)
# RFC 6335, 5.1, in small letters as for a port of a Service.
_PORT_NAME: Final = re.compile(r"(?=.*[a-z])[a-z0-9]+(?:-[a-z0-9]+)*", re.ASCII)
_LAST_PORT: Final = 65_535
_LONGEST_PORT_NAME: Final = 15


class CallTarget(NamedTuple):
    """What a call is about. `unclear` tells the caller why it has no single reading; None: it has one."""

    action: str
    type: str
    name: str
    properties: Mapping[str, str] = {}
    unclear: str | None = None


def resolved(action: str, group: str, resource: str, subresource: str, name: str) -> CallTarget:
    """Return the target of a call. `name` as the API server says it; empty: the call names no object."""
    kind = "/".join(part for part in (group, resource, subresource) if part)
    kind = SAME.get(kind, kind)
    if (action, kind) == (CREATE, EVICTION):
        action, kind = DELETE, "pods"
    if action == CONNECT and kind in PROXIED and name:
        return _proxied(kind, name)
    return CallTarget(action, kind, name or UNNAMED)


def dry_run_problem(target: CallTarget) -> str | None:
    """Return why a dry run of this call is none, None: it changes nothing and yields nothing."""
    if target.type in _ISSUED:
        return "The API server issues a token in a dry run, too. Send the request without a dry run."
    return None


def path_problem(options: object) -> str | None:
    """Return what is wrong with the path of a proxied call, None: it reads in one way only.

    `options` are its PodProxyOptions, or those of a service or a node. The API server cleans a path before it sends it.
    """
    path = options.get("path", "") if isinstance(options, Mapping) else None
    if not isinstance(path, str):
        return "The path of a proxied request must be a string."
    inner, last = (*path.removeprefix("/").split("/")[:-1],), path.rpartition("/")[2]
    if any(segment in {"", ".", ".."} for segment in inner) or last in {".", ".."}:
        return "Send the path of a proxied request without empty segments, `.` and `..`."
    if any(ord(character) < ord(" ") or character == "\x7f" for character in path):
        return "Send the path of a proxied request without control characters."
    return None


def identity(request: Mapping[str, Any], operation: str, told: str) -> tuple[str, str | None]:
    """Return the name of the object that an AdmissionRequest is about, and what is wrong with it.

    `told`: its `name`. A collection that is deleted is asked about object by object, each named by its `oldObject`
    alone. An object that does not exist yet has the name in it, or none: then what its name will begin with.
    """
    parts = () if operation == CONNECT else ("object", "oldObject")
    names = [name for part in parts if (name := _metadata(request, part).get("name"))]
    name = told or next(iter(names), "")
    if not isinstance(name, str) or any(each != name for each in names):
        return "", "The request and the object in it have different names. Name one object."
    if name or operation == CREATE:
        return name or _prefix(request), None
    return "", "Neither the request nor the object in it has a name. Name the object."


def uid_of_old(request: Mapping[str, Any]) -> str | None:
    """Return the uid of the object that an AdmissionRequest changes or deletes; None where there is none."""
    uid = _metadata(request, "oldObject").get("uid")
    return uid if isinstance(uid, str) and uid else None


def namespace_of(request: Mapping[str, Any], told: str) -> tuple[str, str | None]:
    """Return the namespace that an AdmissionRequest is about, and what is wrong with it. `told`: its `namespace`."""
    within = {name for part in ("object", "oldObject") if (name := _metadata(request, part).get("namespace"))}
    if len(within) > 1 or (told and within - {told}):
        return told, "The request and the object in it are of different namespaces."
    return told or str(next(iter(within), "")), None


def _prefix(request: Mapping[str, Any]) -> str:
    """Return what the name of an object will begin with that has none yet: no object can have that as its name."""
    prefix = _metadata(request, "object").get("generateName")
    return f"{prefix}*" if isinstance(prefix, str) and prefix else ""


def _metadata(request: Mapping[str, Any], part: str) -> Mapping[str, Any]:
    found = request.get(part)
    metadata = found.get("metadata") if isinstance(found, dict) else None
    return metadata if isinstance(metadata, dict) else {}


def _proxied(kind: str, name: str) -> CallTarget:
    """Split `[scheme:]name[:port]`.

    A port of a service has a number and a name, which are two properties: a Deny that asks for one of them also speaks
    of a call that gives the other, and an Allow does not.
    """
    match name.split(":"):
        case [only]:
            scheme, plain, port = "", only, ""
        case [plain, port]:
            scheme = ""
        case [scheme, plain, port]:
            pass
        case _:
            return _unclear(kind, name)
    named = kind == _SERVICES and port and _PORT_NAME.fullmatch(port) and len(port) <= _LONGEST_PORT_NAME
    numbered = _NUMBER.fullmatch(port) and int(port) <= _LAST_PORT
    if not plain or (scheme and scheme not in _SCHEMES) or (port and not numbered and not named):
        return _unclear(kind, name)
    properties = {} if kind == _NODES and not scheme else {"scheme": scheme or "http"}
    if port:
        properties["portName" if named else "port"] = port
    return CallTarget(CONNECT, kind, plain, properties)


def _unclear(kind: str, name: str) -> CallTarget:
    words = "Name a proxied object `name`, `name:port` or `scheme:name:port`, with the scheme http or https."
    return CallTarget(CONNECT, kind, name, {}, f"{words} Write a port as a number without leading zeros.")
