"""What a witness says, from where the flags say: its keys, and its checkpoints in files or in the cluster.

Standing: under the commands of `audit`. Holds: no checkpoint counts without a key that was given; from the cluster
comes its own key, which is worth as much as the cluster, and a note says so.
"""

import json
from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import Any, Final

import yaml

from bailiwick_api.accounts import WITNESS_CONFIG_MAP, WITNESS_KEYS_ENTRY, WITNESS_MONTHS
from bailiwick_cli.errors import CliError
from bailiwick_cli.offline import refuse_cluster, refuse_namespace
from bailiwick_cli.options import INSTALLATION, Flags
from bailiwick_evidence.audit.claims import (
    ShownCheckpoint,
    WitnessBook,
    checkpoints_in,
    checkpoints_of_objects,
)
from bailiwick_evidence.jsondepth import MOST_DEPTH, is_shallow
from bailiwick_evidence.note import VerifierKey
from bailiwick_governance.display import talk
from bailiwick_governance.errors import ApiError
from bailiwick_governance.records.witnesskeys import ClusterKeys, cluster_keys_of, keys_of, text_of

CLUSTER: Final = "cluster"
_NOT_FOUND: Final = 404
_DEEP: Final = f"it is more than {MOST_DEPTH} levels deep; give ConfigMaps as `kubectl get -o yaml` prints them"
# Also what the library raises for a value that is not of the type that is written before it.
_YAML_ERRORS: Final = (yaml.YAMLError, TypeError, LookupError, AttributeError)


def book_of(
    checkpoints: Sequence[str] | None,
    keys: Sequence[str] | None,
    flags: Flags,
    quorum: int = 1,
    *,
    clusters: bool = False,
    now: float | None = None,
) -> WitnessBook:
    """Return the checkpoints that the flags name. Raises `CliError`.

    `clusters`: keys can name clusters. `now`: the moment by which a cosignature is from the future; None: none is.
    """
    if CLUSTER not in (checkpoints or ()):
        refuse_cluster(flags, "without --checkpoints cluster, audit")
        refuse_namespace(flags, "without --checkpoints cluster, audit")
    trusted = cluster_keys_of(keys) if clusters else ClusterKeys(tuple(keys_of(keys)), {})
    shown: list[ShownCheckpoint] = []
    for source in checkpoints or ():
        if source == CLUSTER:
            objects = list(_read_cluster(flags))
            if not trusted.keys:
                trusted = _own_keys(objects)
                talk(
                    "note: the witness's key is the cluster's own; set --witness-key to one that you keep elsewhere, to"
                    " find out whether somebody replaced it"
                )
            shown += [one for raw in objects for one in checkpoints_of_objects(raw)]
        else:
            shown += _read_file(source)
    if shown and not trusted.keys:
        raise CliError("--checkpoints needs --witness-key: say whose cosignature you trust")
    _refuse_quorum(trusted, quorum)
    book = WitnessBook(trusted.keys, quorum, trusted.clusters, now)
    for one in shown:
        book.add(one)
    if book.refused:
        talk(f"warning: {book.refused} checkpoints are not used: no witness that you trust cosigned them")
    return book


def _refuse_quorum(trusted: ClusterKeys, quorum: int) -> None:
    """Refuse a quorum that can never be reached, in one of the clusters if they are named. Raises `CliError`."""
    names: dict[str, set[str]] = {}
    for key in trusted.keys:
        names.setdefault(trusted.clusters.get(key, ""), set()).add(key.name)
    refuse_one_as_two(trusted.keys, "--witness-quorum", quorum)
    for cluster, called in sorted(names.items()) or [("", set())]:
        if quorum > max(1, len(called)):
            whose = f" of {cluster}" if cluster else ""
            raise CliError(
                f"--witness-quorum {quorum}: --witness-key has keys of {len(called)} witnesses{whose}; give more"
            )


