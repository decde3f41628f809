"""The webhook configuration by which the API server asks before it stores an `EndpointPolicy` or its data.

Holds: it is for policies and data alone, whole and never for their status, so that its outage blocks no review, no
revocation and nothing of the operator's; every field that the API server would default is written out, and `caBundle`
is not there: whoever holds the certificates writes it, and what stands here would be applied over it.
"""

from typing import Any, Final

from bailiwick_api.accounts import VALIDATING_CONFIGURATION, VALIDATING_WEBHOOK, Installation
from bailiwick_api.kinds.meta import ENDPOINT_DATA, ENDPOINT_POLICIES, GROUP

PATH: Final = "/admission/validate"
# Of the Service, and of the decision point itself: not the port of decisions, which anybody may reach.
PORT: Final = 9443
TIMEOUT_SECONDS: Final = 5
REVIEW_VERSION: Final = "v1"


def policies(installation: Installation) -> dict[str, Any]:
    """Return the ValidatingWebhookConfiguration. The Service has the name of the decision point's account."""
    service = {
        "namespace": installation.namespace,
        "name": installation.webhook_name,
        "path": PATH,
        "port": PORT,
    }
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": VALIDATING_CONFIGURATION},
        "webhooks": [
            {
                "name": VALIDATING_WEBHOOK,
                "clientConfig": {"service": service},
                "rules": [
                    {
                        "apiGroups": [GROUP],
                        # Whatever is served: of a version that the decision point does not know, it stores nothing.
                        "apiVersions": ["*"],
                        "operations": ["CREATE", "UPDATE"],
                        # Not endpointpolicies/status: the operator reports while the decision point is away.
                        "resources": [ENDPOINT_POLICIES, ENDPOINT_DATA],
                        "scope": "Namespaced",
                    }
                ],
                "matchPolicy": "Equivalent",
                "namespaceSelector": {},
                "objectSelector": {},
                "failurePolicy": "Fail",
                "sideEffects": "None",
                "timeoutSeconds": TIMEOUT_SECONDS,
                "admissionReviewVersions": [REVIEW_VERSION],
            }
        ],
    }
