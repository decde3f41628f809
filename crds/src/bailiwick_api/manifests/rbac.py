"""The permissions of the two service accounts, and narrow roles for people. `generate` writes them to `crds/rbac/`.

Holds: neither account has the verbs approve, revoke or (outside its own namespace) request. No role here aggregates
into admin or edit, because `*` on endpointpolicies would include `approve`.
"""

from typing import Any

from bailiwick_api.accounts import (
    CA_CONFIG_MAP,
    CA_SECRET,
    CANARY_GRANT,
    GUARD_CONFIG_MAP,
    NOTIFICATIONS_SECRET,
    OPERATOR_LEASE,
    REVIEWERS_CONFIG_MAP,
    SERVING_SECRET,
    SIGNING_KEYS_SECRET,
    SIGNING_KEYS_TYPE,
    TRUST_BUNDLE,
    TRUST_SIGNER,
    VALIDATING_CONFIGURATION,
    WITNESS_CONFIG_MAP,
    WITNESS_MONTHS,
    WITNESS_SECRET,
    Installation,
)
from bailiwick_api.kinds.meta import (
    APPROVAL_GRANTS,
    ENDPOINT_DATA,
    ENDPOINT_HISTORIES,
    ENDPOINT_POLICIES,
    GROUP,
    SUBJECT_REVOCATIONS,
)
from bailiwick_api.manifests.crds import OUR_CRDS
from bailiwick_api.manifests.definitionguard import APIEXTENSIONS_GROUP, CANARY_DEFINITION, DEFINITIONS_RESOURCE
from bailiwick_api.manifests.keep import KEEP_PROBE

_ADMISSION = "admissionregistration.k8s.io"
_CERTIFICATES = "certificates.k8s.io"
_RBAC = "rbac.authorization.k8s.io"
_READ = ["get", "list", "watch"]


def accounts(installation: Installation) -> list[dict[str, Any]]:
    """Return the namespace, the two service accounts, and the objects that others fill: Secrets, ConfigMaps.

    Neither account mounts a token unless the pod asks for it. The Secrets are manifests and not created by the
    operator, since RBAC cannot restrict `create` to a name or a type: an account with `create` could make a token of
    any account of the namespace. They have no `data`, so that applying them again removes nothing. The ConfigMap of
    the witness is a manifest too, so that a missing one was deleted. Registrars fill that of the reviewers' keys: what
    is in it counts by their signatures alone, so it does not matter who can write it.
    """
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": installation.namespace}},
        *(
            {
                "apiVersion": "v1",
                "kind": "ServiceAccount",
                "metadata": {"name": name, "namespace": installation.namespace},
                "automountServiceAccountToken": False,
            }
            for name in (installation.webhook_name, installation.operator_name)
        ),
        *(
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": name, "namespace": installation.namespace},
                "type": SIGNING_KEYS_TYPE,
            }
            for name in (SIGNING_KEYS_SECRET, CA_SECRET, SERVING_SECRET, WITNESS_SECRET)
        ),
        *(
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": name, "namespace": installation.namespace},
            }
            for name in (WITNESS_CONFIG_MAP, REVIEWERS_CONFIG_MAP)
        ),
    ]


def webhook(installation: Installation) -> list[dict[str, Any]]:
    """Return the decision point's roles: read the kinds and the guard, write grants, uses and histories, review tokens.

    `get pods` is for the whole cluster, since callers can run in every namespace. Without list and watch, the decision
    point can only read a pod whose name is in a token.
    """
    name = installation.webhook_name
    return [
        *_cluster_role(
            installation,
            name,
            [
                _rule(GROUP, [ENDPOINT_POLICIES, ENDPOINT_DATA, SUBJECT_REVOCATIONS], _READ),
                # It patches only to withdraw what it opened; the guard refuses every other patch.
                _rule(GROUP, [APPROVAL_GRANTS], [*_READ, "create", "patch"]),
                _rule(GROUP, [f"{APPROVAL_GRANTS}/status"], ["update"]),
                # It reads the history of a key by its name. No process holds them all, so it neither lists nor watches.
                _rule(GROUP, [ENDPOINT_HISTORIES], ["get", "create", "update"]),
                *_guard_reading(),
                _rule("authentication.k8s.io", ["tokenreviews"], ["create"]),
                # To explain a decision only to accounts that can read the policies.
                _rule("authorization.k8s.io", ["subjectaccessreviews"], ["create"]),
                _rule("", ["pods"], ["get"]),
                # Bound to every service account by default (system:service-account-issuer-discovery), but some
                # installations remove that binding.
                {"nonResourceURLs": ["/.well-known/openid-configuration", "/openid/v1/jwks"], "verbs": ["get"]},
            ],
        ),
        *_role(
            installation,
            name,
            [
                _rule("", ["configmaps"], _READ, [GUARD_CONFIG_MAP, REVIEWERS_CONFIG_MAP]),
                _rule("", ["secrets"], _READ, [SIGNING_KEYS_SECRET]),
            ],
        ),
    ]


