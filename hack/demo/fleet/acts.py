"""The acts of the demo of a fleet, each on what the one before left. Raises `NotAsToldError` if a step ends otherwise.

Standing: between the world and `__main__`. Holds: whatever is shown as typed was run as it is shown.
"""

import datetime
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final

from demo.fleet.rollouts import Rollout
from demo.fleet.storage import Intruder, LogShippers
from demo.fleet.world import BATCH, BUCKET, Member, Shell
from demo.narrator import Narrator
from demo.s1 import NotAsToldError
from localcluster.progress import Progress
from support.waits import until

# Of so many questions, one is for what no rule allows.
_DENIED_IN: Final = 10
_CUT: Final = 100
_WITNESS_SECONDS: Final = 90.0
_WHO_CAN: Final = ("kubectl", "bailiwick", "who-can", "customers.get", "--on", "customer/42")
_CHECKS: Final = ("guards", "served", "drift", "witness", "losses")


class Acts:
    """Played in the order of the methods. `moment` is a time before the change, in RFC 3339."""

    def __init__(self, shell: Shell, rollout: Rollout, members: Mapping[str, Member], progress: Progress) -> None:
        """Prepare; nothing is asked yet."""
        self._shell = shell
        self._tell: Narrator = shell.tell
        self._rollout = rollout
        self._members = members
        self._progress = progress
        self.moment = ""

    # ---------------------------------------------------------------- one policy, two clusters

    def sync(self) -> None:
        """Bring the policy to both clusters, one after the other."""
        self._tell.chapter("One policy in both clusters")
        self._tell.step("The team renders its policy for each cluster: west has other reviewers.")
        self._shell.type("./render.sh")
        self._rollout.first()
        for name in self._members:
            ready = ("kubectl", "wait", "--for=condition=Ready", "endpointpolicies", "--all", "-n", "crm")
            self._shell.type(*ready, "--timeout=120s", "--context", name)
        found = {name: self._reviewers(name) for name in self._members}
        if found != {"east": "crm-owners", "west": "crm-owners-west"}:
            raise NotAsToldError(f"each cluster should have its own reviewers, but they are {found}")
        self._tell.held("both clusters have the policy, each with the reviewers of its overlay")

    def status(self) -> None:
        """Show the state of the fleet, compared with Git."""
        self._tell.step("One command asks both clusters, and compares them with what is rendered.")
        words = ["kubectl", "bailiwick", "fleet", "status", *self._rollout.asking()]
        for name in self._members:
            words += ["--against", f"{name}=rendered/{name}/policies.yaml"]
        for check in _CHECKS:
            words += ["--fail-on", check]
        with self._progress.step("Waiting until the operators have judged everything"):
            until(lambda: self._shell.ask(*words).code == 0, "the fleet is well", _WITNESS_SECONDS)
        self._shell.type(*words)
        self._tell.held("exit code 0: guards are proven, every policy is served, and nothing differs from Git")

    def _reviewers(self, name: str) -> str:
        where = "jsonpath={.spec.rules[1].approval.steps[0].groups[0]}"
        get = ("kubectl", "get", "endpointpolicy", "crm-agent", "-n", "crm", "--context", name, "-o", where)
        return self._shell.ask(*get).out

    # ---------------------------------------------------------------- decisions

    def decide(self, count: int) -> None:
        """Have so many decisions made, and remember a moment in their midst."""
        self._tell.chapter(f"{count:,} decisions go into one object store".replace(",", " "))
        self._tell.step("In both clusters, the CRM API asks whether the agent may make its calls.")
        with self._progress.step("Deciding") as step, ThreadPoolExecutor(len(self._members)) as pool:
            half, allowed = count // len(self._members) // 2, 0
            for part in range(2):
                futures = [pool.submit(self._ask, member, half, part * half) for member in self._members.values()]
                allowed = sum(future.result() for future in futures)
                step.update(f"{(part + 1) * count // 2} decisions")
                if part == 0:
                    # A whole second between two decisions, as a person would name it. A decision is judged, and
                    # recorded, by the latest time that it can be at the API server: up to a second and a request's
                    # duration ahead of ours.
                    time.sleep(5)
                    self.moment = (_now() - datetime.timedelta(seconds=2)).replace(microsecond=0).isoformat()
                    self.moment = self.moment.replace("+00:00", "Z")
        asked = 2 * half * len(self._members)
        self._tell.answer(f"{asked} decisions; the last half: {allowed} allowed, {asked // 2 - allowed} denied")
        self._tell.held(f"a moment in their midst: {self.moment}")

    def _ask(self, member: Member, count: int, first: int) -> int:
        """Ask for so many decisions; return how many were allowed."""
        allowed = 0
        for begun in range(0, count, BATCH):
            customers = range(first + begun, first + min(count, begun + BATCH))
            action = "customers.purge" if begun // BATCH % _DENIED_IN == 1 else "customers.get"
            decisions = member.ask(action, customers)
            if (wanted := action == "customers.get") is not all(decisions) or any(decisions) is not wanted:
                raise NotAsToldError(f"{member.name}: {action} was decided {set(decisions)}")
            allowed += sum(decisions)
        return allowed

    def change(self) -> None:
        """Take a right away in Git, for both clusters."""
        self._tell.chapter("A right is taken away, and an auditor asks who had it")
        self._tell.step("The team takes `customers.get` away from the agent, in the base and in its test.")
        self._shell.type("sed", "-i.orig", "s/, customers.get]/]/", "base/policy.yaml")
        self._shell.type("sed", "-i.orig", "/action: customers.get,/d", "tests/policy_test.yaml")
        self._shell.type("./render.sh")
        self._rollout.next()
        for member in self._members.values():
            until(partial(_is_denied, member), "the change is in force", 30)
        self._tell.held("in both clusters, the agent may read no customer any more")

    def who_could(self) -> None:
        """Ask the stored logs who could do it at the moment before the change."""
        for name in self._members:
            self._tell.step(f"Who could read customer 42 in {name} at {self.moment}? The stored log answers.")
            said = self._shell.type(*_WHO_CAN, "--at", self.moment, "--log", f"s3://{BUCKET}/{name}")
            if "sa:agents/crm-agent" not in said.out:
                raise NotAsToldError("the agent should have had the right")
        self._tell.held("exit code 0: the agent could, and the answer is complete")

    def who_can(self) -> None:
        """Ask the clusters who can do it now."""
        self._tell.step("Who can now?")
        for name in self._members:
            self._shell.type(*_WHO_CAN, "-n", "crm", "--direct", "--context", name, code=1)
        self._tell.held("exit code 1: no subject can")

    # ---------------------------------------------------------------- evidence

    def keep(self, shipping: LogShippers) -> None:
        """Save the key and the checkpoints of each witness outside of the clusters, and store the lines that it saw."""
        self._tell.step("An auditor saves the key and the newest checkpoints of each witness outside of the clusters.")
        with self._progress.step("Waiting for the witnesses, which look every ten seconds"):
            for name, member in self._members.items():
                lines = member.records.read_bytes().count(b"\n")
                until(partial(self._has_seen, name, lines), "the witness saw it", _WITNESS_SECONDS)
        for name in self._members:
            words = ("kubectl", "get", "configmap", "bailiwick-witness", "-n", "bailiwick-system", "--context", name)
            self._shell.type(*words, "-o", r"jsonpath={.data.witness\.vkey}", into=f"kept/{name}.vkey")
            checkpoint = ("kubectl", "bailiwick", "audit", "checkpoint", "--context", name)
            self._shell.type(*checkpoint, into=f"kept/{name}.notes")
        # Afterwards, so that no checkpoint is of lines that are not stored.
        with self._progress.step("Waiting until every line is stored"):
            shipping.await_collected()
            shipping.end()
        self._tell.held("the store has every line that a witness has seen")

    def _has_seen(self, name: str, lines: int) -> bool:
        """Tell whether a witness has cosigned so many lines of a log."""
        printed = self._shell.ask("kubectl", "bailiwick", "audit", "checkpoint", "--context", name).out.splitlines()
        return max((int(line) for line in printed if line.isdigit()), default=0) >= lines

    def verify(self) -> None:
        """Verify both logs, which are intact."""
        self._tell.chapter("The log of each cluster is verified")
        self._tell.step("The auditor verifies both.")
        for name in self._members:
            self._shell.type(*_verify(name))
        self._tell.held("exit code 0: nothing was removed or changed up to the last cosignature")

    def tamper(self, intruder: Intruder) -> None:
        """Change a line of one cluster, cut the log of the other, and verify again."""
        self._tell.step("Somebody who may write to the bucket makes a denial of east an allow, and cuts west's log.")
        self._tell.answer(f"changed in s3://{BUCKET}/{intruder.change_a_line('east')}: one decision")
        left = intruder.cut("west/decisions", _CUT)
        self._tell.answer(f"cut from s3://{BUCKET}/west/decisions: the last {_CUT} lines of {left + _CUT}")
        self._tell.step("The auditor verifies again.")
        for name, found in {"east": ("altered at ", "1 contradicted"), "west": (f"truncated {left}-",)}.items():
            said = self._shell.type(*_verify(name), code=1)
            if missing := [words for words in found if words not in said.out]:
                raise NotAsToldError(f"`audit verify` should name {missing} in {name}")
        self._tell.held("exit code 1: the line that was changed and the lines that are missing, each by its number")


def _is_denied(member: Member) -> bool:
    return not any(member.ask("customers.get", [1]))


def _verify(name: str) -> tuple[str, ...]:
    given = ("--checkpoints", f"kept/{name}.notes", "--witness-key", f"kept/{name}.vkey")
    return ("kubectl", "bailiwick", "audit", "verify", f"s3://{BUCKET}/{name}", *given, "--policies", "ledger")


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)
