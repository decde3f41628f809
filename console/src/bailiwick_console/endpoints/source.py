"""What the pages of endpoints read of the API server, as the person: every function waits, and is called in a thread.

Holds: a list that the person may not read is named with the right that is missing; policies are compiled as where they
are served, and what is wrong with them is on the page.
"""

import functools
import hashlib
import json
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from threading import Lock
from typing import Any, Final

from bailiwick_api.kinds.meta import ENDPOINT_DATA, ENDPOINT_HISTORIES, ENDPOINT_LABEL, ENDPOINT_POLICIES
from bailiwick_console.endpoints import overview
from bailiwick_console.endpoints.overview import EndpointState
from bailiwick_console.grants.source import AbsentError, MissingRightError
from bailiwick_engine.approval.display import visible
from bailiwick_engine.compile.policies import compile_object
from bailiwick_engine.policy.model import BrokenPolicy, CompiledPolicy
from bailiwick_engine.policy.snapshot import CompiledEndpoint, EndpointKey
from bailiwick_governance.apiserver.cluster import ClusterClient, Object, histories_path, policies_path
from bailiwick_governance.errors import ApiError
from bailiwick_governance.sources import clusterpolicies
from bailiwick_kube.paths import data_path

_MOST_KEPT: Final = 1_024
_MOST_HISTORIES: Final = 200
"""So many objects are read for a page: each can be 16 KiB."""
_HISTORY_NAME: Final = re.compile(r"h-[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class EndpointReading:
    """One endpoint as it was read at a time. `items`: its policies, and those that deny its whole namespace.

    `compiled` None: every call is denied, and `problems` say why.
    """

    key: EndpointKey
    items: tuple[Object, ...]
    state: EndpointState
    compiled: CompiledEndpoint | None
    problems: tuple[str, ...]
    now: float


@dataclass(frozen=True, slots=True)
class HistoryReading:
    """Objects of an endpoint's histories. `unread`: why they could not be read; `more`: there are more than were read.

    `wanted`: the name of the only one that was looked up; empty: none was.
    """

    items: tuple[Object, ...] = ()
    unread: str = ""
    more: bool = False
    wanted: str = ""


class CompiledCache:
    """Keeps what policies compiled to, by all of their text, so that a page does not compile what has not changed.

    One for each person: how long a page takes says nothing of what others look at.
    """

    def __init__(self, most: int = _MOST_KEPT) -> None:
        self._most = most
        self._lock = Lock()
        self._kept: OrderedDict[bytes, CompiledPolicy | BrokenPolicy] = OrderedDict()

    def compiled(self, raw: Object) -> CompiledPolicy | BrokenPolicy:
        """Return what a policy compiles to."""
        metadata = raw["metadata"]
        named = [metadata.get(name) for name in ("namespace", "name", "uid", "generation")]
        key = hashlib.sha256(json.dumps([named, raw.get("spec")]).encode()).digest()
        with self._lock:
            found = self._kept.get(key)
            if found is not None:
                self._kept.move_to_end(key)
                return found
        found = compile_object(raw)
        with self._lock:
            self._kept[key] = found
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)
        return found


def policies(cluster: ClusterClient, namespace: str | None) -> list[Object]:
    """Return the policies of a namespace, or of all. Raises `MissingRightError`."""
    return _list(cluster, policies_path(namespace), ENDPOINT_POLICIES, namespace)


def data(cluster: ClusterClient, namespace: str) -> list[Object]:
    """Return the `EndpointData` of a namespace. Raises `MissingRightError`."""
    return _list(cluster, data_path(namespace), ENDPOINT_DATA, namespace)


def everywhere(cluster: ClusterClient, namespace: str | None, cache: CompiledCache) -> list[EndpointReading]:
    """Read and compile every endpoint of a namespace, or of all. Raises `MissingRightError`."""
    found: dict[str, list[Object]] = {}
    for raw in policies(cluster, namespace):
        found.setdefault(raw["metadata"]["namespace"], []).append(raw)
    return [one for name in sorted(found) for one in readings(cluster, name, found[name], cache)]


