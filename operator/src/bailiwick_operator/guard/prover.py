"""One proof that the guards are in force: stored as shipped, in a group served here, refusing what they must.

Holds: the version of the grants is read before all else, and all else before the dry runs; a proof is returned only
where every guard refused its dry run with its own message. What is read in between is read at once, since a proof says
of all of it alone that it was so after that version was read. Only the APIServices say who answered the other reads, so
they are read once more after these. Nothing that was read in a proof that failed is held for the next one. `keeper`
decides what to record and count by it.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Final, assert_never

from bailiwick_api.accounts import CANARY_GRANT, Installation
from bailiwick_api.kinds.approvalgrant import TERMINAL_PHASES
from bailiwick_api.manifests.canary import Probe, canary, probes
from bailiwick_api.manifests.crds import APPROVAL_GRANTS_CRD
from bailiwick_api.manifests.definitionguard import CANARY_DEFINITION
from bailiwick_engine.approval import apiroutes, definitions
from bailiwick_engine.approval.fingerprint import deviations, fingerprint
from bailiwick_kube.paths import grants_path, histories_path
from bailiwick_kube.responses import ApiResponse
from bailiwick_operator.guard.guardreader import RIGHTS_REMEDY, GuardReader
from bailiwick_operator.guard.together import both, every, value
from bailiwick_operator.kube import GRANTS_PATH, Object, OperatorClient, RefusedError
from bailiwick_operator.reconcile.guard import Proof, is_pristine, void_status

_REFUSALS: Final = {HTTPStatus.FORBIDDEN, HTTPStatus.UNPROCESSABLE_ENTITY}
# An apply would keep what someone added to a guard, and report success.
_REMEDY: Final = (
    "Restore them with kubectl replace, and create the missing ones, from the folders crds and crds/guards of"
    " this version, with the names that this operator was started with. Do not use apply"
    " or helm upgrade: they keep what was added. Grants and reviews written until then will be void"
)
_ROUTE_REMEDY: Final = (
    "Delete each APIService that is named here: the API server creates those that it needs, and serves the group"
    " itself. Then find out who changed it. Grants and reviews written until then will be void"
)
_FOREIGN_REMEDY: Final = (
    "Delete each CustomResourceDefinition that is named here. That deletes all objects that it reaches, so look at its"
    " status.acceptedNames first, and set them to its spec.names if they are others. Then find out who created it."
    " Grants and reviews written until then will be void"
)


class UnprovenError(Exception):
    """The guard could not be proven; the message says what is wrong and what to do."""


class BypassedError(UnprovenError):
    """Objects can be written past the guards, which leaves no trace in the guards themselves."""


@dataclass(frozen=True, slots=True)
class _GuardVerdict:
    """Guards and APIServices that are as shipped, and what a proof says of them."""

    guards: Sequence[Object]
    routes: Sequence[Object]
    fingerprint: str
    store: str


class Prover:
    """Asks the API server. Run one proof at a time."""

    def __init__(self, kube: OperatorClient, installation: Installation, now: Callable[[], datetime]) -> None:
        self._kube = kube
        self._now = now
        self._installation = installation
        self._grants = grants_path(installation.namespace)
        self._canary = grants_path(installation.namespace, CANARY_GRANT)
        self._histories = histories_path(installation.namespace)
        self._reader = GuardReader(kube, installation)
        # Judging and hashing them takes the loop tens of milliseconds.
        self._verdict: _GuardVerdict | None = None

    async def prove(self, *, whole: bool = False) -> Proof:
        """Return a proof. Raises `UnprovenError`, `RefusedError` or `UnreachableError`, each with what is wrong.

        `whole`: read every guard whole, regardless of what earlier proofs read.
        """
        if whole:
            self._forget()
        try:
            return await self._prove()
        except BaseException:
            # Another server may have answered, with a uid and a version that a guard has here as well.
            self._forget()
            raise

    def _forget(self) -> None:
        self._reader.forget()
        self._verdict = None

    async def _prove(self) -> Proof:
        floor = await self._kube.version(GRANTS_PATH)
        # In one gather: a coroutine that is cancelled before it began leaves those that it was given unawaited.
        defined, ruled, routed, looked_at = await asyncio.gather(
            self._reader.definitions(),
            self._reader.policies(),
            self._routes(),
            self._kube.get(self._canary),
            return_exceptions=True,
        )
        # Definitions of others come first: they alone leave no trace once they are gone, so whatever else is wrong,
        # `keeper` hears of them, and remembers.
        if isinstance(defined, dict) and (
            foreign := definitions.intrusions(path.rpartition("/")[2] for path in defined)
        ):
            message = f"grants can be written past the guards: {'; '.join(foreign)}. {_FOREIGN_REMEDY}"
            raise BypassedError(message)
        routes, stored_canary = value(routed), value(looked_at)
        if redirected := apiroutes.redirections(routes):
            message = f"grants may be read from another server: {'; '.join(redirected)}. {_ROUTE_REMEDY}"
            raise UnprovenError(message)
        judged = self._judge(await self._reader.objects(value(defined) | value(ruled)), routes)
        _, routes_since = await both(self._probe(stored_canary), self._routes())
        if routes_since != routes:
            # A group that is redirected and put back has another APIService, but only in what is read after that.
            message = "the APIServices of the groups that decide changed during the proof: proving again"
            raise UnprovenError(message)
        return Proof(judged.fingerprint, judged.store, floor)

    def _judge(self, guards: Sequence[Object], routes: Sequence[Object]) -> _GuardVerdict:
        """Return what a proof says of these objects. Raises `UnprovenError` where they are not as shipped."""
        if self._verdict is not None and (self._verdict.guards, self._verdict.routes) == (guards, routes):
            return self._verdict
        objects = [*routes, *guards]
        if wrong := deviations(objects, self._installation):
            message = f"the guards over grants are not as shipped: {'; '.join(wrong)}. {_REMEDY}"
            raise UnprovenError(message)
        store = next(item for item in objects if item["metadata"]["name"] == APPROVAL_GRANTS_CRD)
        self._verdict = _GuardVerdict(guards, routes, fingerprint(objects), store["metadata"]["uid"])
        return self._verdict

    async def _routes(self) -> list[Object]:
        """Return the APIServices of the groups that decide. Raises `RefusedError` where they cannot be read."""
        answer = await self._kube.get(apiroutes.PATH)
        items = answer.body.get("items") if answer.ok else None
        if not isinstance(items, list):
            message = f"the APIServices cannot be read: {answer.message}. {RIGHTS_REMEDY}"
            raise RefusedError(message)
        # Items of a list come without their kind.
        return [{**item, "kind": apiroutes.KIND} for item in items if apiroutes.decides(item["metadata"]["name"])]

    async def _probe(self, stored_canary: ApiResponse) -> None:
        now = self._now()
        await self._ensure_canary(stored_canary, now)
        dry_runs = probes(self._installation, now)
        answers = await every(self._ask(probe) for probe in dry_runs)
        for probe, answer in zip(dry_runs, answers, strict=True):
            if answer.status in _REFUSALS and probe.refusal in answer.message and probe.guard in answer.message:
                continue
            result = "allowed" if answer.ok else f"refused by something else ({answer.message})"
            message = (
                f"{probe.guard} is not in force: its dry run ({probe.verb} on the canary) was {result}. A guard"
                " takes a moment to come into force. If this persists, check that the API server's admission plugin"
                " ValidatingAdmissionPolicy is enabled, and that nothing else refuses grants"
            )
            raise UnprovenError(message)

    async def _ask(self, probe: Probe) -> ApiResponse:
        match probe.verb:
            case "create":
                return await self._kube.create(self._grants, probe.body, dry_run=True)
            case "patch":
                return await self._kube.patch(self._canary, probe.body, dry_run=True)
            case "patch-status":
                return await self._kube.patch(f"{self._canary}/status", probe.body, dry_run=True)
            case "create-history":
                return await self._kube.create(self._histories, probe.body, dry_run=True)
            case "delete":
                return await self._kube.delete(self._canary, dry_run=True)
            case "apply-definition":
                # Not created: RBAC ties a create to a name only where it is by server-side apply.
                return await self._kube.apply(f"{definitions.PATH}/{CANARY_DEFINITION}", probe.body, dry_run=True)
            case _:
                assert_never(probe.verb)

    async def _ensure_canary(self, answer: ApiResponse, now: datetime) -> None:
        """Ensure that the canary is as it was created: on a changed one, other rules may refuse before the guards.

        It is the one grant that is never made void, so it must not be able to hold anything either.
        """
        if answer.ok:
            if is_pristine(answer.body, canary(self._installation, now)):
                return
            await self._remove_canary(answer.body, now)
        elif not answer.missing:
            message = f"the canary grant cannot be read: {answer.message}"
            raise RefusedError(message)
        created = await self._kube.create(self._grants, canary(self._installation, now))
        if not created.ok:
            message = f"the canary grant {self._canary} cannot be created: {created.message}"
            raise UnprovenError(message)

    async def _remove_canary(self, stored: Object, now: datetime) -> None:
        # The guard lets us delete only a grant that is over.
        if (stored.get("status") or {}).get("phase") not in TERMINAL_PHASES:
            await self._kube.apply_status("ApprovalGrant", stored, void_status(stored, now))
        deletion = await self._kube.delete(self._canary)
        if not deletion.ok and not deletion.missing:
            message = f"the canary grant {self._canary} was changed and cannot be deleted: {deletion.message}"
            raise UnprovenError(message)
