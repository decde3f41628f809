"""What holds before every real proxy, by the file that ships: whether a call reaches the upstream, and how."""

from pathlib import Path

import pytest

from support.objects import AGENT
from support.pdp.standalone import Process
from support.proxies.kinds import Starts, envoy_grpc
from support.proxies.proxyprocess import RunningProxy
from support.proxies.raw import Answer, attempt, request
from support.proxies.scene import Scene
from support.proxies.servers import FaultyPoint, ReachedUpstream, Server

DENIALS = range(400, 600)


def sent(proxy: RunningProxy, raw: bytes) -> Answer:
    return attempt(proxy.port, raw)


def only(upstream: Server) -> ReachedUpstream:
    (reached,) = upstream.asked
    return reached


@pytest.mark.parametrize(
    "target", ["/customers", "/customers/42", "/customers/a%20b?x=1&y=%2F..%2F", "/customers/a%3Ab%5B"]
)
def test_an_allowed_call_reaches_the_upstream_as_it_was_asked_about(
    proxy: RunningProxy, scene: Scene, upstream: Server, target: str
) -> None:
    answer = sent(proxy, request("GET", target, scene.bearer()))
    assert (answer.status, answer.body) == (200, b"served")
    reached = only(upstream)
    assert (reached.method, reached.target) == ("GET", target)
    assert reached.all("x-bailiwick-subject") == [AGENT]
    (decision,) = reached.all("x-bailiwick-decision")
    assert decision.startswith("eval_")


@pytest.mark.parametrize(
    ("method", "target", "reason"),
    [
        pytest.param("POST", "/customers/42/notice?template=x", "approval_required", id="that needs an approval"),
        pytest.param("DELETE", "/customers/42", "unmapped", id="of a method that no route names"),
        pytest.param("HEAD", "/customers/42/notice", None, id="by HEAD"),
        pytest.param("OPTIONS", "/customers/42", "unmapped", id="by OPTIONS"),
        pytest.param("GET", "/admin", "unmapped", id="of a path that no route names"),
        pytest.param("GET", "/customers/", "unmapped", id="of a path with a slash at its end"),
        pytest.param("GET", "/Customers", "unmapped", id="of a path in another case"),
        pytest.param("GET", "/customers/42;x=1", "ambiguous_request", id="of a path with a parameter"),
        pytest.param("GET", "/customers?_method=DELETE", "ambiguous_request", id="that names another method"),
    ],
)
def test_a_denied_call_does_not_reach_the_upstream_and_says_why(
    proxy: RunningProxy, scene: Scene, upstream: Server, method: str, target: str, reason: str | None
) -> None:
    answer = sent(proxy, request(method, target, scene.bearer()))
    assert answer.status == 403
    assert reason is None or answer.header("x-bailiwick-reason") == reason
    assert (answer.header("x-bailiwick-evaluation") or "").startswith("eval_")
    assert upstream.asked == []


@pytest.mark.parametrize(
    "target",
    [
        *("/customers/../admin", "/customers/%2e%2e/admin", "/%2e%2e/%2e%2e/etc", "/./admin"),
        *("//admin", "/customers//../../admin", "/customers%2F42", "/customers%2f..%2fadmin", "/customers/%252e"),
        *("/customers/42%00", "/customers/42%0d%0aX: y", "/customers/%5c..", "/customers/%FF"),
        *("/customers/*", "*", "http://crm.example.com/admin", "/endpoints/crm/crm-api/access/v1/evaluation"),
        *("/../../../endpoints/crm/crm-api/access/v1/evaluation", "/ext-authz/crm/crm-api/customers/42"),
        *("/customers/42#x", "/%c0%ae%c0%ae/admin", "/_bailiwick", "/customers/%EF%BC%8E%EF%BC%8E"),
    ],
)
def test_a_path_that_can_be_read_otherwise_does_not_reach_the_upstream(
    proxy: RunningProxy, scene: Scene, upstream: Server, target: str
) -> None:
    answer = sent(proxy, request("GET", target, scene.bearer()))
    assert answer.status in {0, *DENIALS}
    assert upstream.asked == []


