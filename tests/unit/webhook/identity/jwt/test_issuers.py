"""The file of issuers, and fetching their keys: closed, bounded, and only from where it says."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from bailiwick_api.issuers import IssuerConfig, IssuersError, load
from bailiwick_engine.compile import schemaerrors
from bailiwick_process.jwt.compact import parse
from bailiwick_process.jwt.fetch import FetchError, FetchRule, fetch_json
from bailiwick_webhook.identity.jwt.issuers import Issuers
from bailiwick_webhook.identity.jwt.verifier import VerifiedClaims
from bailiwick_webhook.identity.people import MAX_GROUPS
from bailiwick_webhook.steps import resolve
from issuer.server import DISCOVERY, KEYS, Server, serving
from unit.webhook.identity.world import World, endpoint, person_token, proven, reason_of

CORP: Final = {"name": "corp", "issuer": "https://login.corp.example"}
SIGNALS: Final = {
    "pollURL": "https://login.corp.example/poll",
    "tokenFile": "ssf.token",
    "audience": "https://bailiwick.example.com",
    "maxTokenSeconds": 3600,
}


def _file(folder: Path, *listed: object) -> Path:
    path = folder / "issuers.yaml"
    path.write_text(yaml.safe_dump({"issuers": list(listed)}))
    return path


@pytest.mark.parametrize(
    ("listed", "said"),
    [
        ([], "at least 1"),
        ([{**CORP, "audience": "x"}], "audience"),
        ([{**CORP, "name": "Corp"}], "name"),
        # Its people would have the uids of those whom an enforcer only asserts.
        ([{**CORP, "name": "asserted"}], "choose another name"),
        ([CORP, CORP], "the same name"),
        ([CORP, {**CORP, "name": "again"}], "the same issuer"),
        ([{**CORP, "issuer": "http://login.corp.example"}], "https"),
        ([{**CORP, "issuer": "https://user@login.corp.example"}], "must not contain a user"),
        ([{**CORP, "jwksURL": "http://x"}], "https"),
        ([{**CORP, "jwksURL": "file:///etc/passwd"}], "https"),
        ([{**CORP, "jwksURL": "https://x", "jwksFile": "x"}], "set either jwksURL or jwksFile"),
        ([{**CORP, "algorithms": ["HS256"]}], "algorithms"),
        ([{**CORP, "algorithms": ["none"]}], "algorithms"),
        ([{**CORP, "algorithms": []}], "algorithms"),
        ([{**CORP, "types": ["approval+jwt"]}], "types"),
        ([{**CORP, "leewaySeconds": 31}], "leewaySeconds"),
        ([{**CORP, "leewaySeconds": -1}], "leewaySeconds"),
        ([{**CORP, "claims": {"kubernetesUsername": "everybody"}}], "names no claim"),
        ([{**CORP, "claims": {"kubernetesUsername": "{sub"}}], "encloses no claim"),
        ([{**CORP, "claims": {"kubernetesUsername": "system:{sub}"}}], "system:"),
        ([{**CORP, "signals": {**SIGNALS, "pollURL": "http://login.corp.example/poll"}}], "https"),
        ([{**CORP, "signals": {**SIGNALS, "pollURL": "https://me:secret@login.corp.example/"}}], "must not contain"),
        ([{**CORP, "signals": {**SIGNALS, "maxTokenSeconds": 59}}], "maxTokenSeconds"),
        ([{**CORP, "signals": {**SIGNALS, "maxTokenSeconds": 86_401}}], "maxTokenSeconds"),
        ([{**CORP, "signals": {**SIGNALS, "audience": ""}}], "audience"),
        ([{**CORP, "signals": {**SIGNALS, "token": "x"}}], "token"),
        *(
            ([{**CORP, "signals": {name: value for name, value in SIGNALS.items() if name != absent}}], absent)
            for absent in SIGNALS
        ),
        ([{**CORP, "name": "cluster", "signals": SIGNALS}], "service accounts"),
    ],
)
def test_a_file_that_cannot_be_meant_is_refused_with_the_place(tmp_path: Path, listed: list[Any], said: str) -> None:
    with pytest.raises(IssuersError, match=said):
        load(_file(tmp_path, *listed), schemaerrors.problems)


@pytest.mark.parametrize("text", ["", "[]", "issuers: x", "a: [", "\0"])
def test_a_file_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "issuers.yaml"
    path.write_text(text)
    with pytest.raises(IssuersError):
        load(path, schemaerrors.problems)


def test_the_example_is_a_good_one() -> None:
    (corp,) = load(Path(__file__).parents[5] / "examples" / "support" / "issuers.yaml", schemaerrors.problems)
    assert (corp.name, corp.claims.kubernetes_username) == ("corp", "oidc:{sub}")


def test_paths_count_from_the_files_folder(tmp_path: Path) -> None:
    (config,) = load(
        _file(tmp_path, {**CORP, "jwksFile": "keys.json", "caFile": "/elsewhere/ca.crt"}), schemaerrors.problems
    )
    assert (config.jwks_file, config.ca_file) == (tmp_path / "keys.json", Path("/elsewhere/ca.crt"))
    (config,) = load(_file(tmp_path, {**CORP, "signals": SIGNALS}), schemaerrors.problems)
    assert config.signals is not None
    assert config.signals.token_file == tmp_path / "ssf.token"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with serving(tmp_path) as server:
        yield server


async def _ask(server: Server, **fields: object) -> str | None:
    """Return whose token the issuer's keys verify; None where they could not be read."""
    given = {"name": "corp", "issuer": server.signer.url, "caFile": str(server.ca_file), "allowPrivateAddresses": True}
    issuer = Issuers([IssuerConfig.model_validate({**given, **fields})]).find(server.signer.url)
    parsed = parse(server.signer.token("dave", "x"))
    assert issuer is not None
    assert parsed is not None
    found = await resolve(issuer.verifier.verify(parsed))
    return str(found.claims["sub"]) if isinstance(found, VerifiedClaims) else None


