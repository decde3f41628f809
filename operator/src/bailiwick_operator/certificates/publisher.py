"""What callers of the decision point trust, put where they find it: ConfigMap, ClusterTrustBundle, our own caBundle.

Holds: each is written only where it differs, ConfigMap and configuration over the very version that was read. Of the
configuration only the caBundle of our own entry is ours, under a field manager of its own, so that the manager of the
rest of it sees no drift. A configuration that is not there is no error, since it may be installed later, and is never
made. A ClusterTrustBundle is written only where the API serves `certificates.k8s.io/v1`, and has CA certificates alone,
as the API server demands. A place that cannot be read is not written, and keeps no other from being written: who reads
those must not go on trusting an authority whose key was stolen.
"""

import base64
import binascii
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, TypeVar

import structlog

from bailiwick_api.accounts import (
    CA_CONFIG_MAP,
    CA_ENTRY,
    TRUST_BUNDLE,
    TRUST_SIGNER,
    VALIDATING_CONFIGURATION,
    VALIDATING_WEBHOOK,
    Installation,
)
from bailiwick_kube.paths import CORE, object_path
from bailiwick_kube.responses import ApiResponse
from bailiwick_operator.certificates.issuer import authorities_alone
from bailiwick_operator.kube import Object, OperatorClient, RefusedError

CA_BUNDLE_MANAGER: Final = "bailiwick-cabundle"
_LOG: Final = structlog.get_logger(__name__)
_CONFIGURATION: Final = object_path(
    "admissionregistration.k8s.io/v1", "validatingwebhookconfigurations", name=VALIDATING_CONFIGURATION
)
_CERTIFICATES: Final = "certificates.k8s.io/v1"
_TRUST_BUNDLE: Final = object_path(_CERTIFICATES, "clustertrustbundles", name=TRUST_BUNDLE)
_T = TypeVar("_T")
_INJECTED: Final = "cert-manager.io/inject-"


class PublicPlace(StrEnum):
    """Where callers find what they trust."""

    CONFIG_MAP = "ConfigMap"
    CONFIGURATION = "ValidatingWebhookConfiguration"
    TRUST_BUNDLE = "ClusterTrustBundle"


@dataclass(frozen=True, slots=True)
class PublishedBundles:
    """What is published at the moment: each as it was read, None where there is none that we write."""

    config_map: Object | None
    configuration: Object | None
    injected: bool = False
    """Whether cert-manager is configured to write the caBundle."""
    trust_bundle: str | None = None
    """The text of the ClusterTrustBundle, empty where it is not there yet; None where the API serves no such kind."""
    unread: Mapping[PublicPlace, str] = field(default_factory=dict)
    """Why a place could not be read, for a person."""

    @property
    def bundles(self) -> tuple[str, ...]:
        """The bundles, as PEM, of every place where somebody finds one; empty for one that could not be read."""
        found = ["" for _ in self.unread]
        if PublicPlace.CONFIG_MAP not in self.unread:
            found.append(str(((self.config_map or {}).get("data") or {}).get(CA_ENTRY, "")))
        if self.configuration is not None:
            found.append(_ca_bundle(self.configuration))
        if self.trust_bundle is not None:
            found.append(self.trust_bundle)
        return tuple(found)