def operator(installation: Installation) -> list[dict[str, Any]]:
    """Return the operator's roles: status, events, retention, accounts that grants name, the webhook's caBundle.

    In its own namespace: lease, proof, keys, certificates, canary, the memory of the witness.
    """
    name = installation.operator_name
    return [
        *_cluster_role(
            installation,
            name,
            [
                _rule(GROUP, [ENDPOINT_POLICIES, ENDPOINT_DATA], _READ),
                _rule(GROUP, [f"{ENDPOINT_POLICIES}/status", f"{ENDPOINT_DATA}/status"], ["patch"]),
                # It deletes for retention; the guard lets it delete only grants that have ended.
                _rule(GROUP, [APPROVAL_GRANTS], [*_READ, "delete"]),
                _rule(GROUP, [f"{APPROVAL_GRANTS}/status"], ["patch"]),
                # It deletes those whose time is over. Events of issuers make it create and update others.
                _rule(GROUP, [SUBJECT_REVOCATIONS], [*_READ, "create", "update", "delete"]),
                # It lists metadata alone, and deletes what counts no more.
                _rule(GROUP, [ENDPOINT_HISTORIES], ["get", "list", "delete"]),
                # To read the uid of the account that a grant written by hand names. It cannot list accounts.
                _rule("", ["serviceaccounts"], ["get"]),
                _rule("events.k8s.io", ["events"], ["create"]),
                # To write its caBundle. There is no `create`, so the operator's apply cannot restore a deleted one.
                _rule(_ADMISSION, ["validatingwebhookconfigurations"], ["get", "patch"], [VALIDATING_CONFIGURATION]),
                *_guard_reading(),
                # To ask each API server whether it keeps the guards: where they are, and the dry run that they refuse.
                # RBAC ties a create to a name where it is by server-side apply, and nothing else creates by this rule.
                _rule("discovery.k8s.io", ["endpointslices"], ["get"], ["kubernetes"]),
                _rule(_ADMISSION, ["validatingadmissionpolicybindings"], ["create", "patch"], [KEEP_PROBE]),
                # The dry run against the guard of definitions, which refuses this one to every account.
                _rule(APIEXTENSIONS_GROUP, [DEFINITIONS_RESOURCE], ["create", "patch"], [CANARY_DEFINITION]),
                # What callers trust, for pods of every namespace. The API server checks `attest` of who writes one.
                _rule(_CERTIFICATES, ["clustertrustbundles"], ["get", "create", "patch"], [TRUST_BUNDLE]),
                _rule(_CERTIFICATES, ["signers"], ["attest"], [TRUST_SIGNER]),
            ],
        ),
        *_role(
            installation,
            name,
            [
                _rule("coordination.k8s.io", ["leases"], ["create"]),
                _rule("coordination.k8s.io", ["leases"], ["get", "update"], [OPERATOR_LEASE]),
                _rule("", ["configmaps"], ["create"]),
                _rule("", ["configmaps"], ["get", "update"], [GUARD_CONFIG_MAP, CA_CONFIG_MAP]),
                _rule("", ["configmaps"], ["get"], [REVIEWERS_CONFIG_MAP]),
                # The memory of the witness. The decision point, which writes the log, must not write it.
                _rule("", ["configmaps"], ["get", "update"], [WITNESS_CONFIG_MAP, *WITNESS_MONTHS]),
                # No `create` (see `accounts`), and an update cannot change a Secret's type.
                _rule("", ["secrets"], ["get", "update"], [SIGNING_KEYS_SECRET, WITNESS_SECRET]),
                # A rule of its own: if another issuer provides the certificate, the chart keeps only `get` here.
                _rule("", ["secrets"], ["get", "update"], [CA_SECRET, SERVING_SECRET]),
                # The canary grant and the dry runs against it: RBAC must let them through for the guard to refuse them.
                _rule(GROUP, [APPROVAL_GRANTS], ["create"]),
                _rule(GROUP, [APPROVAL_GRANTS], ["patch"], [CANARY_GRANT]),
                _rule(GROUP, [ENDPOINT_POLICIES], ["request"], [CANARY_GRANT]),
                # The dry runs against the guards of histories. No guard lets it create one.
                _rule(GROUP, [ENDPOINT_HISTORIES], ["create"]),
                # To find the decision point's processes, and ask them which policies they serve.
                _rule("discovery.k8s.io", ["endpointslices"], ["list"]),
            ],
        ),
    ]


def coverage(installation: Installation) -> list[dict[str, Any]]:
    """Return the role by which the operator counts the findings of coverage, and its binding.

    It lists and does nothing else, and it lists no Secrets and no ConfigMaps. An installation that does not count
    coverage has none of these rights.
    """
    read = ["list"]
    return _cluster_role(
        installation,
        installation.operator_name,
        [
            _rule("", ["namespaces", "pods", "serviceaccounts", "services"], read),
            _rule("discovery.k8s.io", ["endpointslices"], read),
            _rule("networking.k8s.io", ["ingresses", "networkpolicies"], read),
            _rule("gateway.networking.k8s.io", ["grpcroutes", "httproutes"], read),
            _rule(
                "policy.networking.k8s.io",
                ["adminnetworkpolicies", "baselineadminnetworkpolicies", "clusternetworkpolicies"],
                read,
            ),
            _rule(_RBAC, ["clusterrolebindings", "clusterroles", "rolebindings", "roles"], read),
        ],
        role=f"{installation.operator_name}-coverage",
    )


