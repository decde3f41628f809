"""AuthZEN 1.0, metadata of a decision point: where each of its APIs is (AuthZEN 1.0, "Policy Decision Point Metadata").

Holds: the same document for every well-formed name, whether such an endpoint exists or not, and to anybody: it says
nothing but what follows from the names, so that it reveals no endpoint, and a client can read it before it has a token.
URLs come from the setting, never from `Host`.
"""

import re
from typing import Any, Final

from bailiwick_api import signingkeys

# Names of namespaces and endpoints (RFC 1123 labels): nothing else can be one, nor get into a URL of ours.
_LABEL: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
CACHE_CONTROL: Final = "public, max-age=3600"
JWKS: Final = "/.well-known/jwks.json"
# Shorter than a new key is published before it signs.
JWKS_CACHE_CONTROL: Final = f"public, max-age={signingkeys.JWKS_MAX_AGE.total_seconds():.0f}"


def document(base: str, external_url: str) -> dict[str, Any]:
    """Return the metadata of the endpoint whose own URL is `base`, of the decision point at `external_url`."""
    apis = f"{base}/access/v1"
    return {
        "policy_decision_point": base,
        "access_evaluation_endpoint": f"{apis}/evaluation",
        "access_evaluations_endpoint": f"{apis}/evaluations",
        "search_subject_endpoint": f"{apis}/search/subject",
        "search_resource_endpoint": f"{apis}/search/resource",
        "search_action_endpoint": f"{apis}/search/action",
        "access_request_endpoint": f"{apis}/requests",
        "jwks_uri": f"{external_url}{JWKS}",
        "capabilities": ["urn:openid:authzen:capability:access-request"],
    }


def well_formed(*names: str) -> bool:
    """Tell whether these can be names of a namespace and of an endpoint."""
    return all(_LABEL.fullmatch(name) for name in names)
