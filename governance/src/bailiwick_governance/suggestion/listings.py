"""Listings: which policies the decision point last had of each endpoint, and whether the files have the same.

Standing: over `policybook`, filled with the evidence. Holds: what is compared with the files alone is shown to be
narrower only where they are all that is in force; what was never listed, or cannot be read, is not known to be.
"""

from collections.abc import Mapping
from typing import Any

from bailiwick_engine.policy.snapshot import EndpointKey
from bailiwick_evidence.derive.texts import Listed, PolicyTexts
from bailiwick_governance.suggestion.policybook import PolicyBook


class PolicyListings:
    """Of each endpoint what the newest record of a log lists."""

    def __init__(self, texts: PolicyTexts, book: PolicyBook) -> None:
        self._texts = texts
        self._book = book
        self._newest: dict[EndpointKey, tuple[float, Listed | None, frozenset[str]]] = {}

    def add(self, record: Mapping[str, Any]) -> None:
        """Take a decision."""
        namespace, _, endpoint = record["endpoint"].partition("/")
        key, now = (namespace, endpoint), record["now"]
        if key not in self._newest or self._newest[key][0] <= now:
            digest, suspended = record.get("policies_digest"), record.get("suspended")
            listed = self._texts.find_list(digest) if isinstance(digest, str) else record.get("policies")
            off = frozenset(suspended if isinstance(suspended, list) else ())
            self._newest[key] = (now, listed if isinstance(listed, Mapping) else None, off)

    def unlike(self, endpoint: EndpointKey) -> str | None:
        """Return how the files differ from what was last listed of an endpoint; None: they do not."""
        _, listed, off = self._newest.get(endpoint, (0.0, None, frozenset[str]()))
        if listed is None:
            return "no record lists the policies of the endpoint"
        ours = {
            name.name: one.compiled
            for name, one in self._book.policies.items()
            if (name.namespace, one.compiled.endpoint) == endpoint and one.compiled.replaces is None
        }
        for name in sorted(listed.keys() | ours.keys()):
            policy = ours.get(name)
            if policy is None:
                return f"the files lack {endpoint[0]}/{name}, which was in force at the end of the log"
            if listed.get(name) != policy.digest:
                return f"{endpoint[0]}/{name} is not what was in force at the end of the log"
            if name in off and not any(rule.suspended for rule in policy.rules):
                return f"{endpoint[0]}/{name} was being deleted at the end of the log"
        return None
