"""What the page says on which a person signs an approval: the statement, member by member, and what a passkey signs.

Standing: beside `grantpage`. Holds: pure; what is shown is read out of the very bytes that are signed.
"""

import hashlib
from dataclasses import dataclass

from bailiwick_console.grants.grantpage import call_sentence
from bailiwick_engine.signatures.statement import REVIEW_NAMESPACE
from bailiwick_governance.display import Line
from bailiwick_governance.grants import signedreviews
from bailiwick_governance.grants.grantfacts import FactRows
from bailiwick_governance.grants.grantview import GrantView
from bailiwick_governance.grants.steps import StepChoice
from bailiwick_governance.signing.passkeys import passkey_challenge


@dataclass(frozen=True, slots=True)
class SignPage:
    """The page. `digest`: the hex SHA-256 of the statement; `challenge`: what a passkey signs, in base64."""

    grant: GrantView
    choice: StepChoice
    sentence: Line
    statement: FactRows
    digest: str
    challenge: str

    @classmethod
    def compose(cls, grant: GrantView, choice: StepChoice, signed: bytes) -> "SignPage":
        """Return the page of a statement."""
        return cls(
            grant,
            choice,
            call_sentence(grant),
            FactRows("Statement", signedreviews.statement_rows(signed), aligned=True),
            hashlib.sha256(signed).hexdigest(),
            passkey_challenge(REVIEW_NAMESPACE, signed),
        )

    @property
    def verifies_user(self) -> bool:
        """Whether only a key that verified its user for this signature counts."""
        return self.choice.step.signature == signedreviews.REQUIRED