@pytest.mark.parametrize(
    ("target", "served"),
    [
        ("/customers//42", "/customers/42"),
        ("/customers/./42", "/customers/42"),
        ("/customers/4%32", "/customers/42"),
        ("/customers\\42", "/customers/42"),
        ("/../customers", "/customers"),
        ("/customers//42/../../admin", "/customers/admin"),
    ],
)
def test_what_is_served_is_what_was_asked_about_where_a_proxy_puts_a_path_right(
    proxy: RunningProxy, scene: Scene, upstream: Server, target: str, served: str
) -> None:
    answer = sent(proxy, request("GET", target, scene.bearer()))
    # Envoy puts it right before it asks, the others ask about it as it is, and are denied.
    if answer.status == 200:
        assert only(upstream).target == served
    else:
        assert answer.status in DENIALS
        assert upstream.asked == []


FORGED = {
    "X-Bailiwick-Decision": "forged",
    "X-Bailiwick-Subject": "forged",
    "X-Bailiwick-Issuer": "forged",
    "X-Bailiwick-Enforcer": "Bearer forged",
    "X-Bailiwick-Reason": "forged",
    "X-Bailiwick-Evaluation": "forged",
    "X-Bailiwick-Access-Request": "forged",
    "X-Bailiwick-Task": "forged",
    "X-Original-URI": "/customers",
    "X-Original-Method": "GET",
    "X-Original-Host": "crm.example.com",
    "X-Forwarded-Uri": "/customers",
    "X-Forwarded-Method": "GET",
    "X-Forwarded-Host": "crm.example.com",
    "X-Forwarded-For": "127.0.0.1",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Prefix": "/customers",
    "X-Forwarded-Client-Cert": "URI=spiffe://cluster.local/ns/gateways/sa/proxy",
    "X-Envoy-Original-Path": "/customers",
    "X-Remote-User": "carol",
}


def test_forged_headers_do_not_make_a_denied_call_an_allowed_one(
    proxy: RunningProxy, scene: Scene, upstream: Server
) -> None:
    answer = sent(proxy, request("DELETE", "/customers/42", scene.bearer(), *FORGED.items()))
    assert answer.status == 403
    assert upstream.asked == []


def test_forged_headers_of_ours_do_not_reach_the_upstream(proxy: RunningProxy, scene: Scene, upstream: Server) -> None:
    shown = ("X-Bailiwick-Approval", "agr-x.1")
    answer = sent(proxy, request("GET", "/customers/42", scene.bearer(), *FORGED.items(), shown))
    assert answer.status == 200
    reached = only(upstream)
    assert reached.target == "/customers/42"
    assert reached.all("x-bailiwick-subject") == [AGENT]
    assert reached.all("x-bailiwick-issuer") == ["cluster"]
    assert reached.all("x-bailiwick-decision")[0].startswith("eval_")
    assert len(reached.all("x-bailiwick-decision")) == 1
    ours = {name for name, _ in reached.headers if name.startswith("x-bailiwick-")}
    assert ours == {"x-bailiwick-subject", "x-bailiwick-issuer", "x-bailiwick-decision"}


@pytest.mark.parametrize(
    "name",
    [
        "X_Bailiwick_Subject",
        "X_Bailiwick_Issuer",
        "X-Bailiwick_Decision",
        "X_HTTP_Method_Override",
        "X_Original-URL",
        "_",
        "X_Any",
    ],
)
def test_a_name_that_some_upstreams_take_for_another_does_not_reach_them(
    proxy: RunningProxy, scene: Scene, upstream: Server, name: str
) -> None:
    # Those of WSGI and CGI read X_Bailiwick_Subject as X-Bailiwick-Subject.
    answer = sent(proxy, request("GET", "/customers/42", (name, "forged"), scene.bearer()))
    assert answer.status in {200, 400}
    assert len(upstream.asked) == (answer.status == 200)
    assert all("forged" not in str(reached.headers) for reached in upstream.asked)


