"""Policy texts: compiled endpoints for the digests in records.

Standing: filled from the operator's ledger, or from another source of canonical texts (`policydigest.policy_text`).
Holds: a text is accepted only if it has the digest for which it is given; each text is compiled once.
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
from bailiwick_evidence.jsondepth import is_shallow

Listed = Mapping[str, str | None]
"""Digests of an endpoint's policies by name; None for one that does not compile."""


_STAND_INS: Final = 256


class KnownEndpoint:
    """An endpoint whose policies' texts are known. `configured`: one of the policies has its settings."""

    def __init__(self, policies: Sequence[CompiledPolicy]) -> None:
        self.policies = tuple(policies)
        self._stand_ins: dict[Unknowns, tuple[CompiledEndpoint, Choices]] = {}
        self.compiled = endpoint_of(self.policies)
        self.configured = any(policy.settings is not None for policy in self.policies)

    def standing_in(self, unknown: Unknowns) -> tuple[CompiledEndpoint, Choices]:
        """Return the endpoint with choices in place of unknown values, and the choices."""
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
        """Add the list in a line of the kind `policies`.

        One that does not have its digest, or not digests alone, is ignored: a record that names it is not derivable.
        """
        digest, listed = line.get("policies_digest"), line.get("policies")
        if not isinstance(listed, dict) or not all(isinstance(one, str | None) for one in listed.values()):
            return
        if isinstance(digest, str):
            made = "sha256:" + hashlib.sha256(orjson.dumps(dict(sorted(listed.items())))).hexdigest()
            if made == digest:
                self._lists[digest] = listed

    def find_list(self, digest: str) -> Listed | None:
        """Return the list of policies with this digest."""
        return self._lists.get(digest)

    def endpoint(self, namespace: str, name: str, listed: Listed, suspended: Iterable[str]) -> KnownEndpoint | Obstacle:
        """Return the endpoint of these policies; a policy without a digest is left out."""
        off = frozenset(suspended)
        key = (namespace, name, tuple(sorted((one, digest or "") for one, digest in listed.items())), off)
        found = self._endpoints.get(key)
        if found is None:
            found = self._endpoints[key] = self._build(namespace, name, listed, off)
        return found

    def _build(self, namespace: str, name: str, listed: Listed, off: frozenset[str]) -> KnownEndpoint | Obstacle:
        policies: list[CompiledPolicy] = []
        for policy, digest in sorted(listed.items()):
            if digest is None:
                continue
            made = self._find_compiled(namespace, policy, digest, off=policy in off)
            if isinstance(made, Obstacle):
                return made
            if made.endpoint != name:
                return Obstacle.POLICY_ELSEWHERE
            policies.append(made)
        return KnownEndpoint(policies)

    def _find_compiled(self, namespace: str, name: str, digest: str, *, off: bool) -> CompiledPolicy | Obstacle:
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
        # No record has the uids of all policies, and a verdict depends on them only through grants.
        metadata = {"namespace": namespace, "name": name, "uid": name}
        if off:
            # As if the policy were suspended in its text: a policy that is being deleted has the same effect.
            metadata["deletionTimestamp"] = "gone"
        try:
            spec = json.loads(text)
        except (ValueError, RecursionError):
            spec = None
        # Anyone can write a text and its digest.
        made = compile_object({"metadata": metadata, "spec": spec if is_shallow(spec) else None})
        # The engine that wrote the digest could compile it.
        return made if isinstance(made, CompiledPolicy) else Obstacle.ENGINE_VERSION_UNKNOWN
