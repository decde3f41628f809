"""The two service accounts of an installation, as guards, RBAC and both processes know them.

Holds: the account names are parameters of an installation; every expression that names one takes it from here.
"""

from dataclasses import dataclass
from typing import Final

from bailiwick_api.serviceaccounts import ServiceAccountName

GUARD_CONFIG_MAP: Final = "bailiwick-guard"
SIGNING_KEYS_SECRET: Final = "bailiwick-keys"  # noqa: S105 - a name
SIGNING_KEYS_TYPE: Final = "Opaque"
SIGNING_KEYS_MANIFEST: Final = "crds/rbac/accounts.yaml"
"""Where the Secret comes from, for those who are told that it is not there; those of certificates too."""
SERVING_SECRET: Final = "bailiwick-serving"  # noqa: S105 - a name
"""The decision point's certificate, its key and what to trust: `tls.crt`, `tls.key`, `ca.crt`."""
CA_SECRET: Final = "bailiwick-ca"  # noqa: S105 - a name
"""The certificate authorities with their keys; for the operator alone."""
CA_CONFIG_MAP: Final = "bailiwick-ca"
CA_ENTRY: Final = "ca.crt"
"""What callers of the decision point trust, in the ConfigMap and in the Secret of the certificate."""
CERTIFICATE_ENTRY: Final = "tls.crt"
CERTIFICATE_KEY_ENTRY: Final = "tls.key"
WITNESS_SECRET: Final = "bailiwick-witness"  # noqa: S105 - a name
"""The keys that the witness of the decision log cosigns by; for the operator alone."""
WITNESS_CONFIG_MAP: Final = "bailiwick-witness"
"""The newest cosigned checkpoint of each log, by the id of its chain."""
WITNESS_MONTHS: Final = tuple(f"{WITNESS_CONFIG_MAP}-{month:02}" for month in range(1, 13))
"""The same of logs that are over, by the month in which they were put away. RBAC cannot name what is not known."""
WITNESS_KEYS_ENTRY: Final = "witness.vkey"
"""What verifies the cosignatures: a `vkey` of C2SP signed notes on each line."""
WITNESS_MONTH_ENTRY: Final = "month"
"""Of which year the ConfigMap of a month is: `2026-11`."""
NOTIFICATIONS_SECRET: Final = "bailiwick-notifications"  # noqa: S105 - a name
"""The targets of notifications: of a namespace by this name, of the installation usually."""
VALIDATING_CONFIGURATION: Final = "bailiwick-endpointpolicies"
VALIDATING_WEBHOOK: Final = "endpointpolicies.bailiwick.dev"
CANARY_GRANT: Final = "bailiwick-canary"
OPERATOR_LEASE: Final = "bailiwick-operator"
ENFORCER_AUDIENCE: Final = "bailiwick"


@dataclass(frozen=True, slots=True)
class Installation:
    """Where Bailiwick is installed and as whom it runs.

    `human_username_prefixes` says which usernames are people; empty: whatever does not begin with `system:`.
    """

    namespace: str = "bailiwick-system"
    webhook_name: str = "bailiwick-webhook"
    operator_name: str = "bailiwick-operator"
    human_username_prefixes: tuple[str, ...] = ()

    @property
    def webhook(self) -> str:
        """The decision point's username at the API server."""
        return ServiceAccountName(self.namespace, self.webhook_name).username

    @property
    def operator(self) -> str:
        """The operator's username at the API server."""
        return ServiceAccountName(self.namespace, self.operator_name).username

    def is_person(self, username: str) -> bool:
        """Tell whether a username is a person's, by the same rule as the review guard."""
        if username.startswith("system:"):
            return False
        return not self.human_username_prefixes or username.startswith(self.human_username_prefixes)
