"""Case S3: automation may rotate a secret; the same account reads its value only while an incident is recorded.

Standing: played by the demo and the end-to-end tests; raises `NotAsToldError` where a step does not come out as told.
The incident's grant is written, confirmed and taken back by service accounts, with `kubectl bailiwick`.
"""

from pathlib import Path
from typing import Any, Final

from bailiwick_api.kinds.meta import API_VERSION, APPROVAL_GRANTS
from demo.ground import Ground
from demo.narrator import Narrator
from demo.pep import Pep, must
from demo.s1 import NotAsToldError
from localcluster.tokenrequest import Account

ROTATOR: Final = "system:serviceaccount:ops:secret-rotator"
ROTATOR_ACCOUNT: Final = Account("ops", "secret-rotator", ("vault-api.vault",), 600)
_GRANTS: Final = f"/apis/{API_VERSION}/namespaces/vault/{APPROVAL_GRANTS}"
_SECONDS: Final = 20.0


class S3:
    """The case, on a running stack."""

    def __init__(self, stack: Ground, tell: Narrator) -> None:
        """Prepare; nothing is asked yet."""
        self._stack = stack
        self._tell = tell
        self._pep = Pep(stack, tell, "vault/vault-api", "vault-api")
        self._desk = stack.keeper(Account("ops", "incident-desk"), stack.folder / "incident-desk.token")
        self._bot = stack.keeper(Account("ops", "incident-bot"), stack.folder / "incident-bot.token")

    def play(self) -> None:
        """Play it from start to end. Raises `NotAsToldError`."""
        self._tell.chapter(
            "S3: automation can always rotate secrets, but can read one only while an incident is recorded"
        )
        self._pep.await_policy()
        self._tell.step("The automation rotates a secret.")
        must(self._asks("secrets.rotate", "db/primary"), allowed=True)
        self._tell.held("allowed: rule `rotate` needs no approval")
        self._tell.step("The same account reads the value of the secret.")
        must(self._asks("secrets.read", "db/primary"), allowed=False, reason="approval_required")
        self._tell.held("denied: no incident is recorded")
        name = self._desk_records()
        self._bot_confirms(name)
        self._tell.step("The automation reads secrets of the database.")
        for secret in ("db/primary", "db/replica"):
            must(self._asks("secrets.read", secret), allowed=True)
        self._tell.held("allowed and counted: one grant, bounded by its scope")
        self._tell.step("The automation reads another secret.")
        must(self._asks("secrets.read", "mail/relay"), allowed=False, reason="approval_required")
        self._tell.held("denied: the incident is about the database")
        self._tell.step("The incident is over. The bot revokes the grant.")
        self._bailiwick(self._bot, "incident-bot", "revoke", name, "--reason", "INC-7 is closed")
        must(self._asks("secrets.read", "db/primary"), allowed=False, reason="approval_revoked")
        must(self._asks("secrets.rotate", "db/primary"), allowed=True)
        self._tell.held("the next read is denied; rotating is still allowed")

    def _desk_records(self) -> str:
        self._tell.step(
            "An incident is opened. The account of the desk writes a grant for the calls that the incident needs."
        )
        said = self._bailiwick(
            self._desk,
            "incident-desk",
            *(
                "request",
                "secrets.read",
                "secret/db/*",
                "--endpoint",
                "vault-api",
                "--subject",
                "sa:ops/secret-rotator",
            ),
            *("--reason", "INC-7 database down"),
        )
        name = next((line.rpartition("/")[2] for line in said.splitlines() if "approvalgrant" in line), "")
        if not name:
            raise NotAsToldError(f"the request should name its grant: {said}")
        self._stack.cluster.rest().wait(f"{_GRANTS}/{name}", _resolved, _SECONDS)
        self._tell.held("the operator resolved the names in the grant; it still needs its review")
        self._tell.step("The desk tries to confirm its own grant.")
        self._bailiwick(self._desk, "incident-desk", *self._approval(name), succeeds=False)
        must(self._asks("secrets.read", "db/primary"), allowed=False, reason="approval_pending")
        self._tell.held("refused: you cannot review your own request")
        return name

    def _bot_confirms(self, name: str) -> None:
        self._tell.step("The incident bot, another account, confirms that the incident is open.")
        self._bailiwick(self._bot, "incident-bot", *self._approval(name))
        self._stack.cluster.rest().wait(f"{_GRANTS}/{name}", _active, _SECONDS)
        self._tell.held("a system approval is recorded: the grant is Active")

    def _approval(self, name: str) -> tuple[str, ...]:
        uid = str(self._stack.cluster.rest().get(f"{_GRANTS}/{name}").body["metadata"]["uid"])
        return ("approve", name, "--reason", "INC-7 is open", "--yes", "--binding", uid)

    def _asks(self, action: str, secret: str) -> dict[str, Any]:
        token = self._stack.acting.token(ROTATOR_ACCOUNT)
        return self._pep.ask(
            ("serviceAccount", ROTATOR), action, {"type": "secret", "id": secret}, {"subject_token": token}
        )

    def _bailiwick(self, config: Path, account: str, *arguments: str, succeeds: bool = True) -> str:
        shown = " ".join(f"'{part}'" if " " in part or "*" in part else part for part in arguments)
        self._tell.command(f"kubectl bailiwick {shown} -n vault    # as {account}")
        code, said = self._stack.bailiwick(*arguments, "-n", "vault", kubeconfig=config)
        self._tell.answer(said)
        if (code == 0) is not succeeds:
            raise NotAsToldError(
                f"whether {account}'s command succeeds should be {succeeds!r}, but it exited with {code}"
            )
        return said


def _resolved(answer: Any) -> bool:  # noqa: ANN401 - an answer of the API server
    return "resolved" in answer.body.get("status", {})


def _active(answer: Any) -> bool:  # noqa: ANN401 - likewise
    return bool(answer.body.get("status", {}).get("phase") == "Active")
