"""The two service accounts of an installation, for guards, RBAC and both processes.

Holds: the account names are parameters of an installation; every expression that names one takes the name from here.
"""

from dataclasses import dataclass
from typing import Final

from bailiwick_api.serviceaccounts import ServiceAccountName
from bailiwick_api.usernames import is_reserved

GUARD_CONFIG_MAP: Final = "bailiwick-guard"
KEEP_ENTRY: Final = "keep"
"""How many API servers keep the guards from their own disk, of how many, in the ConfigMap of the guard: `3/3`."""
SIGNING_KEYS_SECRET: Final = "bailiwick-keys"  # noqa: S105 - a name
SIGNING_KEYS_TYPE: Final = "Opaque"
SIGNING_KEYS_MANIFEST: Final = "crds/rbac/accounts.yaml"
"""Where the Secret comes from, for messages about a missing one; the Secrets of certificates too."""
SERVING_SECRET: Final = "bailiwick-serving"  # noqa: S105 - a name
"""The decision point's certificate, its key and its authorities: `tls.crt`, `tls.key`, `ca.crt`."""
CA_SECRET: Final = "bailiwick-ca"  # noqa: S105 - a name
"""The certificate authorities with their keys; only the operator reads it."""
CA_CONFIG_MAP: Final = "bailiwick-ca"
CA_ENTRY: Final = "ca.crt"
"""What callers of the decision point trust, in the ConfigMap and in the Secret of the certificate."""
TRUST_SIGNER: Final = "bailiwick.dev/serving"
TRUST_BUNDLE: Final = "bailiwick.dev:serving:ca"
"""The ClusterTrustBundle with the same certificates, which a pod of any namespace can mount."""
CERTIFICATE_ENTRY: Final = "tls.crt"
CERTIFICATE_KEY_ENTRY: Final = "tls.key"
WITNESS_SECRET: Final = "bailiwick-witness"  # noqa: S105 - a name
"""The keys with which the witness of the decision log cosigns; only the operator reads it."""
WITNESS_CONFIG_MAP: Final = "bailiwick-witness"
"""The newest cosigned checkpoint of each log, by the id of its chain."""
WITNESS_MONTHS: Final = tuple(f"{WITNESS_CONFIG_MAP}-{month:02}" for month in range(1, 13))
"""The same for logs that have ended, by the month in which they were archived. Their names are fixed, for RBAC."""
WITNESS_KEYS_ENTRY: Final = "witness.vkey"
"""What verifies the cosignatures: a `vkey` of C2SP signed notes on each line."""
WITNESS_MONTH_ENTRY: Final = "month"
"""The year and month of such a ConfigMap: `2026-11`."""
REVIEWERS_CONFIG_MAP: Final = "bailiwick-reviewers"
"""The keys of reviewers, and the signatures of registrars over them. Registrars apply it."""
REVIEWERS_SERIAL_ENTRY: Final = "reviewers-serial"
"""Serial and digest of the newest file of reviewers' keys, beside the proof of the guards."""
NOTIFICATIONS_SECRET: Final = "bailiwick-notifications"  # noqa: S105 - a name
"""The targets of notifications. A namespace's Secret has this name, and usually the installation's too."""
VALIDATING_CONFIGURATION: Final = "bailiwick-endpointpolicies"
VALIDATING_WEBHOOK: Final = "endpointpolicies.bailiwick.dev"
CANARY_GRANT: Final = "bailiwick-canary"
CANARY_HISTORY: Final = "bailiwick-canary"
"""Its creation is only ever a dry run, which the guards refuse."""
OPERATOR_LEASE: Final = "bailiwick-operator"
ENFORCER_AUDIENCE: Final = "bailiwick"
CLUSTER_NAME: Final = "^[A-Za-z0-9]([-._A-Za-z0-9]{0,251}[A-Za-z0-9])?$"
"""What a cluster may be called, for people who have several: no text of it needs an escape anywhere."""


@dataclass(frozen=True, slots=True)
class Installation:
    """Where Bailiwick is installed and as whom it runs.

    Usernames that begin with one of `human_username_prefixes` are people. Empty: every username that does not begin
    with `system:`.
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
        if is_reserved(username):
            return False
        return not self.human_username_prefixes or username.startswith(self.human_username_prefixes)
