"""The manifest of a Job that runs a command in shards, one pod each.

Standing: under the verbs that can be divided. Holds: nothing is created; the pods get the files that options name, no
token of the API server and no right; what a pod cannot read is refused before.
"""

import base64
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, get_args

import yaml

from bailiwick_cli.errors import CliError, Exit
from bailiwick_cli.options import OPTIONAL
from bailiwick_cli.shards.shardfile import refuse_undivided
from bailiwick_cli.verbs.shardflags import ShardFlags
from bailiwick_cli.verbs.table import parameters
from bailiwick_evidence.audit.claims import witness_keys
from bailiwick_evidence.note import NoteError
from bailiwick_governance.records.witnesskeys import split_cluster

_STORES: Final = ("s3://", "gs://", "az://")
_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,51}[a-z0-9])?")
"""Of a Job, whose pods' names are longer by their number and five letters."""
_OWN: Final = frozenset({*OPTIONAL, "files", "shards", "shard", "as_job", "image", "service_account", "env_from"})
_READ: Final = frozenset({"candidate", "checkpoints", "file", "leaves", "policies", "registrar_key", "witness_key"})
"""Options that name files."""
_ELSEWHERE: Final = {
    "live": "--live asks a cluster: give the policies as files with -f",
    "base": "--base asks Git: write that revision's files into a folder, and give it as --policies",
    "state": "--state is a file that a run changes: remove it",
}
_CLUSTER: Final = "--checkpoints cluster asks a cluster: save them with `audit checkpoint`, and give the file"
_MOUNTED: Final = "/inputs"
_SCRATCH: Final = "/tmp"  # noqa: S108 - of the pod's own
_MOST_BYTES: Final = 900_000
"""All files are in one ConfigMap, which holds a mebibyte."""
_INDEX: Final = "$(JOB_COMPLETION_INDEX)"
_USER: Final = 65_532


def print_job(options: ShardFlags, files: list[str], verb: str) -> int:
    """Print the manifest. Raises `CliError`."""
    sys.stdout.write(yaml.safe_dump_all(job_of(options, files, verb), sort_keys=False))
    return Exit.OK


def job_of(options: ShardFlags, files: list[str], verb: str) -> list[dict[str, Any]]:
    """Return the Job of a command on these logs, after the ConfigMap of its files if it has any. Raises `CliError`."""
    name = options.as_job or ""
    _refuse(options, files)
    inputs = _Inputs()
    arguments = [*verb.split(), *files, *_flags(options, inputs)]
    words = [one.replace("$", "$$") for one in arguments] + ["--shards", str(options.shards), "--shard", _INDEX]
    container: dict[str, Any] = {
        "name": "shard",
        "image": options.image,
        "args": words,
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "resources": {"requests": {"cpu": "1", "memory": "512Mi"}},
        # For the leaf hashes of a long log.
        "volumeMounts": [{"name": "scratch", "mountPath": _SCRATCH}],
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }
    pod: dict[str, Any] = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
        "volumes": [{"name": "scratch", "emptyDir": {}}],
    }
    if options.service_account is not None:
        pod["serviceAccountName"] = options.service_account
    if options.env_from is not None:
        container["envFrom"] = [{"secretRef": {"name": options.env_from}}]
    metadata = {"name": name} | ({} if options.namespace is None else {"namespace": options.namespace})
    spec = {
        "completionMode": "Indexed",
        "completions": options.shards,
        "parallelism": options.shards,
        # A shard that fails for the log or the options fails again; one that a node or a store broke off does not.
        "backoffLimitPerIndex": 1,
        "template": {"spec": pod},
    }
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec}
    if not inputs.items:
        return [job]
    container["volumeMounts"].append({"name": "inputs", "mountPath": _MOUNTED, "readOnly": True})
    pod["volumes"].append({"name": "inputs", "configMap": {"name": name, "items": inputs.items}})
    return [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, **inputs.content}, job]


def _refuse(options: ShardFlags, files: list[str]) -> None:
    """Refuse what a pod cannot do. Raises `CliError`."""
    if options.shards is None or options.shard is not None or options.image is None:
        raise CliError("--as-job needs --shards N and --image IMAGE, and sets --shard itself")
    if not _NAME.fullmatch(options.as_job or ""):
        raise CliError(f"--as-job {options.as_job}: a name is of at most 53 small letters, digits and dashes")
    for one in files:
        if not one.startswith(_STORES):
            raise CliError(f"{one} is not in the pods: with --as-job, name logs in s3://, gs:// or az://")
    for field, why in _ELSEWHERE.items():
        if getattr(options, field, None):
            raise CliError(f"with --as-job, {why}")
    refuse_undivided(options)


class _Inputs:
    """The files that options name, and where they are in the pods."""

    def __init__(self) -> None:
        self.items: list[dict[str, str]] = []
        self.content: dict[str, dict[str, str]] = {}
        self._room = _MOST_BYTES

    def add(self, flag: str, name: str) -> str:
        """Take a file or the files of a folder, and return its path in a pod. Raises `CliError`."""
        path = Path(name)
        place = f"{len(self.items)}-{path.name}" if path.name else str(len(self.items))
        try:
            found = [path] if path.is_file() else sorted(one for one in path.rglob("*") if one.is_file())
            for one in found:
                self._take(one, place if one is path else f"{place}/{one.relative_to(path)}")
        except OSError as error:
            raise CliError(f"{flag}: {name} cannot be read: {error.strerror or error}") from error
        if not found:
            raise CliError(f"{flag}: there is no file {name} to give to the pods")
        return f"{_MOUNTED}/{place}"

    def _take(self, file: Path, place: str) -> None:
        raw = file.read_bytes()
        self._room -= len(raw)
        if self._room < 0:
            raise CliError(f"the files of the options have more than {_MOST_BYTES} bytes, which no ConfigMap holds")
        key = f"file-{len(self.items)}"
        try:
            self.content.setdefault("data", {})[key] = raw.decode()
        except UnicodeDecodeError:
            self.content.setdefault("binaryData", {})[key] = base64.b64encode(raw).decode()
        self.items.append({"key": key, "path": place})


def _flags(options: ShardFlags, inputs: _Inputs) -> Iterator[str]:
    """Yield the options as words, with the paths of files in a pod."""
    for parameter in parameters(type(options)):
        value = getattr(options, parameter.name)
        # Typer keeps the first spelling in the place of a default.
        flag = str(getattr(get_args(parameter.annotation)[1], "default", ""))
        if parameter.name in _OWN or value in (None, False, parameter.default):
            continue
        if value is True:
            yield flag
            continue
        for one in value if isinstance(value, list) else [value]:
            cluster, text = split_cluster(str(one)) if flag == "--witness-key" else ("", str(one))
            before = f"{cluster}=" if cluster else ""
            word = parameter.name not in _READ or _is_word(flag, text)
            yield from (flag, before + (text if word else inputs.add(flag, text)))


def _is_word(flag: str, text: str) -> bool:
    """Tell whether an option that can name a file says something else. Raises `CliError` for what asks a cluster."""
    if flag == "--checkpoints" and text == "cluster":
        raise CliError(f"with --as-job, {_CLUSTER}")
    if flag == "--witness-key" and "+" in text and not Path(text).exists():
        try:
            return bool(witness_keys(text))
        except NoteError as error:
            raise CliError(f"--witness-key: {error}") from error
    return flag == "--policies" and text == "ledger"