@pytest.mark.parametrize("name", ["X-HTTP-Method-Override", "X-Original-URL", "X-Rewrite-URL"])
def test_a_header_that_makes_another_call_of_it_is_refused(
    proxy: RunningProxy, scene: Scene, upstream: Server, name: str
) -> None:
    answer = sent(proxy, request("GET", "/customers/42", scene.bearer(), (name, "DELETE")))
    assert (answer.status, answer.header("x-bailiwick-reason")) == (403, "ambiguous_request")
    assert upstream.asked == []


@pytest.mark.parametrize("other", ["Bearer x.y.z", "Basic YTpi"])
@pytest.mark.parametrize("first", [True, False])
def test_two_credentials_are_denied(
    proxy: RunningProxy, scene: Scene, upstream: Server, other: str, first: bool
) -> None:
    both = [scene.bearer(), ("Authorization", other)]
    answer = sent(proxy, request("GET", "/customers/42", *(both if first else both[::-1])))
    assert answer.status in DENIALS
    assert upstream.asked == []


def test_an_empty_credential_beside_one_reaches_nobody(proxy: RunningProxy, scene: Scene, upstream: Server) -> None:
    answer = sent(proxy, request("GET", "/customers/42", scene.bearer(), ("Authorization", "")))
    # Envoy drops what is empty, for us and for the upstream.
    if answer.status == 200:
        assert only(upstream).all("authorization") == [credential_of(upstream)]
    else:
        assert answer.status in DENIALS
        assert upstream.asked == []


def credential_of(upstream: Server) -> str:
    (credential,) = only(upstream).all("authorization")
    assert credential.startswith("Bearer ")
    return credential


def test_a_call_without_a_credential_is_denied(proxy: RunningProxy, upstream: Server) -> None:
    assert sent(proxy, request("GET", "/customers/42")).status in {401, 403}
    assert upstream.asked == []


@pytest.mark.parametrize("host", ["other.example.com", "crm.example.com.", "user@crm.example.com", "CRM\u00e9"])
def test_a_call_for_another_host_is_denied(proxy: RunningProxy, scene: Scene, upstream: Server, host: str) -> None:
    assert sent(proxy, request("GET", "/customers/42", scene.bearer(), host=host)).status in DENIALS
    assert upstream.asked == []


def test_a_proxy_that_the_endpoint_does_not_name_is_a_stranger(
    before: Starts, scene: Scene, point: Process, upstream: Server, tmp_path: Path
) -> None:
    port = point.grpc_port if before is envoy_grpc else point.port
    with before(scene.by_a_stranger(), tmp_path, upstream.port, port) as proxy:
        answer = sent(proxy, request("GET", "/customers/42", scene.bearer()))
    assert (answer.status, answer.header("x-bailiwick-reason")) == (403, "forbidden")
    assert upstream.asked == []


def test_ten_thousand_headers_are_denied(proxy: RunningProxy, scene: Scene, upstream: Server) -> None:
    many = [(f"X-{number}", "x") for number in range(10_000)]
    answer = sent(proxy, request("GET", "/customers/42", *many, scene.bearer()))
    assert answer.status in {0, *DENIALS}
    assert upstream.asked == []


def test_an_approval_that_is_no_approval_lets_nothing_through(
    proxy: RunningProxy, scene: Scene, upstream: Server
) -> None:
    shown = ("X-Bailiwick-Approval", "agr-x.1 a.b.c")
    answer = sent(proxy, request("POST", "/customers/42/notice?template=x", scene.bearer(), shown))
    assert (answer.status, answer.header("x-bailiwick-reason")) == (403, "approval_token_invalid")
    assert upstream.asked == []


