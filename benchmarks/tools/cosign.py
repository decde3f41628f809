"""A log with a witness: the chain that rows write, its checkpoint cosigned, and the flags that say so to `audit`.

Standing: under the sections on logs. The keys are made anew and never kept.
"""

import json
import os
import time
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bailiwick_evidence.chain import ChainWriter, chain_id
from bailiwick_evidence.checkpoint import Checkpoint, origin
from bailiwick_evidence.note import SignatureType, cosign_note, sign_note, verifier_key

_WITNESS: Final = "bailiwick/bench/witness"


class WitnessedChain:
    """The chain of one process, whose key it has. `append` as `ChainWriter` has it."""

    def __init__(self) -> None:
        self._process = Ed25519PrivateKey.generate()
        self._writer = ChainWriter(chain_id(os.urandom(16)))
        self._origin = origin("bench", self._writer.id)
        self.append = self._writer.append

    def opening(self, **members: Any) -> bytes:  # noqa: ANN401 - any JSON
        """Return the first line."""
        key = str(verifier_key(self._origin, SignatureType.ED25519, self._process))
        return self.append(json.dumps({"kind": "open", "key": key, **members}, separators=(",", ":")).encode() + b"\n")

    def cosign(self, folder: Path) -> tuple[str, ...]:
        """Write what a witness cosigned of all lines, and its key, and return the flags of `audit verify`."""
        witness, notes, key = Ed25519PrivateKey.generate(), folder / "notes", folder / "key"
        text = Checkpoint(self._origin, self._writer.size, self._writer.forest.root).text()
        note = sign_note(text, self._origin, self._process)
        notes.write_text(cosign_note(note, _WITNESS, witness, int(time.time())), encoding="utf-8")
        key.write_text(str(verifier_key(_WITNESS, SignatureType.COSIGNATURE, witness)), encoding="utf-8")
        return "--checkpoints", str(notes), "--witness-key", str(key)
