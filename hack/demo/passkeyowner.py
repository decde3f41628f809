"""Carol with a passkey: a virtual one, whose assertions become SSH signatures by the function that the console uses.

Standing: below the case of signed reviews. Holds: her private key stays in this object.
"""

import base64
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bailiwick_engine.signatures.statement import ENROL_NAMESPACE, REVIEW_NAMESPACE
from bailiwick_governance.signing.enrolment import enrolment_line, enrolment_message
from bailiwick_governance.signing.passkeys import PasskeyAssertion, passkey_challenge, passkey_key, passkey_signature
from demo.enforcement.owner import REASON, Owner
from demo.ground import KUBECTL, output
from demo.narrator import Narrator
from demo.s1 import NotAsToldError
from demo.softpasskey import SoftPasskey
from demo.stack import RP_ID, Stack

_NAME: Final = "carol"
# As the console on her machine has one, with a name of its own at each start.
_ORIGIN: Final = f"http://r0123456789abcdef.{RP_ID}:8080"


@dataclass(frozen=True)
class PasskeyOwner:
    """An owner of the CRM who signs what she approves."""

    stack: Stack
    tell: Narrator
    passkey: SoftPasskey = field(default_factory=lambda: SoftPasskey(RP_ID))

    def write_request(self) -> Path:
        """Write what a registrar needs to enrol the passkey: its line, and a proof that she holds it."""
        line = enrolment_line(_NAME, passkey_key(self.passkey.spki, RP_ID), "passkey")
        file = self.stack.folder / "carol.txt"
        file.write_text(f"{line}\n{self._signature(ENROL_NAMESPACE, enrolment_message(line))}", encoding="utf-8")
        self.tell.answer(line)
        return file

    def approve(self, task: str) -> None:
        """Sign the statement of a task's grant, and approve it; returns once that counts. Raises `NotAsToldError`."""
        words = ("statement", task.partition(".")[0], "-n", "crm", "--reason", REASON)
        self.tell.command(f"kubectl bailiwick {shlex.join(words)}    # as {_NAME}")
        config = f"--kubeconfig={self.stack.cluster.kubeconfig(_NAME)}"
        # Its very bytes are signed, so that nothing may be cut off.
        code, statement, errors = output(KUBECTL, "bailiwick", *words, config)
        self.tell.answer(statement)
        if code != 0:
            raise NotAsToldError(f"`statement` should print what is signed, but exited with {code}: {errors}")
        file = self.stack.folder / "review.sig"
        file.write_text(self._signature(REVIEW_NAMESPACE, statement.encode()), encoding="utf-8")
        Owner(self.stack, self.tell).approve(task, "--signature", str(file))

    def _signature(self, namespace: str, message: bytes) -> str:
        challenge = base64.b64decode(passkey_challenge(namespace, message))
        assertion = PasskeyAssertion.parse(**self.passkey.answer(challenge, _ORIGIN))
        text = passkey_signature(assertion, (passkey_key(self.passkey.spki, RP_ID),), namespace, message)
        if text is None:
            raise NotAsToldError("the assertion of the passkey should verify, but does not")
        return text
