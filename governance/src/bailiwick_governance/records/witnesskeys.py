"""The public keys of the witnesses that a person trusts, as they are given.

Standing: under everything that verifies a log. Holds: a key that cannot be read is an error; a key is of one cluster
or, if no cluster is named, of none.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from bailiwick_evidence.audit.claims import witness_keys
from bailiwick_evidence.note import NoteError, SignatureType, VerifierKey
from bailiwick_governance.errors import UserError

_CLUSTER: Final = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]{0,252})=(.+)", re.DOTALL)


class ClusterKeys(NamedTuple):
    """Keys of witnesses, and whose each is. `clusters` is empty if no cluster is named."""

    keys: tuple[VerifierKey, ...]
    clusters: Mapping[VerifierKey, str]


def keys_of(given: Sequence[str] | None, flag: str = "--witness-key") -> list[VerifierKey]:
    """Read keys as they are given: themselves, or in files. Raises `UserError`."""
    found: list[VerifierKey] = []
    for text in given or ():
        if _CLUSTER.fullmatch(text) and not Path(text).exists():
            raise UserError(
                f"{flag} {text}: only --witness-key of audit verify and audit report names a cluster; give the key or"
                " its file alone"
            )
        found += _keys(text, flag)
    return found


def cluster_keys_of(given: Sequence[str] | None) -> ClusterKeys:
    """Read keys with the clusters that are named before them: of all, or of none. Raises `UserError`."""
    found: list[tuple[VerifierKey, str]] = []
    owners: dict[bytes, str] = {}
    for one in given or ():
        cluster, text = split_cluster(one)
        keys = _keys(text, "--witness-key")
        if cluster and not keys:
            raise UserError(f"--witness-key {one}: there is no key in it")
        found += [(key, cluster) for key in keys]
    named = next((cluster for _, cluster in found if cluster), None)
    for key, cluster in found if named else ():
        if not cluster:
            raise UserError(
                f"--witness-key: the key {key.label} is of no cluster, and another one is of {named}: write CLUSTER="
                " before all of them, or before none"
            )
        if (other := owners.setdefault(key.public, cluster)) != cluster:
            raise UserError(
                f"--witness-key: the key {key.label} is given for {other} and for {cluster}, and speaks for one cluster"
                " only. Verify clusters that share a witness one at a time"
            )
    return ClusterKeys(tuple(dict.fromkeys(key for key, _ in found)), dict(found) if named else {})


def split_cluster(given: str) -> tuple[str, str]:
    """Return the cluster that is named before a key, or an empty name, and the key or its file. Raises `UserError`."""
    match = _CLUSTER.fullmatch(given)
    if match is None:
        return "", given
    if Path(given).exists():
        raise UserError(f"--witness-key {given} is a file, and names a cluster: if you mean the file, write ./{given}")
    return match[1], match[2]


def _keys(text: str, flag: str) -> list[VerifierKey]:
    try:
        return witness_keys(_key_text(text))
    except NoteError as error:
        raise UserError(f"{flag}: {error}") from error


def log_key_of(given: str, flag: str) -> VerifierKey:
    """Read the one key of a log, which signs its checkpoints: itself, or in a file. Raises `UserError`."""
    try:
        key = VerifierKey.parse(_key_text(given).strip())
    except NoteError as error:
        raise UserError(f"{flag}: {error}") from error
    if key.kind is not SignatureType.ED25519:
        raise UserError(f"{flag}: the key of {key.name} is not one of a log: it signs cosignatures")
    return key


def _key_text(given: str) -> str:
    return given if "+" in given and not Path(given).exists() else text_of(given)


def text_of(name: str) -> str:
    """Read a file of text. Raises `UserError`."""
    try:
        return Path(name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{name} cannot be read: {getattr(error, 'strerror', None) or error}") from error
