"""A cluster that believes every token, two issuers of people, and clocks that stand still.

Standing: the API server here confirms whatever it is asked, but for accounts and pods that a test says are gone: what
is refused is refused by what stands before it. How a real API server answers is seen in tests/cluster/identity.
"""

import asyncio
import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

from joserfc.jwk import ECKey, RSAKey

from bailiwick_api.issuers import IssuerConfig
from bailiwick_engine.call import Party, ServiceAccount, UnprovenParty
from bailiwick_engine.policy.model import CompiledSettings, PolicyRef
from bailiwick_kube.responses import ApiResponse
from bailiwick_process.jwt.keyset import KeySet
from bailiwick_webhook.cluster.client import ApiClient, ClusterUnavailableError
from bailiwick_webhook.identity.jwt.issuers import Issuers
from bailiwick_webhook.identity.jwt.verifier import Verifier
from bailiwick_webhook.identity.subject import ByToken, ClaimedSubject, Parties
from bailiwick_webhook.identity.tokens import RULES, AuthenticatedAccount, Tokens, publisher
from bailiwick_webhook.identity.workloads import Workloads
from bailiwick_webhook.steps import resolve
from unit.webhook.identity.forgery import compact, signing

NOW: Final = 1_800_000_000.0
AUDIENCE: Final = "crm-api.crm"
CLUSTER_URL: Final = "https://kubernetes.default.svc"
CORP: Final = "https://login.corp.example"
PARTNER: Final = "https://login.partner.example"
AGENT: Final = "system:serviceaccount:agents:crm-agent"
OTHER: Final = "system:serviceaccount:agents:other"
MAX_STALENESS: Final = 120.0

RSA: Final = RSAKey.generate_key(2048, {"kid": "cluster-1"})
NEXT_RSA: Final = RSAKey.generate_key(2048, {"kid": "cluster-2"})
EC: Final = ECKey.generate_key("P-256", {"kid": "corp-1"})
NEXT_EC: Final = ECKey.generate_key("P-256", {"kid": "corp-2"})
PARTNER_EC: Final = ECKey.generate_key("P-256", {"kid": "corp-1"})

Claims = dict[str, Any]


def jwks(*keys: RSAKey | ECKey) -> dict[str, Any]:
    """Return what an issuer publishes."""
    return {"keys": [key.as_dict(private=False) for key in keys]}


@dataclass
class FakeCluster:
    """As far as identity asks a cluster. `down`: it does not answer; `keys_down`: only its keys are not to be had.

    `hangs`: whoever asks about a token waits until it is set, and then hears nothing. `says`: what it says of every
    token, and not what the token says. `takes`: so many seconds pass by `passed` before it answers.
    """

    published: dict[str, Any] = field(default_factory=lambda: jwks(RSA))
    gone: set[str] = field(default_factory=set)
    down: bool = False
    keys_down: bool = False
    reviewed: list[str] = field(default_factory=list)
    keys_read: int = 0
    says: dict[str, Any] | None = None
    hangs: asyncio.Event | None = None
    takes: float = 0.0
    passed: Callable[[float], None] = lambda _: None
    pods: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)

    async def read_token_issuer(self) -> tuple[str, dict[str, Any]]:
        self.keys_read += 1
        if self.down or self.keys_down:
            raise ClusterUnavailableError("down")
        return CLUSTER_URL, self.published

    async def review_token(self, token: str, audiences: list[str]) -> dict[str, Any]:
        if self.down:
            raise ClusterUnavailableError("down")
        self.reviewed.append(token)
        if self.hangs is not None:
            await self.hangs.wait()
            raise ClusterUnavailableError("timed out")
        self.passed(self.takes)
        if self.says is not None:
            return self.says
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        bound = claims["kubernetes.io"]
        uids = {bound["serviceaccount"]["uid"], bound.get("pod", {}).get("uid")}
        if uids & self.gone:
            return {"authenticated": False, "error": "token has been invalidated"}
        user = {"username": claims["sub"], "uid": bound["serviceaccount"]["uid"]}
        return {"authenticated": True, "user": user, "audiences": audiences}

    async def read_pod(self, namespace: str, name: str) -> ApiResponse:
        if self.down:
            raise ClusterUnavailableError("down")
        pod = self.pods.get((namespace, name))
        return ApiResponse(404, {}, NOW) if pod is None else ApiResponse(200, pod, NOW)


