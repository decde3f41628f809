"""What is shipped as the API server would have it, for tests without one.

Holds: a definition is served by its own names, as it is a moment after its creation.
"""

import copy
from collections.abc import Mapping
from typing import Any

from bailiwick_engine.approval import definitions
from support.objects import Object


def as_stored(document: Mapping[str, Any], uid: str) -> Object:
    """Return a shipped object with what the API server adds."""
    stored = copy.deepcopy(dict(document))
    stored["metadata"] = {**stored["metadata"], "uid": uid, "generation": 1, "resourceVersion": "1"}
    if stored["kind"] == definitions.KIND:
        stored["status"] = {
            "acceptedNames": copy.deepcopy(stored["spec"]["names"]),
            "conditions": [{"type": name, "status": "True"} for name in ("NamesAccepted", "Established")],
        }
    return stored
