"""The keepers of the serving certificate: one that issues it, and one for a certificate that somebody else issues.

Holds: both Secrets come with the manifests, and nothing is written where one is missing or of another type than theirs
(`bailiwick_api.manifests.rbac.accounts` says why); each is written upon the very version that was read; a CA is
stored before anything that it signed; what cannot be read is replaced, and that is said; nothing that is found ends the
process; what cannot be published keeps no certificate from being renewed by a CA that is known already; no key
is ever logged or published.
"""

import asyncio
import base64
import binascii
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import structlog

from bailiwick_api.accounts import (
    CA_CONFIG_MAP,
    CA_ENTRY,
    CA_SECRET,
    CERTIFICATE_ENTRY,
    CERTIFICATE_KEY_ENTRY,
    SERVING_SECRET,
    SIGNING_KEYS_MANIFEST,
    SIGNING_KEYS_TYPE,
    TRUST_BUNDLE,
    VALIDATING_CONFIGURATION,
    Installation,
)
from bailiwick_api.secretlist import UnreadableListError
from bailiwick_api.times import parse_time as read_time
from bailiwick_kube.paths import CORE, object_path
from bailiwick_kube.transport import UnreachableError
from bailiwick_operator.certificates import authorities, issuer
from bailiwick_operator.certificates.authorities import AUTHORITIES_ENTRY
from bailiwick_operator.certificates.issuer import CertificateIssuer, UnreadableError
from bailiwick_operator.certificates.publisher import PublishedBundles, Publisher
from bailiwick_operator.kube import Object, OperatorClient, RefusedError
from bailiwick_operator.reconcile.certificates import (
    Authority,
    Leaf,
    ObservedCertificates,
    RotationRequest,
    Terms,
    reconcile,
)

RENEW_ANNOTATION: Final = "bailiwick.dev/renew-before"
"""On one of the Secrets: what was made before this time is replaced, once the time has come."""
_LOG: Final = structlog.get_logger(__name__)
_RETRY_SECONDS: Final = 5.0
_MAX_TRIES: Final = 5
PATIENCE: Final = 60.0
"""For so many seconds from the start somebody else's first certificate may not be there yet."""
# After something was written it is looked at again soon, to see it published; but no other writer is fought over and
# over.
_SOON: Final = 0.5
_MOST_SOON: Final = 5


@dataclass(frozen=True, slots=True)
class _Done:
    """What a look came to. `wrong`: what is not as it should be, for a person. `awaited`: nothing was issued yet."""

    wrote: bool
    wrong: tuple[str, ...] = ()
    awaited: bool = False