def endpoint(cluster: ClusterClient, namespace: str, name: str, cache: CompiledCache) -> EndpointReading:
    """Read and compile one endpoint. Raises `MissingRightError`, and `AbsentError` where no policy is for it."""
    found = readings(cluster, namespace, policies(cluster, namespace), cache, only=name)
    return next(found, None) or _absent(namespace, name)


def histories(cluster: ClusterClient, found: EndpointReading, wanted: str) -> HistoryReading:
    """Read what the histories of an endpoint have counted, or (`wanted`) the one object of this name.

    Nothing is read for an endpoint without histories. What cannot be read leaves the reason.
    """
    if found.compiled is None or not found.compiled.histories:
        return HistoryReading()
    namespace, endpoint = found.key
    if wanted and _HISTORY_NAME.fullmatch(wanted) is None:
        return HistoryReading(unread="a name of an EndpointHistory is h- and 40 hexadecimal digits", wanted=wanted)
    path = histories_path(namespace, wanted)
    try:
        if wanted:
            return HistoryReading((cluster.get(path),), wanted=wanted)
        listed = cluster.get(path, labelSelector=f"{ENDPOINT_LABEL}={endpoint}", limit=str(_MOST_HISTORIES))
    except ApiError as error:
        if wanted and error.status == HTTPStatus.NOT_FOUND:
            return HistoryReading(wanted=wanted)
        if error.status == HTTPStatus.UNAUTHORIZED:
            raise
        if error.status != HTTPStatus.FORBIDDEN:
            return HistoryReading(unread=str(error), wanted=wanted)
        right = f"the verb {'get' if wanted else 'list'} on {ENDPOINT_HISTORIES} in namespace {visible(namespace)}"
        return HistoryReading(unread=f"you lack {right}, and no role of Bailiwick has it", wanted=wanted)
    more = bool((listed.get("metadata") or {}).get("continue"))
    return HistoryReading(tuple(listed.get("items") or ()), more=more)


def readings(
    cluster: ClusterClient, namespace: str, items: list[Object], cache: CompiledCache, *, only: str | None = None
) -> Iterator[EndpointReading]:
    """Yield the endpoints of these policies of one namespace, or `only` one of them."""
    held = functools.cache(lambda: data(cluster, namespace))
    unread = [raw for raw in items if _endpoint(raw) is None]
    names = sorted({one for raw in items if (one := _endpoint(raw)) is not None}) if only is None else [only]
    for name in names:
        own = [raw for raw in items if _endpoint(raw) == name]
        if own:
            yield _compile((namespace, name), (*own, *unread), held, cache)


def _compile(
    key: EndpointKey, items: tuple[Object, ...], data: Callable[[], list[Object]], cache: CompiledCache
) -> EndpointReading:
    problems: list[str] = []
    snapshot = clusterpolicies.compile_objects(items, data, problems.append, cache.compiled)
    found = snapshot.endpoints.get(key)
    if (ref := snapshot.unreadable.get(key[0])) is not None:
        problems.append(
            f"error: the policy {visible(ref.name)} cannot be read, so that every call in {key[0]} is denied"
        )
        found = None
    elif found is not None and (found.settings is None or found.denied_whole is not None):
        if found.denied_whole is not None:
            problems.append(f"error: the policy {visible(found.denied_whole.name)} denies every call of the endpoint")
        found = None
    own = [raw for raw in items if _endpoint(raw) == key[1]]
    (state,) = overview.endpoints(own)
    return EndpointReading(key, items, state, found, tuple(dict.fromkeys(problems)), time.time())


def _absent(namespace: str, name: str) -> EndpointReading:
    raise AbsentError(f"no policy in {visible(namespace)} is for the endpoint {visible(name)}")


def _endpoint(raw: Object) -> str | None:
    found: Any = (raw.get("spec") or {}).get("endpoint")
    return found if isinstance(found, str) else None


def _list(cluster: ClusterClient, path: str, resource: str, namespace: str | None) -> list[Object]:
    try:
        return cluster.list_all(path)[0]
    except ApiError as error:
        if error.status != HTTPStatus.FORBIDDEN:
            raise
        where = "all namespaces" if namespace is None else f"namespace {visible(namespace)}"
        right = f"the verb list on {resource} in {where}"
        raise MissingRightError(f"you lack {right}, which the role bailiwick-view has: {error}", (right,)) from error
