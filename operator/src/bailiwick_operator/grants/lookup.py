"""Looks up what grants written by hand name, and remembers which of them wait for their endpoint's policies.

Standing: between `PolicySummaries`, which compiles the policies of all namespaces in turn, and the pure `resolution`.
Holds: nothing is compiled for a grant: it waits until its policies were, and then reads one rule at a time; a service
account is read from the API server each time, since its uid is what the grant will be bound to.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime

from bailiwick_api.kinds.approvalgrant import Request
from bailiwick_api.serviceaccounts import ServiceAccountName
from bailiwick_api.usernames import UsernameTemplate
from bailiwick_engine.budget.ledger import Excess
from bailiwick_engine.compile.acceptance import CompilationSummary
from bailiwick_engine.compile.gateextract import gate_extract
from bailiwick_engine.compile.policies import policy_ref
from bailiwick_engine.policy.model import BrokenPolicy, CompiledPolicy, SettingsMeaning
from bailiwick_operator.grants.askedgrants import AskedGrants
from bailiwick_operator.kube import Object, OperatorClient, RefusedError
from bailiwick_operator.loop.inventory import Inventory, Key
from bailiwick_operator.loop.workqueue import WorkItem
from bailiwick_operator.reconcile import endpointpolicy
from bailiwick_operator.reconcile.grantlimits import exceeded
from bailiwick_operator.reconcile.resolution import (
    OverLimit,
    Resolution,
    ResolutionInput,
    ResolvedStatus,
    UnresolvedReason,
    accounts_of,
    misfit,
    resolve,
)

_Known = tuple[CompilationSummary, Excess | None]
_Policy = CompiledPolicy | BrokenPolicy
_Endpoint = tuple[str, str]


class Resolver:
    """Resolves, and knows which grants wait for which endpoint. Lives in the main loop.

    `judged` returns what a policy came to and of what it is over budget, None while it is not compiled.
    """

    def __init__(
        self,
        kube: OperatorClient,
        policies: Inventory,
        judged: Callable[[Object], _Known | None],
        asked_grants: AskedGrants,
        issuers: Mapping[str, UsernameTemplate] | None = None,
    ) -> None:
        self._kube = kube
        self._issuers = issuers
        self._policies = policies
        self._judged = judged
        self._asked_grants = asked_grants
        self._waiting: dict[_Endpoint, set[WorkItem]] = {}
        self._endpoint_of: dict[WorkItem, _Endpoint] = {}

    async def resolve_within_limits(
        self, key: Key, request: Request, carriers: tuple[Key, ...], earliest: Callable[[], datetime | None]
    ) -> Resolution | None:
        """Return what the grant names, or the limit that it is over. Over none, it counts for others from now on.

        None while a policy that it needs is not compiled, or the time is not trusted. `carriers`: the policies that
        carry its endpoint's settings. `earliest`: the earliest time that it can be, None while the clock is not
        trusted. Raises `UnreachableError`.
        """
        namespace = key.namespace
        named = tuple(dict.fromkeys(Key(namespace, ref.policy) for ref in request.rules))
        judged = self._all_judged((*named, *carriers))
        if judged is None:
            return None
        policies: dict[str, _Policy | None] = {}
        for policy in named:
            # Between two rules others have their turn.
            policies[policy.name] = await self._extract(policy, request, judged.get(policy))
        asserted = any(endpointpolicy.is_asserted(seen.body) for one in carriers if (seen := self._policies.get(one)))
        settings = _settings_of(carriers, judged)
        if (why := misfit(request, ResolutionInput(policies, settings, {}, asserted, self._issuers))) is not None:
            return why
        try:
            accounts = {name: await self._uid(name) for name in sorted(accounts_of(request, asserted=asserted))}
        except RefusedError as error:
            # Said where its author looks, and tried again as anything else that is not there yet.
            return UnresolvedReason(str(error))
        # After the last await: what is judged is what there is, or it comes again with what changed.
        if self._all_judged((*named, *carriers)) != judged:
            return None
        resolved = resolve(request, ResolutionInput(policies, settings, accounts, asserted, self._issuers))
        return self._within_limits(key, resolved, earliest()) if isinstance(resolved, ResolvedStatus) else resolved

    def _within_limits(self, key: Key, resolved: ResolvedStatus, earliest: datetime | None) -> Resolution | None:
        asked = self._asked_grants.get(key)
        if asked is None or earliest is None:
            return None
        subject_uid = str(resolved.status["subjectUID"])
        others = self._asked_grants.grants_of(key.namespace, asked.endpoint)
        over = exceeded(replace(asked, subject_uid=subject_uid), resolved.limits, others, earliest.timestamp())
        if over is not None:
            return OverLimit(over)
        # Another one that is judged before this status is written finds it here.
        self._asked_grants.resolved(key, subject_uid)
        return resolved

    def wait(self, work: WorkItem, endpoint: _Endpoint) -> None:
        """Remember that this waits for a change of the endpoint's policies."""
        self.forget(work)
        self._waiting.setdefault(endpoint, set()).add(work)
        self._endpoint_of[work] = endpoint

    def forget(self, work: WorkItem) -> None:
        """Wait no longer."""
        endpoint = self._endpoint_of.pop(work, None)
        if endpoint is not None:
            self._waiting[endpoint].discard(work)
            if not self._waiting[endpoint]:
                del self._waiting[endpoint]

    def waiting(self, endpoint: _Endpoint) -> tuple[WorkItem, ...]:
        """Return what waits for this endpoint."""
        return tuple(self._waiting.get(endpoint, ()))

    def _all_judged(self, keys: tuple[Key, ...]) -> dict[Key, _Known] | None:
        """Return what those of these policies that there are came to; None while one is not compiled."""
        found: dict[Key, _Known] = {}
        for key in keys:
            if (seen := self._policies.get(key)) is not None:
                judged = self._judged(seen.body)
                if judged is None:
                    return None
                found[key] = judged
        return found

    async def _extract(self, key: Key, request: Request, judged: _Known | None) -> _Policy | None:
        """Return a policy with the rules that a grant names of it, and nothing else."""
        seen = self._policies.get(key)
        if seen is None or judged is None:
            return None
        summary, excess = judged
        ref, endpoint = policy_ref(seen.body), endpointpolicy.endpoint_of(seen.body)
        if excess is not None or summary.problems:
            return BrokenPolicy(ref, endpoint, None, audit=False, withheld=excess is not None)
        rules = []
        if endpoint == request.endpoint:
            for name in dict.fromkeys(rule.rule for rule in request.rules if rule.policy == key.name):
                rules.append(gate_extract(seen.body, name, summary.digests))
                await asyncio.sleep(0)
        return CompiledPolicy(
            ref, endpoint, summary.digest or "", None, tuple(rule for rule in rules if rule is not None)
        )

    async def _uid(self, username: str) -> str | None:
        account = ServiceAccountName.parse(username)
        if account is None:
            return None
        answer = await self._kube.get(account.path)
        if answer.missing:
            return None
        if not answer.ok:
            message = f"service account {username} cannot be read: {answer.message}"
            raise RefusedError(message)
        found: Object = answer.body["metadata"]
        return str(found["uid"])


def _settings_of(carriers: tuple[Key, ...], judged: Mapping[Key, _Known]) -> SettingsMeaning | None:
    """Return what the settings in force make of an approval: where several policies carry some there are none."""
    known = judged.get(carriers[0]) if len(carriers) == 1 else None
    return None if known is None else known[0].meaning
