"""The policies in force, as files have them: each with its text and what it compiled to.

Standing: under all else here. Holds: policies of which one cannot be read are none.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final, NamedTuple

from bailiwick_api.kinds.endpointpolicy import EndpointPolicySpec
from bailiwick_engine.compile.assembly import assemble
from bailiwick_engine.compile.manifests import ManifestEntry
from bailiwick_engine.compile.policies import compile_object, parse_spec
from bailiwick_engine.keys import Key
from bailiwick_engine.policy.dimensions.subject import keys_of
from bailiwick_engine.policy.model import CompiledPolicy, CompiledRule
from bailiwick_engine.policy.snapshot import EndpointKey, Snapshot
from bailiwick_engine.steps import whole
from bailiwick_governance.errors import UserError
from bailiwick_governance.sources.policysides import Named, read_sides

Object = dict[str, Any]


class PolicyName(NamedTuple):
    """Of a policy."""

    namespace: str
    name: str

    def __str__(self) -> str:
        """Return `namespace/name`."""
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True)
class PolicyInForce:
    """One policy. `raw` is its spec as it is written."""

    name: PolicyName
    raw: Object
    spec: EndpointPolicySpec
    compiled: CompiledPolicy

    @cached_property
    def rules(self) -> Mapping[str, tuple[int, CompiledRule]]:
        """The rules by name, with where they stand in the list."""
        return {rule.name: (at, rule) for at, rule in enumerate(self.compiled.rules)}

    @cached_property
    def keys(self) -> Mapping[str, frozenset[Key]]:
        """The keys of each subject, by the name that rules use."""
        return {one.name: keys_of(one) for one in self.spec.subjects}


class PolicyBook:
    """All policies of some files. `entries`: as they were read."""

    def __init__(self, files: Named) -> None:
        _, side = read_sides((), files)
        if not side.entries:
            raise UserError("the files have no EndpointPolicy: there is nothing to narrow")
        side.refuse_broken("files", "narrowed")
        self._entries: Final = {PolicyName(one.ref.namespace, one.ref.name): one for one in side.entries}
        self._data: Final = side.data
        self.policies: Final = dict(_read_policies(self._entries.items()))
        self._bases: dict[frozenset[EndpointKey], Snapshot] = {}

    def sides(self, specs: Mapping[PolicyName, Object]) -> tuple[Snapshot, Snapshot] | str:
        """Return the endpoints that these policies are of, as they are and with these specs; or what is wrong."""
        endpoints = frozenset((name.namespace, self.policies[name].compiled.endpoint) for name in specs)
        base = self._bases.get(endpoints)
        if base is None:
            made = self._snapshot(endpoints, {})
            if isinstance(made, str):
                return made
            base = self._bases[endpoints] = made
        head = self._snapshot(endpoints, specs)
        return head if isinstance(head, str) else (base, head)

    def _snapshot(self, endpoints: frozenset[EndpointKey], specs: Mapping[PolicyName, Object]) -> Snapshot | str:
        entries: list[ManifestEntry] = []
        for name, entry in self._entries.items():
            policy = entry.policy
            if not isinstance(policy, CompiledPolicy) or (name.namespace, policy.endpoint) not in endpoints:
                continue
            spec = specs.get(name)
            if spec is not None and spec is not entry.spec:
                ref = entry.ref
                metadata = {"namespace": ref.namespace, "name": ref.name, "uid": ref.uid, "generation": ref.generation}
                made = compile_object({"metadata": metadata, "spec": spec})
                if not isinstance(made, CompiledPolicy):
                    return f"{name} would not compile"
                entries.append(replace(entry, policy=made, spec=spec))
            else:
                entries.append(entry)
        return whole(assemble(entries, "", self._data))[0]


def _read_policies(entries: Iterable[tuple[PolicyName, ManifestEntry]]) -> Iterable[tuple[PolicyName, PolicyInForce]]:
    for name, entry in entries:
        spec = parse_spec(entry.spec)
        if isinstance(entry.policy, CompiledPolicy) and isinstance(entry.spec, dict) and not isinstance(spec, tuple):
            yield name, PolicyInForce(name, entry.spec, spec, entry.policy)
