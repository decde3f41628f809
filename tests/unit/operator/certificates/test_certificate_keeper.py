"""The keeper of the certificates: what it does when somebody else writes, refuses or does not answer, or it dies."""

import base64
import copy
from collections.abc import Callable, Mapping
from datetime import timedelta
from http import HTTPStatus
from typing import Final

import pytest

from bailiwick_api.accounts import CA_SECRET, SERVING_SECRET, TRUST_BUNDLE, VALIDATING_WEBHOOK, Installation
from bailiwick_api.manifests.rbac import accounts
from bailiwick_api.times import stamp
from bailiwick_kube.paths import object_path
from bailiwick_kube.responses import ApiResponse
from bailiwick_kube.transport import ApiRequest, UnreachableError
from bailiwick_operator.certificates import authorities, issuer
from bailiwick_operator.certificates.issuer import CertificateIssuer, UnreadableError
from bailiwick_operator.certificates.keeper import RENEW_ANNOTATION, ExternalCertificate, Keeper, SelfManaged
from bailiwick_operator.kube import OperatorClient
from bailiwick_operator.reconcile.certificates import Terms
from support.objects import Object
from support.transport import FakeTransport
from unit.operator.cases import NOW

HOME: Final = "/api/v1/namespaces/bailiwick-system"
CA: Final = f"{HOME}/secrets/{CA_SECRET}"
SERVING: Final = f"{HOME}/secrets/{SERVING_SECRET}"
CONFIG_MAP: Final = f"{HOME}/configmaps/bailiwick-ca"
CONFIGURATION: Final = (
    "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/bailiwick-endpointpolicies"
)
TRUSTED: Final = object_path("certificates.k8s.io/v1", "clustertrustbundles", name=TRUST_BUNDLE)
TERMS: Final = Terms(frozenset({"pdp"}))


class Crash(BaseException):
    """The process is gone."""


class FakeApi:
    """A server of both Secrets, empty at first, and one ConfigMap. For what a real one cannot be made to show."""

    def __init__(self) -> None:
        self.leading = True
        # The path of the ClusterTrustBundle where this API server serves the kind.
        self.served = ""
        self.client = OperatorClient(FakeTransport(self._answer), lambda: self.leading)
        self.stored: dict[str, Object] = {}
        self.revision = 0
        self.writes: list[str] = []
        self.before_write: Callable[[str], None] = lambda _path: None
        self.refuses: Mapping[tuple[str, str], ApiResponse | Exception] = {}
        for shipped in accounts(Installation()):
            if shipped["metadata"]["name"] in {CA_SECRET, SERVING_SECRET}:
                self.store(f"{HOME}/secrets/{shipped['metadata']['name']}", shipped)

    def store(self, path: str, body: Object) -> None:
        self.revision += 1
        metadata = {"name": path.rpartition("/")[2], **body.get("metadata", {}), "resourceVersion": str(self.revision)}
        self.stored[path] = {**copy.deepcopy(body), "metadata": metadata}

    def text(self, path: str, entry: str) -> str:
        return base64.b64decode((self.stored[path].get("data") or {}).get(entry, "")).decode()

    def _answer(self, request: ApiRequest) -> ApiResponse:
        method, path, body = request.method, request.path, request.body
        refused = self.refuses.get((method, path))
        if isinstance(refused, Exception):
            raise refused
        if refused is not None:
            return refused
        if method == "GET":
            found = self.stored.get(path)
            # Only of a kind that is served does the API server say which object it did not find.
            missing = {"details": {"name": TRUST_BUNDLE}} if path == self.served else {}
            return (
                ApiResponse(HTTPStatus.NOT_FOUND, missing)
                if found is None
                else ApiResponse(HTTPStatus.OK, copy.deepcopy(found))
            )
        assert isinstance(body, dict)
        path = f"{path}/{body['metadata']['name']}" if method == "POST" else path
        self.before_write(path)
        present = self.stored.get(path, {}).get("metadata", {}).get("resourceVersion")
        if method != "PATCH" and body["metadata"].get("resourceVersion") != present:
            return ApiResponse(HTTPStatus.CONFLICT, {"message": "the object has been modified"})
        self.writes.append(path)
        self.store(path, body)
        return ApiResponse(HTTPStatus.OK, copy.deepcopy(self.stored[path]))


@pytest.fixture
def api() -> FakeApi:
    return FakeApi()


@pytest.fixture
def trusting(api: FakeApi) -> FakeApi:
    """One of Kubernetes 1.37 or later."""
    api.served = TRUSTED
    return api


