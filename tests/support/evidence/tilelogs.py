"""Logs of tiles: as Tessera writes them, which is not ours, and files of our own making that a test can spoil.

Standing: Tessera's programs are built from a pinned module, like those of the test cluster.
"""

import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bailiwick_evidence.base64text import encode_base64
from bailiwick_evidence.chainentry import witness_name
from bailiwick_evidence.checkpoint import Checkpoint
from bailiwick_evidence.clusterlog.tiles import FULL_WIDTH, bundle_path
from bailiwick_evidence.merkle import leaf_hash, root
from bailiwick_evidence.note import SignatureType, VerifierKey, cosign_note, sign_note, verifier_key
from localcluster import build
from support.evidence.logs import ProcessLog, private_key

ORIGIN: Final = "example.org/clusters"
LOG: Final = private_key(77)
LOG_KEY: Final = verifier_key(ORIGIN, SignatureType.ED25519, LOG)
OUTSIDE: Final = private_key(78)
OUTSIDE_NAME: Final = "example.org/outside"
OUTSIDE_KEY: Final = verifier_key(OUTSIDE_NAME, SignatureType.COSIGNATURE, OUTSIDE)
# Every cluster that is installed as the pages say has this name, and so has the key of its witness.
NAMESPACE: Final = "bailiwick-system"
EAST: Final = private_key(81)
EAST_KEY: Final = verifier_key(witness_name(NAMESPACE), SignatureType.COSIGNATURE, EAST)
WEST: Final = private_key(82)
WEST_KEY: Final = verifier_key(witness_name(NAMESPACE), SignatureType.COSIGNATURE, WEST)
CLUSTERS: Final = {EAST_KEY: "east", WEST_KEY: "west"}
_LONGEST: Final = 60
"""How many seconds a program of Tessera may take."""


def process_log(number: int = 2, *, seconds: float = 0, **opening: object) -> ProcessLog:
    """Return the log of a process in one of the clusters, which all have one name."""
    return ProcessLog(number, seconds=seconds, installation=NAMESPACE, **opening)


def bundle_of(entries: Iterable[bytes]) -> bytes:
    """Return entries as a bundle."""
    return b"".join(len(entry).to_bytes(2, "big") + entry for entry in entries)


def log_checkpoint(entries: Sequence[bytes], key: Ed25519PrivateKey = LOG, origin: str = ORIGIN) -> str:
    """Return the checkpoint of a log with these entries, signed."""
    return sign_note(Checkpoint(origin, len(entries), root(map(leaf_hash, entries))).text(), origin, key)


def log_files(entries: Sequence[bytes], cosigned: int | None = None) -> dict[str, bytes]:
    """Return the files of a log by their paths, without tiles of hashes. `cosigned`: when a witness saw it."""
    note = log_checkpoint(entries)
    if cosigned is not None:
        note = cosign_note(note, OUTSIDE_NAME, OUTSIDE, cosigned)
    found = {"checkpoint": note.encode()}
    for first in range(0, len(entries), FULL_WIDTH):
        bundle = entries[first : first + FULL_WIDTH]
        found[bundle_path(first // FULL_WIDTH, len(bundle))] = bundle_of(bundle)
    return found


def private_text(key: Ed25519PrivateKey, verifier: VerifierKey) -> str:
    """Return a private key as Go's package of signed notes writes it."""
    held = bytes([verifier.kind]) + key.private_bytes_raw()
    return f"PRIVATE+KEY+{verifier.label}+{encode_base64(held)}"


class Tessera:
    """Writes a log at `folder`, beside which lie its keys and the entries that were not appended yet."""

    def __init__(self, beside: Path, policy: str | None = None) -> None:
        self._programs = build.ensure(build.tessera())
        self.folder = beside / "clusters"
        self._beside = beside
        self._policy = policy
        (beside / "log.key").write_text(private_text(LOG, LOG_KEY))
        (beside / "log.vkey").write_text(str(LOG_KEY))

    def append(self, entries: Sequence[bytes]) -> None:
        """Append entries, in one run of its program."""
        waiting = self._beside / "waiting"
        waiting.mkdir()
        for number, entry in enumerate(entries):
            (waiting / f"{number:06}").write_bytes(entry)
        command = ["posix-oneshot", f"--storage_dir={self.folder}", f"--entries={waiting}/*"]
        if self._policy is not None:
            (self._beside / "policy").write_text(self._policy)
            command.append(f"--witness_policy_file={self._beside / 'policy'}")
        done = self._run(*command, f"--private_key={self._beside / 'log.key'}")
        assert done.returncode == 0, done.stderr
        for file in waiting.iterdir():
            file.unlink()
        waiting.rmdir()

    def complaint(self) -> str:
        """Return what its verifier says against the log; nothing if it verifies.

        Tessera 1.0.4 exits with 0 when it fails, so that only its words tell. It hangs at a tile that does not fit,
        where more tiles than one follow: then nothing is verified either.
        """
        place, key = f"--storage_url=file://{self.folder}/", f"--public_key={self._beside / 'log.vkey'}"
        try:
            done = self._run("fsck", place, key, "--ui=false")
        except subprocess.TimeoutExpired:
            return f"it did not end in {_LONGEST} seconds"
        if done.returncode == 0 and "Successfully fsck'd" in done.stderr:
            return ""
        return done.stderr or f"it exited with {done.returncode}, and said nothing"

    def files(self) -> dict[str, bytes]:
        """Return the files of the log by their paths."""
        paths = (path for path in self.folder.rglob("*") if path.is_file() and ".state" not in path.parts)
        return {str(path.relative_to(self.folder)): path.read_bytes() for path in paths}

    def put(self, files: Mapping[str, bytes]) -> None:
        """Put files in the place of the log's."""
        for path, content in files.items():
            (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / path).write_bytes(content)

    def _run(self, program: str, *flags: str) -> subprocess.CompletedProcess[str]:
        command: list[str | Path] = [self._programs / program, *flags]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=_LONGEST)