class Keeper(ABC):
    """Looks at intervals. Lives in the main loop. `now` is the time of day, `clock` is monotonic, in seconds."""

    def __init__(
        self,
        kube: OperatorClient,
        installation: Installation,
        *,
        interval: float,
        now: Callable[[], datetime],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._now = now
        self._clock = clock
        self._patient_until = clock() + PATIENCE
        self._awaited = False
        self._kube = kube
        self._publisher = Publisher(kube, installation)
        self._interval = interval
        self._secrets = object_path(CORE, "secrets", installation.namespace)
        self._wrote = 0
        self.problem: str | None = "not checked yet"
        """What is wrong, for a person; None while all is as it should be."""
        self.not_after: datetime | None = None
        """Until when the serving certificate is valid; None where none is known."""
        self.rounds = 0
        """How many rounds have come to an end, however they ended. For the health of the process."""

    async def run(self) -> None:
        """Keep the certificate until cancelled."""
        while True:
            wait = await self.round()
            await asyncio.sleep(wait)

    async def round(self) -> float:
        """Look once, and put right what is not. Returns the seconds until the next look; `problem` says what is wrong.

        Somebody else may write between our read and our write, so it is tried more than once.
        """
        done: _Done | None = None
        problem: str | None = "another writer changed the certificates at each attempt: retrying"
        try:
            for _ in range(_MAX_TRIES):
                if (done := await self._try()) is not None:
                    problem = "; ".join(done.wrong) or None
                    break
        except (UnreachableError, RefusedError) as error:
            problem = str(error)
        except Exception as error:  # noqa: BLE001 - the last line: no certificate takes the guards' proofs along
            # Only its type, since its words may quote what it was about.
            problem = f"internal error {type(error).__name__}: check the Secrets for manual edits"
        self._report(problem, awaited=done is not None and done.awaited and self._clock() < self._patient_until)
        self.rounds += 1
        self._wrote = self._wrote + 1 if done is not None and done.wrote else 0
        if 0 < self._wrote <= _MOST_SOON:
            return min(_SOON, self._interval)
        return self._interval if problem is None else min(_RETRY_SECONDS, self._interval)

    @abstractmethod
    async def _try(self) -> _Done | None:
        """Read and write once. Returns None where somebody else wrote in between."""

    async def _secret(self, name: str) -> Object:
        answer = await self._kube.get(f"{self._secrets}/{name}")
        if answer.missing:
            raise RefusedError(f"Secret {name} is missing, so there is no certificate: apply {SIGNING_KEYS_MANIFEST}")
        if not answer.ok:
            raise RefusedError(f"Secret {name} cannot be read: {answer.message}")
        return answer.body

    def _report(self, problem: str | None, *, awaited: bool) -> None:
        if (problem, awaited) != (self.problem, self._awaited):
            if problem is None:
                _LOG.info("the certificates are in order", not_after=_iso_time(self.not_after))
            elif awaited:
                _LOG.info("waiting for the first certificate", why=problem)
            else:
                _LOG.error("the certificates are not in order", problem=problem)
        self.problem, self._awaited = problem, awaited


class SelfManaged(Keeper):
    """Issues the certificate by CAs of our own, and replaces both in time."""

    def __init__(
        self,
        kube: OperatorClient,
        installation: Installation,
        service: str,
        terms: Terms,
        *,
        interval: float,
        now: Callable[[], datetime],
    ) -> None:
        super().__init__(kube, installation, interval=interval, now=now)
        self._terms = terms
        self._make = CertificateIssuer(service, terms)
        self._said: str | None = None

    async def _try(self) -> _Done | None:
        stored, serving = await self._opaque(CA_SECRET), await self._opaque(SERVING_SECRET)
        published = await self._publisher.read()
        wrong = [*published.unread.values()]
        found = self._observe(stored, serving, published)
        outcome = reconcile(found, self._now(), self._terms, self._make)
        wrote = False
        if outcome.authorities != found.authorities:
            if not await self._write(CA_SECRET, stored, authorities.written(outcome.authorities)):
                return None
            wrote = True
            _tell(found.authorities, outcome.authorities)
        try:
            wrote = await self._publisher.publish(published, outcome.bundle) or wrote
        except RefusedError as error:
            wrong.append(str(error))
        if published.injected:
            wrong.append(
                f"ValidatingWebhookConfiguration {VALIDATING_CONFIGURATION} has an annotation that makes"
                " cert-manager write its caBundle: remove the annotation, or set --tls-mode external"
            )
        leaf = outcome.leaf
        entries = {CERTIFICATE_ENTRY: leaf.certificate, CERTIFICATE_KEY_ENTRY: leaf.key, CA_ENTRY: outcome.bundle}
        if any(_text(serving, entry) != content for entry, content in entries.items()):
            encoded = {entry: base64.b64encode(content.encode()).decode() for entry, content in entries.items()}
            if not await self._write(SERVING_SECRET, serving, encoded):
                return None
            wrote = True
            if leaf != found.leaf:
                _LOG.info(
                    "serving certificate issued",
                    not_after=_iso_time(leaf.not_after),
                    names=sorted(leaf.names),
                    authority=leaf.issuer[:16],
                )
        self.not_after = leaf.not_after
        return _Done(wrote, tuple(wrong))

    async def _opaque(self, name: str) -> Object:
        secret = await self._secret(name)
        if (kind := secret.get("type")) != SIGNING_KEYS_TYPE:
            raise RefusedError(
                f"Secret {name} has type {kind} instead of {SIGNING_KEYS_TYPE} and is not used: delete it, find out who"
                f" created it, and apply {SIGNING_KEYS_MANIFEST}"
            )
        return secret

    def _observe(self, stored: Object, serving: Object, published: PublishedBundles) -> ObservedCertificates:
        """Return what there is, as facts; what cannot be read counts as not there, and is said once."""
        certificate, said = _text(serving, CERTIFICATE_ENTRY), []
        held: tuple[Authority, ...] = ()
        if AUTHORITIES_ENTRY in (stored.get("data") or {}):
            try:
                held = authorities.read(stored["data"])
            except UnreadableListError as error:
                said.append(f"the certificate authorities cannot be read, replacing them: {error}")
        if not held and (signer := issuer.signer_among(certificate, _text(serving, CA_ENTRY))) is not None:
            # Its key is gone, and what it signed is served: so that stays trusted until it is replaced.
            held = (signer,)
        leaf: Leaf | None = None
        if certificate or _text(serving, CERTIFICATE_KEY_ENTRY):
            try:
                leaf = issuer.read_leaf(certificate, _text(serving, CERTIFICATE_KEY_ENTRY), held)
            except UnreadableError as error:
                said.append(f"replacing the serving certificate: {error}")
        if (why := "; ".join(said) or None) != self._said and why is not None:
            _LOG.warning("the stored certificates cannot be used", why=why)
        self._said = why
        asked = RotationRequest(_renewal_time(stored), _renewal_time(serving))
        seen = frozenset.intersection(*(issuer.ids(bundle) for bundle in published.bundles))
        return ObservedCertificates(held, leaf, seen, asked)

    async def _write(self, name: str, present: Object, entries: dict[str, str]) -> bool:
        """Write entries over the version that was read. Returns whether they are stored; raises `RefusedError`."""
        # Labels, annotations and other entries are other people's; only these entries are ours.
        kept: Object = {part: present[part] for part in ("metadata", "type", "immutable") if part in present}
        data = (present.get("data") or {}) | entries
        body = {"apiVersion": "v1", "kind": "Secret", **kept, "data": data}
        answer = await self._kube.replace(f"{self._secrets}/{name}", body)
        if answer.conflict or answer.missing:
            return False
        if not answer.ok:
            raise RefusedError(f"Secret {name} cannot be written: {answer.message}")
        return True


class ExternalCertificate(Keeper):
    """Publishes the CA of a certificate that somebody else issues, and says when that is not what it should be.

    Neither Secret is written. Where cert-manager writes the caBundle, that is left to it.
    """

    async def _try(self) -> _Done | None:
        serving = await self._secret(SERVING_SECRET)
        wrong: list[str] = []
        try:
            self.not_after = issuer.fitting(_text(serving, CERTIFICATE_ENTRY), _text(serving, CERTIFICATE_KEY_ENTRY))
            if self.not_after <= self._now():
                wrong.append(f"the certificate in Secret {SERVING_SECRET} expired at {_iso_time(self.not_after)}")
        except UnreadableError as error:
            self.not_after = None
            wrong.append(f"the certificate in Secret {SERVING_SECRET} cannot be used: {error}")
        published, wrote = await self._publisher.read(), False
        wrong += published.unread.values()
        if (serving.get("data") or {}).get(CA_ENTRY):
            try:
                # Everybody may read what is published, and some tools put the key into the same file.
                wrote = await self._publisher.publish(published, issuer.alone(_text(serving, CA_ENTRY)))
            except (UnreadableError, RefusedError) as error:
                wrong.append(f"{CA_ENTRY} of Secret {SERVING_SECRET} is not published: {error}")
        elif any(published.bundles):
            wrong.append(
                f"Secret {SERVING_SECRET} has no {CA_ENTRY}, and what was published before is still trusted: put it"
                f" back, or delete ConfigMap {CA_CONFIG_MAP} and ClusterTrustBundle {TRUST_BUNDLE}, and empty the"
                f" caBundle of ValidatingWebhookConfiguration {VALIDATING_CONFIGURATION}"
            )
        return _Done(wrote, tuple(wrong), awaited=not any((serving.get("data") or {}).values()))


def _tell(before: Iterable[Authority], after: Iterable[Authority]) -> None:
    known = {authority.id: authority for authority in before}
    for authority in after:
        old = known.pop(authority.id, None)
        if old is None:
            _LOG.info(
                "certificate authority created", authority=authority.id[:16], not_after=_iso_time(authority.not_after)
            )
        elif old.until is None and authority.until is not None:
            _LOG.info("certificate authority superseded", authority=authority.id[:16], until=_iso_time(authority.until))
    for gone in known:
        _LOG.info("certificate authority removed", authority=gone[:16])


def _text(secret: Object, entry: str) -> str:
    """Return an entry of a Secret; what is no text counts as not there."""
    try:
        return base64.b64decode((secret.get("data") or {}).get(entry) or "").decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""


def _renewal_time(secret: Object) -> datetime | None:
    annotations: dict[str, Any] = secret["metadata"].get("annotations") or {}
    return read_time(annotations.get(RENEW_ANNOTATION))


def _iso_time(time: datetime | None) -> str | None:
    return None if time is None else time.isoformat()