def test_all_questions_about_a_call_have_one_id_which_is_not_its_clients(
    faulty_proxy: RunningProxy, faulty_point: FaultyPoint, scene: Scene, upstream: Server
) -> None:
    # By it a call that is asked about twice uses an approval once, and no client can use somebody else's answer.
    faulty_point.fault, faulty_point.delay = "closed", 0.0
    seen: list[tuple[str, ...]] = []
    for forged in ([("X-Request-ID", "forged")], [("X-Request-ID", "forged"), ("X-Request-ID", "more")], []):
        faulty_point.asked.clear()
        assert sent(faulty_proxy, request("GET", "/customers/42", scene.bearer(), *forged)).status in DENIALS
        ids = {tuple(reached.all("x-request-id")) for reached in faulty_point.asked}
        assert len(ids) == 1
        seen += ids
    assert upstream.asked == []
    assert len(set(seen)) == 3
    assert all(len(found) == 1 and len(found[0]) >= 32 and "forged" not in found[0] for found in seen), seen


class TestADecisionPointThat:
    @pytest.mark.parametrize("fault", sorted(FaultyPoint.FAULTS))
    def test_gives_no_answer_denies(
        self, faulty_proxy: RunningProxy, faulty_point: FaultyPoint, scene: Scene, upstream: Server, fault: str
    ) -> None:
        faulty_point.fault, faulty_point.delay = fault, 0.0
        answer = sent(faulty_proxy, request("GET", "/customers/42", scene.bearer()))
        assert answer.status in {302, *DENIALS}
        assert upstream.asked == []

    @pytest.mark.parametrize("before_http", ["envoy", "haproxy"], indirect=True)
    @pytest.mark.parametrize("status", [201, 202, 204, 206, 299])
    def test_answers_another_success_than_200_denies(
        self, faulty_proxy: RunningProxy, faulty_point: FaultyPoint, scene: Scene, upstream: Server, status: int
    ) -> None:
        # nginx and Caddy take each of these for an allow, which is why we send none.
        said = f"HTTP/1.1 {status} Said\r\nX-Bailiwick-Decision: eval_x\r\nContent-Length: 0\r\n\r\n"
        faulty_point.fault, faulty_point.delay = said, 0.0
        sent(faulty_proxy, request("GET", "/customers/42", scene.bearer()))
        assert upstream.asked == []

    def test_leaves_a_header_out_leaves_none_of_the_clients(
        self, faulty_proxy: RunningProxy, faulty_point: FaultyPoint, scene: Scene, upstream: Server
    ) -> None:
        # One of an earlier version does, which has fewer of them.
        allow = "HTTP/1.1 200 OK\r\nX-Bailiwick-Decision: eval_x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        faulty_point.fault, faulty_point.delay = allow, 0.0
        assert sent(faulty_proxy, request("GET", "/customers/42", scene.bearer(), *FORGED.items())).status == 200
        reached = only(upstream)
        assert reached.all("x-bailiwick-decision") == ["eval_x"]
        assert {*reached.all("x-bailiwick-subject"), *reached.all("x-bailiwick-issuer")} <= {""}

    def test_is_slow_denies(
        self, faulty_proxy: RunningProxy, faulty_point: FaultyPoint, scene: Scene, upstream: Server
    ) -> None:
        allow = "HTTP/1.1 200 OK\r\nX-Bailiwick-Decision: eval_x\r\nContent-Length: 0\r\n\r\n"
        faulty_point.fault, faulty_point.delay = allow, 3.0
        answer = sent(faulty_proxy, request("GET", "/customers/42", scene.bearer()))
        assert answer.status in DENIALS
        assert upstream.asked == []

    def test_is_not_there_denies_and_does_not_once_it_is_back(
        self, faulty_proxy: RunningProxy, faulty_point: FaultyPoint, scene: Scene, upstream: Server
    ) -> None:
        faulty_point.fault, faulty_point.delay = (
            "HTTP/1.1 200 OK\r\nX-Bailiwick-Decision: eval_x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            0.0,
        )
        faulty_point.stop()
        try:
            answer = sent(faulty_proxy, request("GET", "/customers/42", scene.bearer()))
            assert answer.status in DENIALS
            assert upstream.asked == []
        finally:
            faulty_point.start()
        assert sent(faulty_proxy, request("GET", "/customers/42", scene.bearer())).status == 200
        assert len(upstream.asked) == 1
