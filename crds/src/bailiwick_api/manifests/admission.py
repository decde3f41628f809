"""The webhook configuration with which the API server calls us before it stores an `EndpointPolicy` or its data.

Holds: it covers only policies and data, and never their status, so that its outage blocks no review, no revocation and
no write of the operator. Every field that the API server would default is written out. `caBundle` is absent: the holder
of the certificates writes it, and a value here would overwrite that one with each apply.
"""

from typing import Any, Final

from bailiwick_api.accounts import VALIDATING_CONFIGURATION, VALIDATING_WEBHOOK, Installation
from bailiwick_api.kinds.meta import ENDPOINT_DATA, ENDPOINT_POLICIES, GROUP

PATH: Final = "/admission/validate"
# The port of the Service and of the decision point. It is not the port of decisions, which every pod may reach.
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
                        # All served versions: the API server stores no version that the decision point does not know.
                        "apiVersions": ["*"],
                        "operations": ["CREATE", "UPDATE"],
                        # Not endpointpolicies/status: the operator also reports while the decision point is down.
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