async def test_keys_are_found_by_discovery_or_by_their_own_url(server: Server) -> None:
    assert await _ask(server) == "dave"
    assert server.asked == [DISCOVERY, KEYS]
    server.asked.clear()
    assert await _ask(server, jwksURL=server.signer.url + KEYS) == "dave"
    assert server.asked == [KEYS]


@pytest.mark.parametrize("path", [DISCOVERY, KEYS])
@pytest.mark.parametrize(
    "reply",
    [
        (302, b"", {"Location": KEYS}),
        (500, b"{}", {}),
        (200, b"", {}),
        (200, b"<html>", {}),
        (200, b'"' + b"a" * 300_000 + b'"', {}),
        (200, b"[]", {}),
        (200, b'{"keys": 1}', {}),
        (200, json.dumps({"keys": [{}] * 100}).encode(), {}),
        (200, json.dumps({"issuer": "https://evil.example", "jwks_uri": "x"}).encode(), {}),
    ],
    ids=["redirect", "error", "nothing", "a page", "too much", "a list", "no keys", "too many", "another issuer"],
)
async def test_an_answer_that_is_none_gives_no_keys(
    server: Server, path: str, reply: tuple[int, bytes, dict[str, str]]
) -> None:
    server.replies[path] = reply
    assert await _ask(server) is None


async def test_what_is_refused_is_the_way_and_not_what_it_leads_to(server: Server) -> None:
    good = server.document(KEYS)[1]
    server.replies["/moved"] = (200, good, {})
    server.replies[KEYS] = (302, b"", {"Location": "/moved"})
    assert await _ask(server) is None
    server.replies[KEYS] = (200, good[:-1] + b', "padding": "' + b"a" * 300_000 + b'"}', {})
    assert await _ask(server) is None
    server.replies[KEYS] = (200, good[:-1] + b', "padding": "' + b"a" * 30_000 + b'"}', {})
    assert await _ask(server) == "dave"
    document = {"issuer": "https://evil.example", "jwks_uri": server.signer.url + KEYS}
    server.replies[DISCOVERY] = (200, json.dumps(document).encode(), {})
    assert await _ask(server) is None