def keeper(api: FakeApi, terms: Terms = TERMS) -> SelfManaged:
    return SelfManaged(api.client, Installation(), "bailiwick-webhook", terms, interval=10, now=lambda: NOW)


def leaf_fits(api: FakeApi) -> bool:
    try:
        held = authorities.read(api.stored[CA]["data"])
        leaf = issuer.read_leaf(api.text(SERVING, "tls.crt"), api.text(SERVING, "tls.key"), held)
    except (KeyError, UnreadableError):
        return False
    return leaf.issuer in issuer.ids(api.stored[CONFIG_MAP]["data"]["ca.crt"])


async def settle(keeping: Keeper) -> None:
    for _ in range(4):
        await keeping.round()


async def test_an_authority_is_stored_before_anything_that_it_signed_and_published_before_it_is_used(
    api: FakeApi,
) -> None:
    keeping = keeper(api)
    # Soon, to see what was written.
    assert await keeping.round() == 0.5
    assert api.writes == [CA, CONFIG_MAP, SERVING]
    assert leaf_fits(api)
    await keeping.round()
    assert api.writes == [CA, CONFIG_MAP, SERVING, CA]
    assert await keeping.round() == 10
    assert (len(api.writes), keeping.problem) == (4, None)


async def test_two_who_lead_for_a_moment_keep_one_authority_and_a_certificate_of_it(api: FakeApi) -> None:
    other = FakeApi()
    await settle(keeper(other))

    def first(path: str) -> None:
        if path == CA and "data" not in api.stored[CA]:
            for theirs in (CA, SERVING, CONFIG_MAP):
                api.store(theirs, other.stored[theirs])

    api.before_write = first
    keeping = keeper(api)
    await keeping.round()
    assert keeping.problem is None
    assert api.text(CA, "authorities.json") == other.text(CA, "authorities.json")
    assert leaf_fits(api)


@pytest.mark.parametrize("at", [CA, CONFIG_MAP, SERVING])
async def test_whoever_dies_at_a_write_leaves_what_the_next_one_goes_on_from(at: str, api: FakeApi) -> None:
    def die(path: str) -> None:
        if path == at:
            raise Crash

    api.before_write = die
    with pytest.raises(Crash):
        await keeper(api).round()
    api.before_write = lambda _path: None
    known = [each.id for each in authorities.read(api.stored[CA]["data"])] if at != CA else []
    await settle(keeper(api))
    assert leaf_fits(api)
    (held,) = authorities.read(api.stored[CA]["data"])
    # The one that was stored is the one that is used.
    assert known in ([], [held.id])


FORBIDDEN: Final = ApiResponse(HTTPStatus.FORBIDDEN, {"message": "it is forbidden"})


@pytest.mark.parametrize(
    ("method", "path", "words", "certificate"),
    [
        ("GET", CA, "Secret bailiwick-ca cannot be read: it is forbidden", False),
        ("GET", SERVING, "Secret bailiwick-serving cannot be read: it is forbidden", False),
        ("PUT", CA, "Secret bailiwick-ca cannot be written: it is forbidden", False),
        ("PUT", SERVING, "Secret bailiwick-serving cannot be written: it is forbidden", False),
        ("GET", CONFIG_MAP, "the published CA bundle cannot be read: it is forbidden", True),
        ("GET", CONFIGURATION, "the published CA bundle cannot be read: it is forbidden", True),
        ("POST", f"{HOME}/configmaps", "ConfigMap bailiwick-ca cannot be written: it is forbidden", True),
    ],
)
async def test_what_is_refused_is_told_and_tried_again(
    method: str, path: str, words: str, certificate: bool, api: FakeApi
) -> None:
    api.refuses = {(method, path): FORBIDDEN}
    keeping = keeper(api)
    await settle(keeping)
    assert keeping.problem == words
    assert bool(api.text(SERVING, "tls.crt")) is certificate
    api.refuses = {}
    await settle(keeping)
    assert keeping.problem is None
    assert leaf_fits(api)


async def test_who_gets_no_answer_changes_nothing(api: FakeApi) -> None:
    await settle(keeper(api))
    before = copy.deepcopy(api.stored)
    api.refuses = {("GET", SERVING): UnreachableError("no answer")}
    keeping = keeper(api)
    assert await keeping.round() == 5
    assert (keeping.problem, api.stored) == ("no answer", before)