def refuse_one_as_two(keys: Iterable[VerifierKey], flag: str, quorum: int) -> None:
    """Refuse one key under two names, which would be two witnesses of a quorum. Raises `CliError`."""
    called_before: dict[bytes, str] = {}
    for key in keys if quorum > 1 else ():
        if (other := called_before.setdefault(key.public, key.name)) != key.name:
            raise CliError(
                f"{flag} {quorum}: {other} and {key.name} have one key, and so are one witness: give it once"
            )


def _read_file(name: str) -> Iterable[ShownCheckpoint]:
    """Read notes, ConfigMaps as kubectl prints them, or lines of JSON that hold notes."""
    text = text_of(name)
    if text.startswith('{"log":'):
        raise CliError(f"{name} is a log: name it among the files to verify, and its checkpoints are used")
    if text.lstrip().startswith("{") or "apiVersion:" in text:
        parsed = [one for raw in _objects(name, text) for one in checkpoints_of_objects(raw)]
        # A line that is added can make an object of notes, or take an entry out of its object.
        found = [*parsed, *checkpoints_in(text, counts=not parsed)]
    else:
        found = [*checkpoints_in(text, counts=True)]
    if not found:
        raise CliError(f"{name}: no checkpoint found; give notes, or ConfigMaps as `kubectl get -o yaml` prints them")
    return found


def _objects(name: str, text: str) -> list[object]:
    try:
        if text.lstrip().startswith("{"):
            found: list[object] = [json.loads(text, object_pairs_hook=_distinct)]
        else:
            found = list(yaml.load_all(text, Loader=_DistinctLoader))
    except RecursionError as error:
        raise CliError(f"{name}: {_DEEP}") from error
    except (ValueError, *_YAML_ERRORS) as error:
        raise CliError(f"{name}: neither JSON nor YAML: {' '.join(str(error).split())}") from error
    if not all(map(is_shallow, found)):
        raise CliError(f"{name}: {_DEEP}")
    return found


def _distinct(pairs: Sequence[tuple[object, object]]) -> dict[object, object]:
    """Return the members of an object. Raises `ValueError` if one would hide another of its name."""
    found = dict(pairs)
    if len(found) < len(pairs):
        message = "an object has two members of one name"
        raise ValueError(message)
    return found


class _DistinctLoader(yaml.SafeLoader):
    """Reads YAML in which no member hides another one of its name, and that is no longer than it looks."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Return a node. kubectl prints no alias, and a few of them stand for more than any memory holds."""
        if self.check_event(yaml.AliasEvent):
            message = "it has an alias"
            raise yaml.YAMLError(message)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:  # noqa: FBT001, FBT002 - as the library calls it
        """Return a mapping."""
        names = [name.value for name, _ in node.value if isinstance(name, yaml.ScalarNode)]
        if len({*names}) < len(node.value):
            message = "an object has two members of one name, or one whose name is no text"
            raise ValueError(message)
        return super().construct_mapping(node, deep)


def _read_cluster(flags: Flags) -> Iterator[object]:
    """Read the ConfigMaps of the witness: of what lives, and one for each month."""
    # An audit of files needs no client.
    from bailiwick_cli.kubeconfig import connect  # noqa: PLC0415

    cluster = connect(flags)
    namespace = flags.namespace or INSTALLATION
    names = (WITNESS_CONFIG_MAP, *WITNESS_MONTHS)
    found = 0
    for name in names:
        try:
            yield cluster.get(f"/api/v1/namespaces/{namespace}/configmaps/{name}")
        except ApiError as error:
            if error.status != _NOT_FOUND:
                raise
        else:
            found += 1
    if not found:
        raise CliError(
            f"there is no ConfigMap {WITNESS_CONFIG_MAP} in {namespace}; use -n to name the namespace of Bailiwick"
        )


def _own_keys(objects: Iterable[object]) -> ClusterKeys:
    for raw in objects:
        data = raw.get("data") if isinstance(raw, dict) else None
        if isinstance(data, dict) and isinstance(text := data.get(WITNESS_KEYS_ENTRY), str):
            return ClusterKeys(tuple(keys_of([text])), {})
    return ClusterKeys((), {})
