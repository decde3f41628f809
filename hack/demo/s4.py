"""Case S4: an agent acting on behalf of a person gets less than its own base entitlement, hop by hop.

Standing: played by the demo and the end-to-end tests; raises `NotAsToldError` where a step does not come out as told.
The people's tokens are signed by `hack/issuer`, the agents' are the API server's own.
"""

import json
import time
from collections.abc import Mapping
from typing import Any, Final

from demo.ground import Ground
from demo.narrator import Narrator
from demo.pep import Pep, must
from demo.s1 import NotAsToldError
from localcluster.tokenrequest import Account

AUDIENCE: Final = "desk.support"
ASSISTANT: Final = "system:serviceaccount:agents:assistant"
DRAFTER: Final = "system:serviceaccount:agents:drafter"
SUPPORT: Final = ("support",)
HERS: Final = {"type": "ticket", "id": "7", "properties": {"assignee": "eve"}}
OTHERS: Final = {"type": "ticket", "id": "8", "properties": {"assignee": "grace"}}


class S4:
    """The case, on a running stack with an issuer."""

    def __init__(self, stack: Ground, tell: Narrator) -> None:
        """Prepare; nothing is asked yet."""
        if stack.signer is None:
            raise NotAsToldError("this case needs an issuer of tokens for people")
        self._signer = stack.signer
        self._stack = stack
        self._tell = tell
        self._pep = Pep(stack, tell, "support/desk", "desk")
        self._tokens = {
            account: stack.acting.token(Account("agents", account.rpartition(":")[2], (AUDIENCE,)))
            for account in (ASSISTANT, DRAFTER)
        }
        self._cluster = stack.cluster.rest().get("/.well-known/openid-configuration").body["issuer"]

    def play(self) -> None:
        """Play it from start to end. Raises `NotAsToldError`."""
        self._tell.chapter("S4: on behalf of a person, an agent can do less than by itself, hop by hop")
        self._pep.await_policy()
        self._by_itself()
        self._on_behalf()
        self._with_a_token_that_is_not_its_own()
        self._through_a_second_agent()
        self._the_person_counts()
        self._is_on_record()

    def _by_itself(self) -> None:
        self._tell.step("The assistant closes ticket 7 by itself.")
        said = self._pep.ask(
            ("serviceAccount", ASSISTANT), "tickets.close", HERS, {"subject_token": self._tokens[ASSISTANT]}
        )
        must(said, allowed=True)
        self._tell.held("allowed: the policy grants this to the assistant itself")

    def _on_behalf(self) -> None:
        self._tell.step("Eve lets the assistant act for her. The assistant reads and answers her ticket 7.")
        for action in ("tickets.get", "tickets.reply"):
            must(self._acting(action, HERS), allowed=True)
        self._tell.held("allowed: both the assistant's rule and the ceiling cover it")
        self._tell.step("On her behalf, the assistant closes that ticket.")
        must(self._acting("tickets.close", HERS), allowed=False, reason="scope_exceeded", hop=ASSISTANT)
        self._tell.held("denied, although the assistant can do so by itself: the ceiling does not cover it")
        self._tell.step("On her behalf, the assistant reads ticket 8, which belongs to somebody else.")
        must(self._acting("tickets.get", OTHERS), allowed=False, reason="scope_exceeded", hop=ASSISTANT)
        self._tell.held("denied: on her behalf, the assistant can see only her tickets")

    def _with_a_token_that_is_not_its_own(self) -> None:
        self._tell.step("The drafter uses the token that Eve gave to the assistant.")
        said = self._acting("tickets.get", HERS, presenter=DRAFTER)
        must(said, allowed=False, reason="actor_mismatch")
        self._tell.held("denied: the actor in the token is not the workload that presents it")
        self._tell.step("The assistant presents a token of Eve that names no actor.")
        must(self._acting("tickets.get", HERS, actors=()), allowed=False, reason="delegation_invalid")
        self._tell.held("denied: with this token, Eve lets nobody act for her")

    def _through_a_second_agent(self) -> None:
        chain = (DRAFTER, ASSISTANT)
        self._tell.step("The assistant, acting for Eve, delegates to the drafter. The drafter reads her ticket.")
        must(self._acting("tickets.get", HERS, actors=chain, presenter=DRAFTER), allowed=True)
        self._tell.held("allowed: every hop is allowed to read")
        self._tell.step("The drafter answers the ticket.")
        said = self._acting("tickets.reply", HERS, actors=chain, presenter=DRAFTER)
        must(said, allowed=False, reason="no_rule", hop=DRAFTER)
        self._tell.held("denied at the drafter: a chain can do no more than any of its hops")
        self._tell.step("A third agent joins the chain.")
        said = self._acting("tickets.get", HERS, actors=(DRAFTER, ASSISTANT, ASSISTANT), presenter=DRAFTER)
        must(said, allowed=False, reason="delegation_invalid")
        self._tell.held("denied: the endpoint accepts at most two actors")

    def _the_person_counts(self) -> None:
        self._tell.step("Mallory, who is not on the support staff, lets the assistant act for her.")
        said = self._acting("tickets.get", HERS, person="mallory", groups=())
        must(said, allowed=False, reason="delegation_invalid")
        self._tell.held("denied: the endpoint does not list her as a principal")
        self._tell.step(
            "Frank is a trainee and not allowed to answer tickets. The assistant answers his ticket for him."
        )
        his = {"type": "ticket", "id": "9", "properties": {"assignee": "frank"}}
        said = self._acting("tickets.reply", his, person="frank", groups=("support", "trainees"))
        must(said, allowed=False, reason="policy_denied", hop="frank")
        self._tell.held("denied at Frank: nobody can do for him what he is not allowed to do")

    def _is_on_record(self) -> None:
        self._tell.step("The decision record names every party.")
        # The record of a denial follows its answer within moments; only that of a use comes before.
        time.sleep(0.5)
        lines = [line for line in self._stack.records() if '"support/desk"' in line]
        record = max((json.loads(line) for line in lines), key=lambda record: record["time"])
        self._tell.answer({name: record[name] for name in ("subject", "actors", "hop", "action", "decision", "reason")})
        if [actor["id"] for actor in record["actors"]] != [ASSISTANT] or record["hop"] != "frank":
            raise NotAsToldError(f"the record should name the assistant and frank: {record}")
        self._tell.held("the record has the subject, the actors and the hop at which the call failed")

    def _acting(
        self,
        action: str,
        resource: Mapping[str, Any],
        *,
        person: str = "eve",
        groups: tuple[str, ...] = SUPPORT,
        actors: tuple[str, ...] = (ASSISTANT,),
        presenter: str = ASSISTANT,
    ) -> dict[str, Any]:
        token = self._signer.token(
            person,
            AUDIENCE,
            actors=[{"sub": actor, "iss": self._cluster} for actor in actors],
            groups=list(groups),
        )
        evidence = {"subject_token": token, "actor_token": self._tokens[presenter]}
        return self._pep.ask(("user", person), action, resource, evidence)
