"""A decision point without a cluster: the real application and pipeline over policies that were read once.

Standing: `python -m support.pdp.alone --policies DIR ...` takes the flags of `bailiwick-webhook` that it needs, so that
a test can start either; `Alone` is for tests in one process. Tokens are names: `Bearer <username>` is that service
account, as if the API server had just confirmed it.
"""

import argparse
import asyncio
import base64
import json
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final, cast

import yaml

from bailiwick_api.accounts import Installation
from bailiwick_api.serviceaccounts import SERVICE_ACCOUNT_PREFIX
from bailiwick_api.voidgrants import NONE
from bailiwick_engine.approval.grants import Grant
from bailiwick_engine.budget.ledger import Budget, BudgetLedger
from bailiwick_engine.call import Call, Party, PodWorkload, ServiceAccount
from bailiwick_engine.circumstances import Freshness
from bailiwick_engine.compile.policies import compile_object
from bailiwick_engine.policy.snapshot import Snapshot
from bailiwick_engine.reasons import Reason
from bailiwick_engine.revocations import NONE as NO_REVOCATIONS
from bailiwick_engine.signatures.registrars import NO_REVIEWER_KEYS
from bailiwick_kube.responses import ApiResponse
from bailiwick_policystore.changes import ChangeAges
from bailiwick_process.jwt.compact import CompactToken
from bailiwick_webhook.admission.bench import PolicyExaminer
from bailiwick_webhook.approvals.consumer import Consumer
from bailiwick_webhook.approvals.opener import Opener
from bailiwick_webhook.cluster.client import ClusterUnavailableError
from bailiwick_webhook.history.ports import HistoryKeeping, no_histories
from bailiwick_webhook.http import app
from bailiwick_webhook.http.adapters.enforce import EnforceHandler
from bailiwick_webhook.http.adapters.k8sreview import ProtectedNamespaces
from bailiwick_webhook.http.admission import ValidateHandler
from bailiwick_webhook.http.authzen.authenticator import RequestAuthenticator
from bailiwick_webhook.http.shares.bounds import Bounds
from bailiwick_webhook.http.transport.server import serve
from bailiwick_webhook.identity.jwt.issuers import Issuers
from bailiwick_webhook.identity.permits import Permits
from bailiwick_webhook.identity.subject import ByToken
from bailiwick_webhook.identity.tokens import AuthenticatedAccount, RefusedToken, Tokens
from bailiwick_webhook.identity.workloads import Workloads
from bailiwick_webhook.metrics.table import Port
from bailiwick_webhook.pipeline.pdp import Pdp
from bailiwick_webhook.record.writing.waitingline import RecordFailedError
from bailiwick_webhook.signing.keyring import NO_KEYS, Keyring
from bailiwick_webhook.signing.signer import Signer
from bailiwick_webhook.steps import Need, Step
from bailiwick_webhook.store.grants import Grants
from bailiwick_webhook.store.store import Store
from bailiwick_webhook.store.view import StoreState
from bailiwick_webhook.tls.reload import hardened
from support.objects import Object

HARNESS: Final = "system:serviceaccount:certification:harness"


class StaticStore:
    """Stands for the store: what was read once is for ever fresh."""

    freshness = Freshness.FRESH
    guard_proven = True
    synced = True
    revision = "1/1"
    age = 0.0
    clock = None
    void = NONE
    revocations = NO_REVOCATIONS
    reviewers = NO_REVIEWER_KEYS

    def __init__(self, policies: Iterable[Object]) -> None:
        compiled = [compile_object(raw) for raw in policies]
        self.snapshot: Snapshot | None = Snapshot.of(compiled, "1")
        self.waiting = ChangeAges()
        self.ledger = BudgetLedger(Budget())
        self.grants = Grants()
        self.keyring: Keyring = NO_KEYS
        self._served = {(policy.ref.uid, policy.ref.generation) for policy in compiled}

    def serves(self, uid: str, generation: int) -> bool:
        return (uid, generation) in self._served

    def grants_of(self, namespace: str, endpoint: str, subject_uid: str, call: Call | None = None) -> Iterable[Grant]:
        return self.grants.grants_of(namespace, endpoint, subject_uid, call)

    def glance(self) -> StoreState:
        return StoreState(
            self.age,
            self.freshness,
            self.revision,
            self.guard_proven,
            self.waiting,
            time.monotonic(),
            revocations=self.revocations,
        )

    def report(self) -> dict[str, Any]:
        return {}

    async def run(self) -> None:
        await asyncio.Event().wait()