def people() -> list[dict[str, Any]]:
    """Return the roles that an administrator binds, in a namespace, to people and groups."""
    return [
        # Subject revocations have no namespace: to read them, bind the role in the whole cluster.
        _bare_role(
            "bailiwick-view",
            [_rule(GROUP, [ENDPOINT_POLICIES, APPROVAL_GRANTS, ENDPOINT_DATA, SUBJECT_REVOCATIONS], _READ)],
        ),
        _bare_role(
            "bailiwick-edit",
            [
                _rule(GROUP, [ENDPOINT_POLICIES, ENDPOINT_DATA], [*_READ, "create", "update", "patch", "delete"]),
                _rule(GROUP, [APPROVAL_GRANTS], _READ),
            ],
        ),
        # Without create and delete, which RBAC cannot tie to a name: bound with a name, or copied with resourceNames,
        # it lets an incident tool write its own object and no policy.
        _bare_role("bailiwick-data", [_rule(GROUP, [ENDPOINT_DATA], [*_READ, "update", "patch"])]),
        _bare_role(
            "bailiwick-request",
            [
                _rule(GROUP, [ENDPOINT_POLICIES], ["request"]),
                _rule(GROUP, [APPROVAL_GRANTS], [*_READ, "create", "patch"]),
            ],
        ),
        _bare_role(
            "bailiwick-approve",
            [
                _rule(GROUP, [ENDPOINT_POLICIES], ["approve", "revoke"]),
                _rule(GROUP, [APPROVAL_GRANTS], [*_READ, "patch"]),
            ],
        ),
        # `create` alone: who takes a subject back cannot give it back. Bind it in the whole cluster.
        _bare_role("bailiwick-take-back", [_rule(GROUP, [SUBJECT_REVOCATIONS], ["create"])]),
    ]


def notifications() -> list[dict[str, Any]]:
    """Return the role to read a namespace's targets of notifications. No account has it until you bind it.

    It allows only `get`, on one Secret by name: no list of Secrets, and no Secret that has another purpose.
    """
    return [_bare_role(NOTIFICATIONS_SECRET, [_rule("", ["secrets"], ["get"], [NOTIFICATIONS_SECRET])])]


def _guard_reading() -> list[dict[str, Any]]:
    return [
        _rule(_ADMISSION, ["validatingadmissionpolicies", "validatingadmissionpolicybindings"], _READ),
        _rule(APIEXTENSIONS_GROUP, [DEFINITIONS_RESOURCE], ["get"], [*OUR_CRDS]),
        # Whether the group has another definition, which could reach the objects of ours. Read as metadata alone.
        _rule(APIEXTENSIONS_GROUP, [DEFINITIONS_RESOURCE], ["list", "watch"]),
        # Whether the API server serves these groups itself. Not by name: the APIService of a version can have any name.
        _rule("apiregistration.k8s.io", ["apiservices"], _READ),
    ]


def _rule(group: str, resources: list[str], verbs: list[str], names: list[str] | None = None) -> dict[str, Any]:
    rule: dict[str, Any] = {"apiGroups": [group], "resources": resources, "verbs": verbs}
    return rule | {"resourceNames": names} if names else rule


def _bare_role(name: str, rules: list[dict[str, Any]]) -> dict[str, Any]:
    return {"apiVersion": f"{_RBAC}/v1", "kind": "ClusterRole", "metadata": {"name": name}, "rules": rules}


def _cluster_role(
    installation: Installation, name: str, rules: list[dict[str, Any]], role: str | None = None
) -> list[dict[str, Any]]:
    """Return a role of an account, and its binding. `role` None: both have the name of the account."""
    role = role or name
    return [
        _bare_role(role, rules),
        {
            "apiVersion": f"{_RBAC}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": role},
            "roleRef": {"apiGroup": _RBAC, "kind": "ClusterRole", "name": role},
            "subjects": [_account(installation, name)],
        },
    ]


def _role(installation: Installation, name: str, rules: list[dict[str, Any]]) -> list[dict[str, Any]]:
    metadata = {"name": name, "namespace": installation.namespace}
    return [
        {"apiVersion": f"{_RBAC}/v1", "kind": "Role", "metadata": metadata, "rules": rules},
        {
            "apiVersion": f"{_RBAC}/v1",
            "kind": "RoleBinding",
            "metadata": metadata,
            "roleRef": {"apiGroup": _RBAC, "kind": "Role", "name": name},
            "subjects": [_account(installation, name)],
        },
    ]


def _account(installation: Installation, name: str) -> dict[str, Any]:
    return {"kind": "ServiceAccount", "name": name, "namespace": installation.namespace}