async def test_a_discovery_document_leads_nowhere_but_to_https(server: Server) -> None:
    server.replies[DISCOVERY] = (200, json.dumps({"issuer": server.signer.url, "jwks_uri": "http://x/"}).encode(), {})
    assert await _ask(server) is None


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_a_private_address_is_not_called_unless_allowed(server: Server, host: str) -> None:
    url = server.signer.url.replace("127.0.0.1", host) + KEYS
    assert await _ask(server, jwksURL=url, allowPrivateAddresses=False) is None
    assert server.asked == []
    assert await _ask(server, jwksURL=url) == "dave"


@pytest.mark.parametrize(
    "host",
    ["10.0.0.1", "169.254.169.254", "[::1]", "[::ffff:10.0.0.1]", "[fd00::1]", "[::]", "224.0.0.1", "100.64.0.1"],
)
async def test_no_literal_of_a_private_address_is_called(server: Server, host: str) -> None:
    assert await _ask(server, jwksURL=f"https://{host}/keys", allowPrivateAddresses=False) is None


@pytest.mark.parametrize(
    "host",
    [
        *("64:ff9b::a00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::a00:1", "2002:a00:1::", "2002:a9fe:a9fe::1"),
        *("2001:0:4136:e378:8000:63bf:f5ff:fffe", "::10.0.0.1", "::ffff:169.254.169.254", "fec0::1"),
    ],
)
async def test_an_address_that_a_gateway_translates_into_a_private_one_is_not_called(host: str) -> None:
    with pytest.raises(FetchError, match="not a public address"):
        await fetch_json(f"https://[{host}]/keys", FetchRule(None, private=False, seconds=0.1))


@pytest.mark.parametrize("host", ["[2606:4700::1111]", "192.0.2.1.example"])
async def test_a_public_address_and_a_name_are_not_refused_by_how_they_are_written(host: str) -> None:
    with pytest.raises(FetchError) as refused:
        await fetch_json(f"https://{host}/keys", FetchRule(None, private=False, seconds=0.01))
    assert "not a public address" not in str(refused.value)


async def test_a_server_of_another_authority_is_not_believed(server: Server) -> None:
    assert await _ask(server, caFile=None) is None