async def test_a_defect_of_ours_is_told_without_its_words_and_ends_nothing(
    api: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    def odd(*_: object) -> None:
        raise ArithmeticError("what is secret")

    monkeypatch.setattr(issuer, "signer_among", odd)
    keeping = keeper(api)
    assert await keeping.round() == 5
    assert "ArithmeticError" in str(keeping.problem)
    assert "secret" not in str(keeping.problem)
    monkeypatch.undo()
    await settle(keeping)
    assert (keeping.problem, leaf_fits(api)) == (None, True)


async def test_an_error_in_the_place_of_a_secret_replaces_nothing(api: FakeApi) -> None:
    await settle(keeper(api))
    before = copy.deepcopy(api.stored)
    api.refuses = {("GET", CA): ApiResponse(HTTPStatus.INTERNAL_SERVER_ERROR, {})}
    await settle(keeper(api))
    assert api.stored == before


async def test_whoever_no_longer_leads_writes_nothing(api: FakeApi) -> None:
    api.leading = False
    keeping = keeper(api)
    await keeping.round()
    assert (api.writes, "lease" in str(keeping.problem)) == ([], True)


async def test_who_is_undone_over_and_over_does_not_fight_without_rest(api: FakeApi) -> None:
    keeping = keeper(api)
    waits = []
    for _ in range(8):
        waits.append(await keeping.round())
        api.store(SERVING, {**api.stored[SERVING], "data": {}})
    assert waits == [0.5] * 5 + [10] * 3


async def test_another_authority_that_was_put_beside_ours_is_not_published(api: FakeApi) -> None:
    await settle(keeper(api))
    foreign = CertificateIssuer("somebody", TERMS).authority(NOW)
    ours = api.stored[CONFIG_MAP]["data"]["ca.crt"]
    api.store(CONFIG_MAP, {**api.stored[CONFIG_MAP], "data": {"ca.crt": ours + foreign.certificate}})
    serving = api.stored[SERVING]
    bundle = base64.b64encode((ours + foreign.certificate).encode()).decode()
    api.store(SERVING, {**serving, "data": {**serving["data"], "ca.crt": bundle}})
    await settle(keeper(api))
    assert api.stored[CONFIG_MAP]["data"]["ca.crt"] == ours
    # Nor when our own are lost: only the one that signed what is served is kept.
    api.store(CONFIG_MAP, {**api.stored[CONFIG_MAP], "data": {"ca.crt": ours + foreign.certificate}})
    api.store(SERVING, {**serving, "data": {**serving["data"], "ca.crt": bundle}})
    api.store(CA, {**api.stored[CA], "data": {}})
    await settle(keeper(api))
    assert foreign.id not in issuer.ids(api.stored[CONFIG_MAP]["data"]["ca.crt"])
    assert len(issuer.ids(api.stored[CONFIG_MAP]["data"]["ca.crt"])) == 2


async def test_its_end_is_known_for_the_health(api: FakeApi) -> None:
    keeping = keeper(api, Terms(frozenset({"pdp"}), leaf_life=timedelta(days=30)))
    assert keeping.not_after is None
    await keeping.round()
    assert keeping.not_after == NOW + timedelta(days=30)


async def test_what_somebody_else_issues_is_never_written(api: FakeApi) -> None:
    await settle(keeper(api))
    before = copy.deepcopy(api.stored)
    del api.stored[CONFIG_MAP]
    api.writes.clear()
    keeping = ExternalCertificate(api.client, Installation(), interval=10, now=lambda: NOW)
    await settle(keeping)
    assert (api.writes, keeping.problem) == ([CONFIG_MAP], None)
    assert {path: api.stored[path] for path in (CA, SERVING)} == {path: before[path] for path in (CA, SERVING)}


PLACES: Final = {"ConfigMap": CONFIG_MAP, "ClusterTrustBundle": TRUSTED}


def trusted_in(api: FakeApi, place: str) -> frozenset[str]:
    stored = api.stored.get(PLACES[place], {})
    texts = {"ca.crt": "", "trustBundle": "", **(stored.get("data") or {}), **(stored.get("spec") or {})}
    return issuer.ids(f"{texts['ca.crt']}{texts['trustBundle']}")


@pytest.mark.parametrize("unread", PLACES)
async def test_a_place_that_cannot_be_read_keeps_a_stolen_authority_in_no_other(unread: str, trusting: FakeApi) -> None:
    keeping = keeper(trusting)
    await settle(keeping)
    stolen = trusted_in(trusting, "ConfigMap")
    assert {place: trusted_in(trusting, place) for place in PLACES} == dict.fromkeys(PLACES, stolen)
    trusting.refuses = {("GET", PLACES[unread]): FORBIDDEN}
    for secret in (CA, SERVING):
        trusting.store(secret, {**trusting.stored[secret], "data": None})
    await settle(keeping)
    assert "cannot be read: it is forbidden" in str(keeping.problem)
    (read,) = PLACES.keys() - {unread}
    assert trusted_in(trusting, read) & stolen == frozenset()
    assert trusted_in(trusting, read) == issuer.ids(trusting.text(SERVING, "ca.crt"))
    assert trusted_in(trusting, unread) == stolen
    trusting.refuses = {}
    await settle(keeping)
    assert (keeping.problem, trusted_in(trusting, unread)) == (None, trusted_in(trusting, read))


async def test_an_authority_does_not_count_as_seen_while_a_place_cannot_be_read(trusting: FakeApi) -> None:
    def after(days: int) -> SelfManaged:
        later = NOW + timedelta(days=days)
        return SelfManaged(trusting.client, Installation(), "bailiwick-webhook", TERMS, interval=10, now=lambda: later)

    def issuers() -> tuple[int, str]:
        held = authorities.read(trusting.stored[CA]["data"])
        return len(held), issuer.read_leaf(
            trusting.text(SERVING, "tls.crt"), trusting.text(SERVING, "tls.key"), held
        ).issuer

    await settle(keeper(trusting))
    _, first = issuers()
    metadata = trusting.stored[CA]["metadata"]
    trusting.store(
        CA,
        {
            **trusting.stored[CA],
            "metadata": {**metadata, "annotations": {RENEW_ANNOTATION: stamp(NOW + timedelta(days=1))}},
        },
    )
    trusting.refuses = {("GET", TRUSTED): FORBIDDEN}
    await settle(after(2))
    await settle(after(30))
    assert issuers() == (2, first)


def given(api: FakeApi, authority: bytes | None) -> None:
    """Put a certificate of somebody else's into the Secret, with what is to be trusted."""
    maker = CertificateIssuer("somebody", TERMS)
    leaf = maker.leaf(maker.authority(NOW), NOW)
    entries = {"tls.crt": leaf.certificate.encode(), "tls.key": leaf.key.encode()}
    entries |= {} if authority is None else {"ca.crt": authority}
    data = {name: base64.b64encode(entry).decode() for name, entry in entries.items()}
    api.store(SERVING, {**api.stored[SERVING], "data": data})


def without_authority() -> bytes:
    """Return a certificate that is no CA's."""
    maker = CertificateIssuer("somebody", TERMS)
    return maker.leaf(maker.authority(NOW), NOW).certificate.encode()


@pytest.mark.parametrize(
    ("later", "words"),
    [
        (without_authority(), "still holds what was published before, since ca.crt has no CA certificate now"),
        (b"0\x82\x01\xff", "ca.crt of Secret bailiwick-serving is not published: it contains no certificate"),
        (b"nobody", "ca.crt of Secret bailiwick-serving is not published: it contains no certificate"),
        (None, "Secret bailiwick-serving has no ca.crt, and what was published before is still trusted"),
        (b"", "Secret bailiwick-serving has no ca.crt, and what was published before is still trusted"),
    ],
)
async def test_that_an_authority_is_still_trusted_that_its_secret_no_longer_has_is_told(
    later: bytes | None, words: str, trusting: FakeApi
) -> None:
    keeping = ExternalCertificate(trusting.client, Installation(), interval=10, now=lambda: NOW)
    given(trusting, CertificateIssuer("somebody", TERMS).authority(NOW).certificate.encode())
    await settle(keeping)
    assert keeping.problem is None
    given(trusting, later)
    await settle(keeping)
    assert words in str(keeping.problem)


async def test_a_certificate_without_an_authority_is_in_order_where_nothing_was_published(api: FakeApi) -> None:
    keeping = ExternalCertificate(api.client, Installation(), interval=10, now=lambda: NOW)
    given(api, None)
    await settle(keeping)
    assert (keeping.problem, api.writes) == (None, [])


async def test_an_authority_that_the_api_server_alone_still_trusts_is_reported(api: FakeApi) -> None:
    keeping = ExternalCertificate(api.client, Installation(), interval=10, now=lambda: NOW)
    given(api, None)
    bundle = base64.b64encode(CertificateIssuer("somebody", TERMS).authority(NOW).certificate.encode()).decode()
    entry = {"name": VALIDATING_WEBHOOK, "clientConfig": {"caBundle": bundle}}
    api.store(CONFIGURATION, {"metadata": {}, "webhooks": [entry]})
    await settle(keeping)
    assert "empty the caBundle of ValidatingWebhookConfiguration" in str(keeping.problem)
