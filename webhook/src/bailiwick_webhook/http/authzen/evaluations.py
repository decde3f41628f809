"""AuthZEN 1.0, access evaluations: several calls in one body (AuthZEN 1.0, "Access Evaluations API").

Holds: a body without items is an evaluation and is answered as one; a batch is decided whole and answered in order;
what is wrong with one item is that item's denial, what is wrong with the body is 400; the same evidence is verified
once, and so is what is shown of the same approval.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final, NamedTuple

import orjson

from bailiwick_engine.batch import MAX_ITEMS, Semantic, merge_defaults
from bailiwick_engine.decision.verdict import Outcome
from bailiwick_webhook.evaluation import EvaluationRequest
from bailiwick_webhook.http.addressing import CorrelationIds, Tenant
from bailiwick_webhook.http.authzen import messages
from bailiwick_webhook.http.authzen.authenticator import RequestAuthenticator, VerifiedParties
from bailiwick_webhook.http.authzen.evaluation import EvaluationHandler
from bailiwick_webhook.http.authzen.messages import Evaluation, EvaluationDefaults
from bailiwick_webhook.http.problems import ProblemError, bad_request, forbidden
from bailiwick_webhook.http.shares.slots import Sender
from bailiwick_webhook.identity.tokens import AuthenticatedAccount
from bailiwick_webhook.pipeline.offload import LARGE
from bailiwick_webhook.pipeline.pdp import Decision
from bailiwick_webhook.pipeline.turns import TenantSlices
from bailiwick_webhook.steps import Need, Step, resolve

_DEFAULTS: Final = ("subject", "action", "resource", "context")
# A member of an enumeration is looked up slowly, and this one is for every item.
_FORBIDDEN: Final = Outcome.FORBIDDEN


class Batch(NamedTuple):
    """A parsed body: each item, or what is wrong with it."""

    items: tuple[Evaluation | ProblemError, ...]
    semantic: Semantic


def parse(body: Mapping[str, Any]) -> Batch | None:
    """Parse a body; None where it holds no items. Raises `ProblemError` (400) for what concerns the body as a whole."""
    options = body.get("options")
    if not isinstance(options, dict | None):
        raise bad_request("must be an object", "options")
    semantic = _semantic((options or {}).get("evaluations_semantic"))
    listed = body.get("evaluations")
    if not isinstance(listed, list | None):
        raise bad_request("must be an array", "evaluations")
    if not listed:
        return None
    if len(listed) > MAX_ITEMS:
        raise bad_request(f"has more than {MAX_ITEMS} items: split them across several requests", "evaluations")
    for member in _DEFAULTS:
        if not isinstance(body.get(member), dict | None):
            raise bad_request("must be an object", member)
    # What most items share: who asks for what.
    said = messages.parse_defaults(body.get("subject"), body.get("context"))
    return Batch(tuple((said and _plainly(said, body, item)) or _item(body, item) for item in listed), semantic)


class ItemSizes:
    """How large the items of one body are, each by itself. What they share is measured once.

    It holds for as long as the items do: parts are identified by which object they are.
    """

    def __init__(self) -> None:
        self._known: dict[int, int] = {}

    def is_large(self, item: Evaluation) -> bool:
        """Tell whether an item alone has as many bytes as make a body large."""
        known, size = self._known, 0
        for part in (item.context, item.action.properties, item.resource.properties, item.subject.properties):
            if part:
                found = known.get(id(part))
                if found is None:
                    found = known[id(part)] = measured(part)
                size += found
        return size >= LARGE


def measured(part: Any) -> int:  # noqa: ANN401 - any JSON value
    """Return how many bytes a part of a body has. To write it out takes less time than a look at each value."""
    return len(orjson.dumps(part))


def failed(problem: ProblemError) -> dict[str, Any]:
    """Return the answer to an item that cannot be decided (AuthZEN 1.0, "Errors" of the evaluations API)."""
    where = f"{problem.where} " if problem.where else ""
    return {
        "decision": False,
        "context": {"error": {"status": problem.status, "message": f"{where}{problem.detail}"}},
    }


class EvaluationsHandler:
    """POST access/v1/evaluations. `evaluation` answers a body without items."""

    def __init__(self, authenticator: RequestAuthenticator, evaluation: EvaluationHandler) -> None:
        self._authenticator = authenticator
        self._evaluation = evaluation

    def decide(
        self,
        of: Tenant,
        caller: AuthenticatedAccount,
        sender: Sender,
        marked: CorrelationIds,
        body: Mapping[str, Any],
        *,
        large: bool,
    ) -> Step[bytes]:
        """Return the answer to a body of an authenticated caller, who counts as `sender`. Raises `ProblemError`."""
        if body.get("evaluations"):
            return Need(partial(self._decide_batch, of, caller, sender, marked, body, large=large))
        # Only to say what is wrong with the rest of it.
        parse(body)
        return self._evaluation.decide(of, caller, sender, marked, body, large=large)

    async def _decide_batch(
        self,
        of: Tenant,
        caller: AuthenticatedAccount,
        sender: Sender,
        marked: CorrelationIds,
        body: Mapping[str, Any],
        *,
        large: bool,
    ) -> bytes:
        authenticator = self._authenticator
        slices = authenticator.pdp.slices_of(of, caller.account.username)
        await slices.turn()
        batch = parse(body)
        if batch is None:
            raise bad_request("must be an array", "evaluations")
        authenticator.pay(of, sender, len(batch.items))
        verified, sizes = VerifiedParties(), ItemSizes()
        items: list[EvaluationRequest | None] = []
        for index, item in enumerate(batch.items):
            if isinstance(item, ProblemError):
                items.append(None)
                continue
            # A hundred small calls make a large body, and none of them takes long: most of what it takes to decide
            # each beside the loop is the way there.
            alone = large and sizes.is_large(item)
            this = CorrelationIds(marked.request_id, marked.trace, index)
            asked = authenticator.call(of, caller, item, this, verified=verified, large=alone)
            items.append(await resolve(asked) if isinstance(asked, Need) else asked)
            if slices.over:
                await slices.turn()
        if not any(items) and not authenticator.pdp.enforces(of, caller.account.username):
            raise forbidden(authenticator.identity.stranger)
        decisions = await authenticator.pdp.evaluate_all(items, batch.semantic)
        answers = await self._answers(of, batch, items, decisions, slices)
        return orjson.dumps({"evaluations": answers})

    async def _answers(
        self,
        of: Tenant,
        batch: Batch,
        items: Sequence[EvaluationRequest | None],
        decisions: Sequence[Decision | None],
        slices: TenantSlices,
    ) -> list[dict[str, Any]]:
        """Return the answers to the items that are answered. Raises `ProblemError` (403)."""
        base, notice, stranger = (
            self._authenticator.base(of),
            self._authenticator.identity.notice,
            self._authenticator.identity.stranger,
        )
        answers: list[dict[str, Any]] = []
        for item, asked_of, decision in zip(batch.items, items, decisions, strict=False):
            if slices.over:
                await slices.turn()
            if isinstance(item, ProblemError) or asked_of is None or decision is None:
                answers.append(failed(item if isinstance(item, ProblemError) else forbidden(stranger)))
            elif decision.verdict.outcome is _FORBIDDEN:
                # Of a caller who may ask about itself alone: not a word about the others.
                raise forbidden(stranger)
            else:
                token = self._authenticator.binding_token(of, asked_of, decision)
                answers.append(messages.answer(decision, base, notice, explain=item.explain, binding_token=token))
        return answers


def _semantic(named: object) -> Semantic:
    if named is None:
        return Semantic.EXECUTE_ALL
    for semantic in Semantic:
        if semantic.value == named:
            return semantic
    known = ", ".join(semantic.value for semantic in Semantic)
    raise bad_request(f"must be one of {known}", "options.evaluations_semantic")


def _plainly(said: EvaluationDefaults, body: Mapping[str, Any], item: Any) -> Evaluation | None:  # noqa: ANN401 - any JSON value
    """Return an item that takes subject and context from the body, and mixes no member of its own with the body's."""
    if type(item) is not dict or item.get("subject") is not None or item.get("context") is not None:
        return None
    action, resource = item.get("action"), item.get("resource")
    if resource is None:
        resource = body.get("resource")
    elif type(resource) is dict and (resource.get("type") is None or resource.get("id") is None):
        return None
    return messages.parse_call(said, body.get("action") if action is None else action, resource)


def _item(body: Mapping[str, Any], item: object) -> Evaluation | ProblemError:
    if not isinstance(item, dict):
        return bad_request("must be an object", "evaluation")
    try:
        return messages.parse(merge_defaults(body, item))
    except ProblemError as problem:
        return problem