class TestClaims:
    @pytest.mark.parametrize(
        ("mapping", "claims", "username"),
        [
            ({}, {}, None),
            ({"kubernetesUsername": "oidc:{sub}"}, {}, "oidc:dave"),
            ({"kubernetesUsername": "{email}"}, {"email": "dave@corp.example"}, "dave@corp.example"),
            ({"kubernetesUsername": "{email}"}, {"email": "d@x", "email_verified": True}, "d@x"),
            ({"kubernetesUsername": "{email}"}, {"email": "d@x", "email_verified": False}, None),
            ({"kubernetesUsername": "{email}"}, {}, None),
            ({"kubernetesUsername": "{email}"}, {"email": ["d@x"]}, None),
            ({"kubernetesUsername": "{preferred}"}, {"preferred": "system:admin"}, None),
            ({"kubernetesUsername": "{sub}-{nick}"}, {"nick": "d"}, "dave-d"),
            ({"kubernetesUsername": "{sub}-{nick}"}, {}, None),
            ({"kubernetesUsername": "{sub}"}, {"email": "d@x", "email_verified": False}, "dave"),
        ],
    )
    async def test_the_api_servers_name_is_certain_or_none(
        self, tmp_path: Path, mapping: dict[str, str], claims: dict[str, Any], username: str | None
    ) -> None:
        world = World(tmp_path, claims=mapping)
        assert proven(await world.verify(person_token(**claims))).username == username

    async def test_name_and_groups_are_where_the_file_says(self, tmp_path: Path) -> None:
        world = World(tmp_path, claims={"name": "upn", "groups": "roles"})
        token = person_token(upn="dave@corp", roles=["support", "support", "lead"], groups=["admins"])
        found = proven(await world.verify(token, name="dave@corp"))
        assert (found.id, found.groups, found.uid) == ("dave@corp", ("support", "lead"), "corp#dave@corp")

    async def test_an_unverified_email_names_nobody(self, tmp_path: Path) -> None:
        world = World(tmp_path, claims={"name": "email"})
        for verified, reason in ((False, "identity_invalid"), ("true", "identity_invalid"), (True, None), (..., None)):
            token = person_token(email="dave@corp", email_verified=verified)
            assert reason_of(await world.verify(token, name="dave@corp")) == reason

    @pytest.mark.parametrize(
        ("claims", "groups"),
        [
            ({}, ()),
            ({"groups": "support"}, ("support",)),
            ({"groups": [f"g{number}" for number in range(MAX_GROUPS)]}, tuple(f"g{n}" for n in range(MAX_GROUPS))),
            ({"groups": [f"g{number}" for number in range(MAX_GROUPS + 1)]}, None),
            ({"groups": {"support": True}}, None),
            ({"groups": ["support", 1]}, None),
            ({"groups": ["support", ""]}, None),
            ({"_claim_names": {"groups": "src1"}}, None),
            ({"_claim_names": {"address": "src1"}, "groups": ["support"]}, ("support",)),
            ({"hasgroups": True}, None),
            ({"hasgroups": "true"}, None),
            ({"hasgroups": False}, ()),
            ({"hasgroups": True, "groups": ["support"]}, ("support",)),
        ],
    )
    async def test_groups_that_cannot_all_be_told_name_nobody(
        self, tmp_path: Path, claims: dict[str, Any], groups: tuple[str, ...] | None
    ) -> None:
        found = await World(tmp_path).verify(person_token(**claims))
        assert reason_of(found) == ("identity_invalid" if groups is None else None)
        assert groups is None or proven(found).groups == groups

    @pytest.mark.parametrize("name", ["dave\u200b", "\u202edave", "dave\0", "da\nve", "d" * 254])
    async def test_a_name_that_nobody_can_read_is_none_whatever_the_body_says(self, tmp_path: Path, name: str) -> None:
        assert reason_of(await World(tmp_path).verify(person_token(sub=name), name=name)) == "identity_invalid"

    async def test_a_long_name_has_a_uid_that_a_grant_can_hold(self, tmp_path: Path) -> None:
        name = "d" * 253
        found = proven(await World(tmp_path).verify(person_token(sub=name), name=name))
        assert found.uid.startswith("sha256:")
        assert len(found.uid) <= 128


async def test_an_issuer_is_accepted_for_its_own_audiences_only(tmp_path: Path) -> None:
    world = World(tmp_path, audiences=["crm-api.crm", "wiki"])
    accepted = endpoint(audiences=frozenset({"crm-api.crm", "grafana"}))
    assert reason_of(await world.verify(person_token(), settings=accepted)) is None
    for audience in ("grafana", "wiki"):
        found = await world.verify(person_token(aud=audience), settings=accepted)
        assert reason_of(found) == "audience_mismatch"


async def test_leeway_only_ends_a_token_sooner(tmp_path: Path) -> None:
    world = World(tmp_path, leewaySeconds=30)
    for seconds, reason in ((-1, "identity_invalid"), (30, "identity_invalid"), (31, None)):
        assert reason_of(await world.verify(person_token(exp=int(world.now) + seconds))) == reason
    assert reason_of(await world.verify(person_token(nbf=int(world.now) + 1))) == "identity_invalid"