class World:
    """Everything that `Identity` needs. `now` and `clock` are moved by the test."""

    def __init__(self, folder: Path, **of_corp: object) -> None:
        self.now = NOW
        self.clock = 1000.0
        self.cluster = FakeCluster(passed=self.pass_seconds)
        self.corp_keys = folder / "corp.json"
        partner_keys = folder / "partner.json"
        self.publish(EC)
        partner_keys.write_text(json.dumps(jwks(PARTNER_EC)))
        files = {"corp": (CORP, self.corp_keys), "partner": (PARTNER, partner_keys)}
        configs = [
            IssuerConfig.model_validate(
                {"name": name, "issuer": url, "jwksFile": str(file), **(of_corp if name == "corp" else {})}
            )
            for name, (url, file) in files.items()
        ]
        cluster = cast("ApiClient", self.cluster)
        keys = KeySet("cluster", publisher(cluster), clock=lambda: self.clock)
        self.identity = ByToken(
            Tokens(
                cluster,
                Verifier(keys, RULES, clock=lambda: self.clock, now=lambda: self.now),
                max_staleness=MAX_STALENESS,
                clock=lambda: self.clock,
                now=lambda: self.now,
            ),
            Issuers(configs, clock=lambda: self.clock, now=lambda: self.now),
            Workloads(cluster, lambda: self.clock),
        )

    def publish(self, *keys: ECKey) -> None:
        self.corp_keys.write_text(json.dumps(jwks(*keys)))

    def pass_seconds(self, seconds: float) -> None:
        self.now += seconds
        self.clock += seconds

    async def verify(
        self,
        token: str | None,
        *,
        kind: str = "user",
        name: str = "dave",
        actor_token: str | None = None,
        properties: Mapping[str, Any] | None = None,
        settings: CompiledSettings | None = None,
    ) -> Parties:
        claimed = ClaimedSubject(kind, name, properties, token, actor_token)
        return await resolve(self.identity.verify(claimed, ENFORCER, settings or endpoint()))


ENFORCER: Final = AuthenticatedAccount(
    ServiceAccount("system:serviceaccount:crm:crm-api", "enforcer-uid"), {}, live=True
)


def endpoint(**fields: Any) -> CompiledSettings:  # noqa: ANN401 - fields of `CompiledSettings`
    given: dict[str, Any] = {
        "carrier": PolicyRef("crm", "crm-agent", "policy-uid", 1),
        "enforcers": frozenset({ENFORCER.account.username}),
        "audiences": frozenset({AUDIENCE}),
        "asserted": False,
        "issuers": frozenset({"cluster", "corp", "partner"}),
        "delegation": None,
    }
    return CompiledSettings(**{**given, **fields})


def merged(own: Claims, other: Claims) -> Claims:
    """Return these members with others in their place; `...` removes one."""
    return {name: value for name, value in {**own, **other}.items() if value is not ...}


def person_claims(**other: object) -> Claims:
    own = {"iss": CORP, "sub": "dave", "aud": AUDIENCE, "iat": int(NOW) - 60, "exp": int(NOW) + 600}
    return merged(own, other)


def account_claims(username: str = AGENT, uid: str = "agent-uid", **other: object) -> Claims:
    _, _, namespace, name = username.split(":")
    own = {
        "iss": CLUSTER_URL,
        "sub": username,
        "aud": [AUDIENCE],
        "iat": int(NOW) - 60,
        "nbf": int(NOW) - 60,
        "exp": int(NOW) + 600,
        "kubernetes.io": {"namespace": namespace, "serviceaccount": {"name": name, "uid": uid}},
    }
    return merged(own, other)


def person_token(header: Claims | None = None, *, key: ECKey = EC, **other: object) -> str:
    """Return a good token of dave at corp, but for what is given; `...` removes a member."""
    head = merged({"alg": "ES256", "kid": key.kid, "typ": "at+jwt"}, header or {})
    return compact(head, person_claims(**other), signing(key, "ES256"))


def account_token(
    header: Claims | None = None, *, username: str = AGENT, uid: str = "agent-uid", key: RSAKey = RSA, **other: object
) -> str:
    """Return a good token of the agent, as the API server issues it, but for what is given."""
    head = merged({"alg": "RS256", "kid": key.kid}, header or {})
    return compact(head, account_claims(username, uid, **other), signing(key, "RS256"))


def proven(parties: Parties) -> Party:
    assert isinstance(parties.subject, Party), parties.subject
    return parties.subject


def reason_of(parties: Parties) -> str | None:
    """Return why nobody is proven; None where somebody is."""
    return parties.subject.reason.value if isinstance(parties.subject, UnprovenParty) else None
