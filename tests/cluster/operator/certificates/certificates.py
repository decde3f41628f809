"""The serving certificate, its authorities and what is published of them, as an administrator sees and breaks it."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from bailiwick_api.accounts import (
    CA_SECRET,
    SERVING_SECRET,
    TRUST_BUNDLE,
    VALIDATING_CONFIGURATION,
    VALIDATING_WEBHOOK,
    Installation,
)
from bailiwick_api.manifests import rbac
from bailiwick_operator.certificates import authorities, issuer
from bailiwick_operator.certificates.issuer import CertificateIssuer
from bailiwick_operator.reconcile.certificates import Authority, Leaf, Terms
from localcluster.rest import Answer
from support.callers import Callers
from support.installation import accepted, apply
from support.objects import Object
from support.waits import until

CONFIGURATIONS = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"


@dataclass(frozen=True, slots=True)
class Seen:
    """Everything at one moment, read in the order in which a client meets it: the certificate last."""

    trusted: frozenset[str]
    ca_bundle: frozenset[str] | None
    authorities: tuple[Authority, ...]
    leaf: Leaf


class Certificates:
    """One installation's."""

    def __init__(self, callers: Callers, installed: Installation) -> None:
        self._admin = callers.admin
        self._installed = installed
        home = f"/api/v1/namespaces/{installed.namespace}"
        self.serving = f"{home}/secrets/{SERVING_SECRET}"
        self.ca = f"{home}/secrets/{CA_SECRET}"
        self.config_map = f"{home}/configmaps/bailiwick-ca"
        self.configuration = f"{CONFIGURATIONS}/{VALIDATING_CONFIGURATION}"

    def body(self, path: str) -> dict[str, Any]:
        found: dict[str, Any] = accepted(self._admin.get(path))
        return found

    def answer(self, path: str) -> Answer:
        return self._admin.get(path)

    def entry(self, path: str, name: str) -> str:
        return base64.b64decode((self.body(path).get("data") or {}).get(name, "")).decode()

    def texts(self, path: str, names: Sequence[str]) -> dict[str, str]:
        """Return several entries of one moment."""
        data = self.body(path).get("data") or {}
        return {name: base64.b64decode(data.get(name, "")).decode() for name in names}

    def bundle(self) -> str:
        return str((self.body(self.config_map).get("data") or {}).get("ca.crt", ""))

    def ca_bundle(self) -> str:
        (entry,) = self.body(self.configuration)["webhooks"]
        return base64.b64decode(entry["clientConfig"].get("caBundle") or "").decode()

    def authorities(self) -> tuple[Authority, ...]:
        return authorities.read(self.body(self.ca)["data"])

    def leaf(self) -> Leaf:
        """Return the certificate; it must fit its key, and be signed by an authority that is there."""
        data = self.body(self.serving)["data"]
        certificate, key = (base64.b64decode(data[name]).decode() for name in ("tls.crt", "tls.key"))
        return issuer.read_leaf(certificate, key, self.authorities())

    def whole(self) -> bool:
        """Tell whether there is a good certificate, and its authority is published.

        An authority whose key is gone is stored and published before the certificate that it signed is replaced, and
        that one may be of any time.
        """
        try:
            leaf = self.leaf()
            return leaf.not_before <= datetime.now(UTC) < leaf.not_after and leaf.issuer in issuer.ids(self.bundle())
        except (AssertionError, KeyError, ValueError):
            return False

    def await_whole(self) -> Leaf:
        until(self.whole, "a certificate whose authority is published")
        return self.leaf()

    def await_alone(self) -> Leaf:
        """Wait until a good certificate is there and no rotation is under way."""
        until(lambda: self.whole() and len(self.authorities()) == 1, "one authority is left")
        return self.leaf()

    def await_other(self, than: Leaf, seconds: float = 30.0) -> Leaf:
        """Wait for another good certificate than this one."""
        until(lambda: self.whole() and self.leaf() != than, "another certificate", seconds)
        return self.leaf()

    def seen(self) -> Seen:
        published = self._admin.get(self.configuration)
        bundle = issuer.ids(self.ca_bundle()) if published.ok else None
        return Seen(issuer.ids(self.bundle()), bundle, self.authorities(), self.leaf())

    def write(self, path: str, data: dict[str, str], **more: object) -> None:
        """Put this content in the place of all that a Secret or ConfigMap holds."""
        accepted(self._admin.replace({**self.body(path), "data": data, **more}))

    def create(self, path: str, kind: str, data: dict[str, str]) -> None:
        """Make a Secret of some type."""
        shipped = next(
            one for one in rbac.accounts(self._installed) if one["metadata"]["name"] == path.rsplit("/", maxsplit=1)[-1]
        )
        accepted(self._admin.create({**shipped, "type": kind, "data": data}))

    def annotate(self, path: str, **annotations: str | None) -> None:
        named = {
            name.replace("__", "/").replace("bailiwick_dev", "bailiwick.dev").replace("_", "-"): value
            for name, value in annotations.items()
        }
        accepted(self._admin.patch(path, {"metadata": {"annotations": named}}, "merge"))

    def delete(self, path: str) -> None:
        accepted(self._admin.delete(path))

    def delete_published(self) -> None:
        """Delete what callers find the authorities in; what is not there is no matter."""
        self._admin.delete(self.config_map)
        self._admin.delete(f"/apis/certificates.k8s.io/v1/clustertrustbundles/{TRUST_BUNDLE}")
        self.delete_configuration()

    def apply(self) -> None:
        """Apply the manifest that the Secrets come with, once more or anew."""
        apply(self._admin, rbac.accounts(self._installed))

    def apply_configuration(self, manager: str = "helm", **fields: object) -> Object:
        """Apply the configuration as whoever installs it does, without a caBundle."""
        return accepted(self._admin.apply(configuration(self._installed) | fields, manager))

    def delete_configuration(self) -> None:
        self._admin.delete(self.configuration)


TERMS: Final = Terms(frozenset({"bailiwick-webhook"}))
FOREIGN: Final = CertificateIssuer("somebody", TERMS)
"""Somebody else's authorities."""


def encoded(**texts: str) -> dict[str, str]:
    """Return the data of a Secret; a name is written with `_` for `.`."""
    named = {name.replace("_", "."): text for name, text in texts.items()}
    return {name: base64.b64encode(text.encode()).decode() for name, text in named.items()}


def now() -> datetime:
    return datetime.now(UTC)


def configuration(installed: Installation) -> Object:
    service = {
        "name": installed.webhook_name,
        "namespace": installed.namespace,
        "path": "/admission/validate",
        "port": 9443,
    }
    rule = {
        "apiGroups": ["bailiwick.dev"],
        "apiVersions": ["v1alpha1"],
        "operations": ["CREATE", "UPDATE"],
        "resources": ["endpointpolicies"],
    }
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": VALIDATING_CONFIGURATION},
        "webhooks": [
            {
                "name": VALIDATING_WEBHOOK,
                "admissionReviewVersions": ["v1"],
                "clientConfig": {"service": service},
                "failurePolicy": "Ignore",
                "rules": [rule],
                "sideEffects": "None",
                "timeoutSeconds": 1,
            }
        ],
    }
