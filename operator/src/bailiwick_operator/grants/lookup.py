"""Looks up what grants written by hand name, and remembers which of them wait for their endpoint's policies.

Holds: a policy is compiled only where a grant asks for it, and a few of those are kept; a service account is read from
the API server each time, since its uid is what the grant will be bound to.
"""

from collections.abc import Mapping
from typing import Final, Generic, TypeVar

from bailiwick_api.kinds.approvalgrant import Request
from bailiwick_api.serviceaccounts import ServiceAccountName
from bailiwick_api.usernames import UsernameTemplate
from bailiwick_engine.boundedcache import BoundedCache
from bailiwick_engine.compile.policies import compile_object
from bailiwick_engine.policy.model import BrokenPolicy, CompiledPolicy, CompiledSettings
from bailiwick_operator.kube import OperatorClient, RefusedError
from bailiwick_operator.loop.inventory import Inventory, Key, Object
from bailiwick_operator.reconcile import endpointpolicy
from bailiwick_operator.reconcile.resolution import Resolution, ResolutionInput, UnresolvedReason, accounts_of, resolve

W = TypeVar("W")
_Compiled = CompiledPolicy | BrokenPolicy
_Endpoint = tuple[str, str]

_KEPT: Final = 64


class Resolver(Generic[W]):
    """Resolves. Lives in the main loop; what waits for an endpoint is whatever the caller likes to call it."""

    def __init__(
        self, kube: OperatorClient, policies: Inventory, issuers: Mapping[str, UsernameTemplate] | None = None
    ) -> None:
        self._kube = kube
        self._issuers = issuers
        self._policies = policies
        self._compiled: BoundedCache[tuple[str, int], _Compiled] = BoundedCache(_KEPT)
        self._waiting: dict[_Endpoint, set[W]] = {}
        self._endpoint_of: dict[W, _Endpoint] = {}

    async def resolution(self, namespace: str, request: Request, carriers: tuple[Key, ...]) -> Resolution:
        """Return what the grant names. `carriers`: the policies that carry its endpoint's settings.

        Raises `UnreachableError`.
        """
        asserted = any(endpointpolicy.is_asserted(seen.body) for key in carriers if (seen := self._policies.get(key)))
        try:
            accounts = {name: await self._uid(name) for name in sorted(accounts_of(request, asserted=asserted))}
        except RefusedError as error:
            # Said where its author looks, and tried again as anything else that is not there yet.
            return UnresolvedReason(str(error))
        # After the last await, so that what is judged is what there is.
        policies = {ref.policy: self._policy(Key(namespace, ref.policy)) for ref in request.rules}
        settings = self._settings(carriers)
        return resolve(request, ResolutionInput(policies, settings, accounts, asserted, self._issuers))

    def wait(self, work: W, endpoint: _Endpoint) -> None:
        """Remember that this waits for a change of the endpoint's policies."""
        self.forget(work)
        self._waiting.setdefault(endpoint, set()).add(work)
        self._endpoint_of[work] = endpoint

    def forget(self, work: W) -> None:
        """Wait no longer."""
        endpoint = self._endpoint_of.pop(work, None)
        if endpoint is not None:
            self._waiting[endpoint].discard(work)
            if not self._waiting[endpoint]:
                del self._waiting[endpoint]

    def waiting(self, endpoint: _Endpoint) -> tuple[W, ...]:
        """Return what waits for this endpoint."""
        return tuple(self._waiting.get(endpoint, ()))

    def _settings(self, carriers: tuple[Key, ...]) -> CompiledSettings | None:
        """Return the settings in force: where several policies carry some there are none, and none is compiled."""
        policy = self._policy(carriers[0]) if len(carriers) == 1 else None
        return None if policy is None else policy.settings

    def _policy(self, key: Key) -> _Compiled | None:
        seen = self._policies.get(key)
        if seen is None:
            return None
        found = (seen.body["metadata"]["uid"], seen.body["metadata"]["generation"])
        compiled = self._compiled.get(found)
        if compiled is None:
            compiled = compile_object(seen.body)
            self._compiled.put(found, compiled)
        return compiled

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
