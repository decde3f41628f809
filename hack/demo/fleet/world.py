"""What the demo of a fleet is played on: two clusters with Bailiwick, and a person's shell that reaches both.

Standing: below the acts. Holds: a command runs as it is shown, and one that ends with another code is an error.
"""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import requests

from demo.ground import output
from demo.narrator import Narrator
from demo.s1 import NotAsToldError
from demo.stack import AGENT, AGENT_ACCOUNT, CRM_ACCOUNT
from support.commandline import Ran
from support.fleetsync import examples_of
from support.pdp.processes import Bailiwick

BUCKET: Final = "bailiwick-records"
_TIMEOUT: Final = 60.0
BATCH: Final = 100


@dataclass(frozen=True, slots=True)
class Shell:
    """A person at a terminal, in a folder. The environment has where the clusters and the store are.

    Programs are found on the PATH, or in the folder if their name has a slash.
    """

    folder: Path
    tell: Narrator
    environment: Mapping[str, str]

    def type(self, *words: str, code: int = 0, into: str = "") -> Ran:
        """Show a command, run it, and show what it printed; raise `NotAsToldError` if it ends with another code.

        `into` is a file that its standard output goes to.
        """
        self.tell.command(shlex.join(words) + (f" > {into}" if into else ""))
        ran = self.ask(*words)
        if into:
            (self.folder / into).write_text(ran.out, encoding="utf-8")
        self.tell.answer((ran.err if into else ran.out + ran.err).strip())
        if ran.code != code:
            ended = f"exited with {ran.code}: {ran.out}{ran.err}"
            raise NotAsToldError(f"`{shlex.join(words)}` should exit with {code}, but {ended}")
        return ran

    def ask(self, *words: str) -> Ran:
        """Run a command, and show nothing."""
        program = self.folder / words[0] if "/" in words[0] else Path(words[0])
        return Ran(*output(program, *words[1:], folder=self.folder, environment=self.environment))


@dataclass
class Member:
    """One cluster of the fleet, and how its enforcement point asks its decision point."""

    name: str
    running: Bailiwick
    tokens: dict[str, str] = field(default_factory=dict)

    @property
    def records(self) -> Path:
        """The file of its decision records."""
        return self.running.points[0].records

    @property
    def ledger(self) -> Path:
        """The file of its operator's log."""
        return self.running.stack.ledger()

    def begin(self) -> None:
        """Apply the accounts of the CRM example, and ask for the tokens of enforcer and agent."""
        examples_of(self.running, ("crm/accounts.yaml",))
        cluster = self.running.cluster
        self.tokens = {
            "enforcer": cluster.issue_token(CRM_ACCOUNT).value,
            "agent": cluster.issue_token(AGENT_ACCOUNT).value,
        }

    def ask(self, action: str, customers: Sequence[int]) -> list[bool]:
        """Ask for the agent about so many customers, up to 100 in one request; return the decisions."""
        body = {
            "subject": {"type": "serviceAccount", "id": AGENT},
            "action": {"name": action},
            "context": {"evidence": {"subject_token": self.tokens["agent"]}},
            "evaluations": [{"resource": {"type": "customer", "id": str(number)}} for number in customers],
        }
        url = self.running.points[0].evaluation() + "s"
        headers = {"Authorization": f"Bearer {self.tokens['enforcer']}"}
        answer = requests.post(url, json=body, headers=headers, timeout=_TIMEOUT)
        if not answer.ok:
            raise NotAsToldError(f"{self.name}: asking returned {answer.status_code}: {answer.text}")
        return [bool(one["decision"]) for one in answer.json()["evaluations"]]
