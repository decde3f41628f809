"""Policy texts: from the digests that records name to compiled endpoints.

Standing: filled from the operator's ledger, or from whatever holds the canonical texts (`policydigest.policy_text`).
Holds: a text is taken only where it has the digest that it is given for; what was compiled once is kept.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import orjson

from bailiwick_engine.compile.policies import compile_object
from bailiwick_engine.policy.model import CompiledPolicy
from bailiwick_engine.policy.snapshot import CompiledEndpoint, endpoint_of
from bailiwick_evidence.derive.choices import Choices, Unknowns, standing_in, values_listed
from bailiwick_evidence.derive.derivation import Obstacle

Listed = Mapping[str, str | None]
"""Digests of an endpoint's policies by name; None for one that does not compile."""


_STAND_INS: Final = 256


class KnownEndpoint:
    """An endpoint whose policies' texts are known. `configured`: one of them has its settings."""

    def __init__(self, policies: Sequence[CompiledPolicy]) -> None:
        self.policies = tuple(policies)
        self._stand_ins: dict[Unknowns, tuple[CompiledEndpoint, Choices]] = {}
        self.compiled = endpoint_of(self.policies)
        self.configured = any(policy.settings is not None for policy in self.policies)

    def standing_in(self, unknown: Unknowns) -> tuple[CompiledEndpoint, Choices]:
        """Return the endpoint with choices in place of what is not known, and the choices."""
        found = self._stand_ins.get(unknown)
        if found is None:
            choices = Choices()
            listed = values_listed(self.policies, unknown.property_names())
            made = endpoint_of(standing_in(policy, unknown, choices, listed) for policy in self.policies)
            if len(self._stand_ins) >= _STAND_INS:
                self._stand_ins.clear()
            found = self._stand_ins[unknown] = (made, choices)
        found[1].reset()
        return found


class PolicyTexts:
    """Canonical texts by digest (`sha256:…`), and lists of policies by `policies_digest`."""

    def __init__(self, texts: Mapping[str, bytes] | None = None) -> None:
        self._texts = dict(texts or {})
        self._lists: dict[str, Listed] = {}
        self._policies: dict[tuple[str, str, str, bool], CompiledPolicy | Obstacle] = {}
        self._endpoints: dict[tuple[object, ...], KnownEndpoint | Obstacle] = {}

    def add(self, digest: str, text: bytes) -> None:
        """Add a text."""
        self._texts.setdefault(digest, text)

    def add_list(self, line: Mapping[str, Any]) -> None:
        """Add what a line of the kind `policies` lists; one that does not have its digest is not taken."""
        digest, listed = line.get("policies_digest"), line.get("policies")
        if isinstance(digest, str) and isinstance(listed, dict):
            made = "sha256:" + hashlib.sha256(orjson.dumps(dict(sorted(listed.items())))).hexdigest()
            if made == digest:
                self._lists[digest] = listed

    def listed(self, digest: str) -> Listed | None:
        """Return the list of policies that has this digest."""
        return self._lists.get(digest)

    def endpoint(self, namespace: str, name: str, listed: Listed, suspended: Iterable[str]) -> KnownEndpoint | Obstacle:
        """Return an endpoint as these policies make it; those without a digest are left out."""
        off = frozenset(suspended)
        key = (namespace, name, tuple(sorted((one, digest or "") for one, digest in listed.items())), off)
        found = self._endpoints.get(key)
        if found is None:
            found = self._endpoints[key] = self._built(namespace, name, listed, off)
        return found

    def _built(self, namespace: str, name: str, listed: Listed, off: frozenset[str]) -> KnownEndpoint | Obstacle:
        policies: list[CompiledPolicy] = []
        for policy, digest in sorted(listed.items()):
            if digest is None:
                continue
            made = self._compiled(namespace, policy, digest, off=policy in off)
            if isinstance(made, Obstacle):
                return made
            if made.endpoint != name:
                return Obstacle.POLICY_ELSEWHERE
            policies.append(made)
        return KnownEndpoint(policies)

    def _compiled(self, namespace: str, name: str, digest: str, *, off: bool) -> CompiledPolicy | Obstacle:
        key = (namespace, name, digest, off)
        found = self._policies.get(key)
        if found is None:
            found = self._policies[key] = self._compile(namespace, name, digest, off=off)
        return found

    def _compile(self, namespace: str, name: str, digest: str, *, off: bool) -> CompiledPolicy | Obstacle:
        text = self._texts.get(digest)
        if text is None:
            return Obstacle.POLICY_TEXT_MISSING
        if "sha256:" + hashlib.sha256(text).hexdigest() != digest:
            return Obstacle.POLICY_TEXT_WRONG
        # No record has the uids of all policies, and no verdict hangs on them but through grants.
        metadata = {"namespace": namespace, "name": name, "uid": name}
        if off:
            # As it is where a policy is suspended in its text: one that goes is as good as that.
            metadata["deletionTimestamp"] = "gone"
        made = compile_object({"metadata": metadata, "spec": json.loads(text)})
        # The engine that wrote the digest could compile it.
        return made if isinstance(made, CompiledPolicy) else Obstacle.ENGINE_VERSION_UNKNOWN