class Publisher:
    """Publishes for one installation."""

    def __init__(self, kube: OperatorClient, installation: Installation) -> None:
        self._kube = kube
        self._namespace = installation.namespace
        self._config_maps = object_path(CORE, "configmaps", installation.namespace)

    async def read(self) -> PublishedBundles:
        """Return what is published, and which places could not be read."""
        unread: dict[PublicPlace, str] = {}

        async def look(place: PublicPlace, read: Awaitable[_T | None]) -> _T | None:
            try:
                return await read
            except RefusedError as error:
                unread[place] = str(error)
                return None

        config_map = await look(PublicPlace.CONFIG_MAP, self._get(f"{self._config_maps}/{CA_CONFIG_MAP}"))
        configuration = await look(PublicPlace.CONFIGURATION, self._get(_CONFIGURATION))
        trusted = await look(PublicPlace.TRUST_BUNDLE, self._trusted())
        injected = configuration is not None and any(
            name.startswith(_INJECTED) for name in configuration["metadata"].get("annotations") or {}
        )
        return PublishedBundles(config_map, None if injected else configuration, injected, trusted, unread)

    async def publish(self, found: PublishedBundles, bundle: str) -> bool:
        """Write where it differs. Returns whether anything was written; raises `RefusedError`.

        Where somebody else wrote in between, nothing is: it is found so again.
        """
        # All are tried: each has readers of its own.
        refused: list[RefusedError] = []
        written = False
        for write in (self._config_map, self._trust_bundle, self._configuration):
            try:
                written = await write(found, bundle) or written
            except RefusedError as error:
                refused.append(error)
        if refused:
            raise RefusedError("; ".join(map(str, refused)))
        return written

    async def _config_map(self, found: PublishedBundles, bundle: str) -> bool:
        present = found.config_map
        data = (present or {}).get("data") or {}
        if PublicPlace.CONFIG_MAP in found.unread or data.get(CA_ENTRY) == bundle:
            return False
        # Labels, annotations and other entries are other people's.
        body: Object = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": CA_CONFIG_MAP, "namespace": self._namespace},
            **(present or {}),
            "data": {**data, CA_ENTRY: bundle},
        }
        if present is None:
            answer = await self._kube.create(self._config_maps, body)
        else:
            answer = await self._kube.replace(f"{self._config_maps}/{CA_CONFIG_MAP}", body)
        return _written(answer, f"ConfigMap {CA_CONFIG_MAP}")

    async def _trust_bundle(self, found: PublishedBundles, bundle: str) -> bool:
        trusted = authorities_alone(bundle)
        if found.trust_bundle is None or found.trust_bundle == trusted:
            return False
        if not trusted:
            # The API server takes none that is empty, and to delete it is not among our rights.
            raise RefusedError(
                f"ClusterTrustBundle {TRUST_BUNDLE} still holds what was published before, since {CA_ENTRY} has no CA"
                f" certificate now: put one there, or run kubectl delete clustertrustbundle {TRUST_BUNDLE}"
            )
        body: Object = {
            "apiVersion": _CERTIFICATES,
            "kind": "ClusterTrustBundle",
            "metadata": {"name": TRUST_BUNDLE},
            "spec": {"signerName": TRUST_SIGNER, "trustBundle": trusted},
        }
        # Not over a version: there is one leader, and whatever else writes this is put right at the next look.
        return _written(await self._kube.apply(_TRUST_BUNDLE, body), f"ClusterTrustBundle {TRUST_BUNDLE}")

    async def _trusted(self) -> str | None:
        """Return the text of the ClusterTrustBundle, empty where there is none; None where the kind is not served."""
        answer = await self._kube.get(_TRUST_BUNDLE)
        if answer.missing:
            # Only of a kind that it serves does the API server say which object it did not find.
            return "" if (answer.body.get("details") or {}).get("name") == TRUST_BUNDLE else None
        if not answer.ok:
            raise RefusedError(f"the ClusterTrustBundle {TRUST_BUNDLE} cannot be read: {answer.message}")
        return str((answer.body.get("spec") or {}).get("trustBundle") or "")

    async def _configuration(self, found: PublishedBundles, bundle: str) -> bool:
        present = found.configuration
        if present is None or _ca_bundle(present) == bundle:
            return False
        if _entry(present) is None:
            # To apply to an entry that is not there would be to make one.
            raise RefusedError(
                f"ValidatingWebhookConfiguration {VALIDATING_CONFIGURATION} has no webhook {VALIDATING_WEBHOOK}: apply"
                " the configuration that Bailiwick ships"
            )
        encoded = base64.b64encode(bundle.encode()).decode()
        fields = {"webhooks": [{"name": VALIDATING_WEBHOOK, "clientConfig": {"caBundle": encoded}}]}
        answer = await self._kube.apply_fields(_CONFIGURATION, present, fields, CA_BUNDLE_MANAGER)
        return _written(answer, f"the caBundle of ValidatingWebhookConfiguration {VALIDATING_CONFIGURATION}")

    async def _get(self, path: str) -> Object | None:
        answer = await self._kube.get(path)
        if answer.missing:
            return None
        if not answer.ok:
            raise RefusedError(f"the published CA bundle cannot be read: {answer.message}")
        return answer.body


def _written(answer: ApiResponse, what: str) -> bool:
    if answer.conflict or answer.missing:
        return False
    if not answer.ok:
        raise RefusedError(f"{what} cannot be written: {answer.message}")
    _LOG.info("published the CA bundle", where=what)
    return True


def _entry(configuration: Object) -> Object | None:
    for entry in configuration.get("webhooks") or ():
        if entry.get("name") == VALIDATING_WEBHOOK:
            found: Object = entry
            return found
    return None


def _ca_bundle(configuration: Object) -> str:
    encoded = ((_entry(configuration) or {}).get("clientConfig") or {}).get("caBundle") or ""
    try:
        return base64.b64decode(encoded).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""
