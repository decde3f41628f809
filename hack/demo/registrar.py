"""The registrar of the demo, whose key says which passkey is whose, by `ssh-keygen` and `kubectl bailiwick reviewers`.

Standing: below the case of signed reviews. Holds: the processes know the public key alone, from their start on.
"""

import shlex
import shutil
from pathlib import Path
from typing import Final

from demo.ground import run
from demo.narrator import Narrator
from demo.s1 import NotAsToldError
from demo.stack import INSTALLATION, Stack

_PROGRAM: Final = "ssh-keygen"
_EXPIRES: Final = "2099-01-01"


def make_registrar(stack: Stack, tell: Narrator) -> bool:
    """Make the registrar's key, for processes that start later. Returns False if there is no `ssh-keygen`."""
    program = shutil.which(_PROGRAM)
    if program is None:
        tell.answer(f"{_PROGRAM} is missing here, so the case of signed reviews is left out.")
        return False
    key = stack.folder / "registrar"
    code, said = run(Path(program), "-q", "-t", "ed25519", "-N", "", "-C", "registrar", "-f", str(key))
    if code != 0:
        raise NotAsToldError(f"{_PROGRAM} should make a key, but exited with {code}: {said}")
    stack.registrar_keys = key.with_suffix(".pub")
    return True


def enrol(stack: Stack, tell: Narrator, request: Path) -> None:
    """Enrol the key of a request. The operator reads the file before it counts the next review.

    Raises `NotAsToldError`.
    """
    if stack.registrar_keys is None:
        raise NotAsToldError("there is no registrar: make one before the processes start")
    manifest = stack.folder / "reviewers.yaml"
    config = stack.cluster.kubeconfig("carol")
    key = stack.registrar_keys.with_suffix("")
    for words in (
        ("add", str(manifest), str(request), "--expires", _EXPIRES, "--reviewers-installation", INSTALLATION),
        ("sign", str(manifest), "--key", str(key), "--first", "--yes"),
        ("check", str(manifest), "--registrar-key", str(stack.registrar_keys)),
    ):
        tell.command(f"kubectl bailiwick reviewers {shlex.join(words)}    # as the registrar")
        code, said = stack.bailiwick("reviewers", *words, kubeconfig=config)
        tell.answer(said)
        if code != 0:
            raise NotAsToldError(f"the registrar's `reviewers {words[0]}` should succeed, but exited with {code}")
    tell.step("An administrator applies the file. The registrar's signature makes it count.")
    tell.command(f"kubectl apply --server-side -f {manifest}")
    code, said = stack.kubectl("apply", "--server-side", f"--filename={manifest}")
    tell.answer(said)
    if code != 0:
        raise NotAsToldError(f"the file should be applied: {said}")
