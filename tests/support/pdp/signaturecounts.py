"""A decision point that notes each signature that it verifies: `python signaturecounts.py FLAGS`, a program of its own.

Standing: started by `standalone`. Holds: nothing of the decision point is replaced. `NOTES` names the file.
"""

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

from bailiwick_process.jwt.jwks import PublishedKey
from bailiwick_webhook.main import main
from bailiwick_webhook.tls import clients

NOTES: Final = "BAILIWICK_TEST_SIGNATURES"
COMMAND: Final = (sys.executable, str(Path(__file__).resolve()))
TOKEN: Final = "token"
CERTIFICATE: Final = "certificate"


def counted(file: Path) -> Mapping[str, int]:
    """Return how many signatures were verified so far, of tokens and of clients' certificates."""
    notes = file.read_text().split() if file.exists() else []
    return {kind: notes.count(kind) for kind in (TOKEN, CERTIFICATE)}


def _noted(kind: str, verifies: Callable[..., bool]) -> Callable[..., bool]:
    def verify(*arguments: Any) -> bool:  # noqa: ANN401 - those of any check
        with Path(os.environ[NOTES]).open("a") as notes:
            notes.write(f"{kind}\n")
        return verifies(*arguments)

    return verify


if __name__ == "__main__":
    patch.object(PublishedKey, "verifies", _noted(TOKEN, PublishedKey.verifies)).start()
    patch.object(clients, "_issued", _noted(CERTIFICATE, clients._issued)).start()
    sys.exit(main())