class NamedTokens:
    """Stands for the API server's word on tokens. `asked` counts the tokens that were looked at."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def authenticate(self, token: str, audiences: frozenset[str]) -> Step[AuthenticatedAccount | RefusedToken]:
        return Need(partial(self._prove, token))

    async def _prove(self, token: str) -> AuthenticatedAccount | RefusedToken:
        self.asked.append(token)
        if not token.startswith(SERVICE_ACCOUNT_PREFIX):
            return RefusedToken(Reason.IDENTITY_INVALID)
        return _proven(token)

    def signed(self, token: str, audiences: frozenset[str]) -> None:
        return None

    def confirm(self, parsed: CompactToken, audiences: frozenset[str]) -> Step[AuthenticatedAccount | RefusedToken]:
        return Need(partial(self._confirm, parsed))

    async def _confirm(self, parsed: CompactToken) -> AuthenticatedAccount | RefusedToken:
        self.asked.append(parsed.token)
        return _proven(str(parsed.claims["sub"]))


def _proven(username: str) -> AuthenticatedAccount:
    return AuthenticatedAccount(ServiceAccount(username, f"{username}-uid"), {"sub": username}, live=True)


def subject_token(username: str) -> str:
    """Return what stands for a service account's own token: of the right shape, and not signed."""
    parts = ({"alg": "RS256", "kid": "k"}, {"sub": username})
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts]
    return ".".join((*encoded, "c2lnbmF0dXJl"))


class NamedWorkloads:
    """Nobody calls from a workload that is known."""

    async def find(self, party: Party) -> PodWorkload | None:
        return None


class KeptRecords:
    """Keeps records; `failing` says of a line whether it cannot be written."""

    waits = False

    def __init__(self, failing: Callable[[bytes], bool] = lambda _: False) -> None:
        self.lines: list[bytes] = []
        self._failing = failing

    def take(self, line: bytes) -> bool:
        if self._failing(line):
            return False
        self.lines.append(line)
        return True

    def spare(self, line: bytes, gone: Callable[[], None]) -> bool:
        return self.take(line)

    async def write(self, line: bytes, *, must: bool = True) -> None:
        if self._failing(line):
            message = "no space"
            raise RecordFailedError(message)
        self.lines.append(line)


class Reviews:
    """Stands for the API server's authorizer."""

    def __init__(self, *may: str) -> None:
        self.asked: list[Any] = []
        self._may = may

    async def review_access(self, spec: Any) -> bool:  # noqa: ANN401 - a SubjectAccessReview's spec
        self.asked.append(spec)
        return spec["user"] in self._may


class NoCluster:
    """An API server that never answers."""

    async def read_grant(self, namespace: str, name: str) -> ApiResponse:
        raise ClusterUnavailableError(f"{namespace}/{name}: there is no API server")


class Alone:
    """A decision point and what stands around it."""

    def __init__(
        self,
        policies: Iterable[Object],
        *,
        url: str = "https://pdp.example",
        seers: Iterable[str] = (),
        records: KeptRecords | None = None,
        cluster: object = None,
        bench: PolicyExaminer | None = None,
        mapped: Mapping[str, bool] | None = None,
        tokens: NamedTokens | None = None,
        bounds: Bounds | None = None,
        histories: HistoryKeeping = no_histories,
    ) -> None:
        self.store = StaticStore(policies)
        self.tokens = tokens or NamedTokens()
        self.records = records or KeptRecords()
        self.reviews = Reviews(*seers)
        store, installation = cast("Store", self.store), Installation()
        reaching = cast("Any", cluster or NoCluster())
        self.pdp = Pdp(
            store,
            Consumer(reaching, lambda: 0.0),
            Opener(reaching, store, installation, lambda: 0.0),
            self.records,
            installation,
            permits=Permits(cast("Any", self.reviews)),
            histories=histories,
        )
        identity = ByToken(cast("Tokens", self.tokens), Issuers(()), cast("Workloads", NamedWorkloads()))
        authenticator = RequestAuthenticator(self.pdp, identity, url, Signer(), app.ADMISSION_BOUNDS, Port.ADMISSION)
        self.enforce = EnforceHandler(authenticator, ProtectedNamespaces())
        self.bench = bench
        signer = Signer(lambda: self.store.keyring, lambda: self.store.guard_proven)
        self.application = app.build(self.pdp, identity, url, lambda: False, signer, bounds=bounds)
        self.validate = None if bench is None else ValidateHandler(bench, store, mapped, self.pdp.counts)
        if self.validate is not None:
            self.admission = app.build_admission(
                self.validate.__call__, lambda: False, self.pdp.counts, bounds, enforce=self.enforce.__call__
            )


def read(folder: Path) -> list[Object]:
    """Return the policies of a folder, with what the API server would have added."""
    documents = [
        document for path in sorted(folder.glob("*.yaml")) for document in yaml.safe_load_all(path.read_text())
    ]
    for document in documents:
        document["metadata"] |= {"uid": document["metadata"]["name"], "generation": 1}
    return documents


async def _run(options: argparse.Namespace) -> None:
    alone = Alone(read(options.policies), url=f"https://{options.host}:{options.port}")
    tls = hardened()
    tls.load_cert_chain(options.tls_cert_file, options.tls_key_file)
    server = await serve(alone.application, options.host, options.port, tls)
    try:
        await asyncio.Event().wait()
    finally:
        await server.stop()


def main() -> None:
    """Serve until stopped."""
    parser = argparse.ArgumentParser(prog="python -m support.pdp.alone")
    parser.add_argument("--policies", type=Path, required=True)
    parser.add_argument("--development", action="store_true")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--status-port", type=int)
    parser.add_argument("--tls-cert-file", type=Path, required=True)
    parser.add_argument("--tls-key-file", type=Path, required=True)
    asyncio.run(_run(parser.parse_args()))


if __name__ == "__main__":
    main()
