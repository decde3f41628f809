"""What a name in a call of the API server stands for."""

import pytest

from bailiwick_engine.compile.kubenames import EVICTION, PROXIED, SAME
from bailiwick_webhook.http.adapters import k8snames
from bailiwick_webhook.http.adapters.k8snames import CallTarget, resolved


@pytest.mark.parametrize(
    ("name", "plain", "properties"),
    [
        ("web", "web", {"scheme": "http"}),
        ("web:", "web", {"scheme": "http"}),
        (":web:", "web", {"scheme": "http"}),
        ("web:80", "web", {"scheme": "http", "port": "80"}),
        ("https:web:443", "web", {"scheme": "https", "port": "443"}),
        ("http:web:65535", "web", {"scheme": "http", "port": "65535"}),
    ],
)
def test_a_proxied_name_is_split_as_the_api_server_splits_it(name: str, plain: str, properties: dict[str, str]) -> None:
    assert resolved("connect", "", "pods", "proxy", name) == CallTarget("connect", "pods/proxy", plain, properties)
    assert resolved("connect", "", "services", "proxy", name) == CallTarget(
        "connect", "services/proxy", plain, properties
    )


@pytest.mark.parametrize("name", [":80", "::", "a:b:c:d", "ftp:web:80", "HTTP:web:", "web:080", "web:+80", "web:65536"])
def test_a_proxied_name_that_does_not_split_is_unclear(name: str) -> None:
    for plural in ("pods", "services", "nodes"):
        assert resolved("connect", "", plural, "proxy", name).unclear


def test_only_a_service_has_ports_by_name() -> None:
    assert resolved("connect", "", "services", "proxy", "web:http-1").properties == {
        "scheme": "http",
        "portName": "http-1",
    }
    assert resolved("connect", "", "pods", "proxy", "web:http").unclear
    assert resolved("connect", "", "services", "proxy", "web:1-").unclear


def test_a_name_is_split_only_where_it_is_proxied() -> None:
    assert resolved("get", "", "pods", "log", "a:b") == CallTarget("get", "pods/log", "a:b")
    assert resolved("connect", "", "pods", "exec", "a:b") == CallTarget("connect", "pods/exec", "a:b")
    assert resolved("connect", "example.com", "pods", "proxy", "a:b") == CallTarget(
        "connect", "example.com/pods/proxy", "a:b"
    )
    assert resolved("connect", "", "nodes", "proxy", "n") == CallTarget("connect", "nodes/proxy", "n")


@pytest.mark.parametrize(
    ("path", "fine"),
    [("", True), ("/", True), ("/a", True), ("/a/", True), ("/a/b.c/", True), ("/...", True), ("/a%2e", True)]
    + [(path, False) for path in ("//", "//a", "/a//", "/a//b", "/.", "/..", "/./", "/a/../b", "/a/..", "/a\x00", 7)],
)
def test_a_proxied_path_has_one_reading_or_none(path: object, *, fine: bool) -> None:
    assert (k8snames.path_problem({"path": path}) is None) is fine
    assert k8snames.path_problem(None)


def test_a_review_is_about_the_object_that_it_holds() -> None:
    held = {"oldObject": {"metadata": {"name": "a", "namespace": "n"}}}
    assert k8snames.identity(held, "delete", "") == ("a", None)
    assert k8snames.identity(held, "delete", "b")[1]
    assert k8snames.identity({"object": "a"}, "update", "")[1]
    assert k8snames.identity({"object": {"metadata": {"generateName": "a-"}}}, "create", "") == ("a-*", None)
    assert k8snames.identity({"object": {"metadata": {}}}, "create", "") == ("", None)
    assert k8snames.namespace_of(held, "") == ("n", None)
    assert k8snames.namespace_of(held, "m")[1]


def test_no_call_is_asked_about_by_a_name_that_authors_are_warned_of() -> None:
    for kind in (EVICTION, *SAME):
        group, _, rest = kind.rpartition("/") if "." in kind else ("", "", kind)
        resource, _, subresource = rest.partition("/")
        assert resolved("create", group, resource, subresource, "web").type != kind
    for kind in PROXIED:
        resource, _, subresource = kind.partition("/")
        for name in ("web:80", "http:web:80", "https:web:"):
            found = resolved("connect", "", resource, subresource, name)
            assert found.unclear is not None or ":" not in found.name
