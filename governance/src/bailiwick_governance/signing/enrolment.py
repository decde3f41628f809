"""What a person sends to a registrar: the line that enrols their key, and a proof that they hold the key.

Holds: pure. A proof is a signature over the line as it stands, with its line break, in a namespace of its own: no proof
can be taken for a review, and `ssh-keygen` alone can verify it.
"""

from dataclasses import dataclass
from typing import Final

from bailiwick_engine.signatures.publickey import PublicKey
from bailiwick_engine.signatures.reviewerkeys import ReviewerKey, ReviewerKeysError, parse_reviewer_keys
from bailiwick_engine.signatures.sshsig import SignatureFormatError, parse_signature, verify
from bailiwick_engine.signatures.statement import ENROL_NAMESPACE, REVIEW_NAMESPACE
from bailiwick_governance.errors import UserError

# A line is read by what reads the file that it goes into.
_HEADER: Final = "# serial: 1\n# expires: 2100-01-01T00:00:00Z\n# installation: any\n"
_AT: Final = "line 3: "


@dataclass(frozen=True, slots=True)
class EnrolmentRequest:
    """One key of one person. `line` has no line break; `proof` is an armored signature, `key` what the line says."""

    line: str
    proof: str
    key: ReviewerKey

    def __str__(self) -> str:
        """Write what is sent: the line, and the proof below it."""
        return f"{self.line}\n{self.proof}"


def enrolment_line(reviewer: str, key: PublicKey, comment: str = "") -> str:
    """Return the line that enrols a key, for reviews alone. Raises `UserError` where a file can have no such line."""
    line = f'{reviewer} namespaces="{REVIEW_NAMESPACE}" {key} {comment}'.rstrip()
    read_line(line)
    return line


def enrolment_message(line: str) -> bytes:
    """Return the bytes that a proof signs."""
    return f"{line}\n".encode()


def parse_enrolment(text: str) -> EnrolmentRequest:
    """Read what a person sent, and verify the proof. Raises `UserError`."""
    line, _, proof = text.replace("\r\n", "\n").strip().partition("\n")
    key = read_line(line)
    proof = f"{proof.strip()}\n"
    try:
        proven = verify(parse_signature(proof), key.key, ENROL_NAMESPACE, enrolment_message(line))
    except SignatureFormatError as error:
        raise UserError(f"the proof of {key.principal} cannot be read: {error}") from error
    if not proven:
        raise UserError(f"the proof of {key.principal} is not one of this key over this line: ask for another request")
    return EnrolmentRequest(line, proof, key)


def read_line(line: str) -> ReviewerKey:
    """Return what one line of the reviewers' file says. Raises `UserError`."""
    try:
        (key,) = parse_reviewer_keys(f"{_HEADER}{line}\n").entries
    except ReviewerKeysError as error:
        raise UserError(f"the key cannot be enrolled: {str(error).removeprefix(_AT)}") from error
    except ValueError as error:
        raise UserError("there is no request: its first line must be the line of a key") from error
    return key
