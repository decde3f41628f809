"""Paths, queries and hosts of proxied calls: what has one reading, and what is refused."""

import pytest

from bailiwick_engine.policy.paths import (
    MAX_SEGMENTS,
    MAX_TARGET,
    CanonicalPath,
    PathDefect,
    canonical_host,
    canonical_path,
    query_values,
    without_port,
)

ACCEPTED = {
    "/": ((), True),
    "/customers": (("customers",), False),
    "/customers/": (("customers",), True),
    "/customers/42/export": (("customers", "42", "export"), False),
    "/a%20b": (("a b",), False),
    "/%C3%A9t%C3%A9": (("été",), False),
    "/carol@corp.example": (("carol@corp.example",), False),
    "/carol%40corp.example": (("carol@corp.example",), False),
    "/a:b,c+d=e$f&g!h'(i)~_-.x": (("a:b,c+d=e$f&g!h'(i)~_-.x",), False),
    "/Orders('a')": (("Orders('a')",), False),
    "/Orders(key=length(a))": (("Orders(key=length(a))",), False),
    "/v1.2": (("v1.2",), False),
    "/.well-known": ((".well-known",), False),
}

REFUSED = {
    "empty": ("", PathDefect.FORM),
    "relative": ("customers", PathDefect.FORM),
    "absolute form": ("http://crm.example.com/customers", PathDefect.FORM),
    "two slashes": ("/customers//42", PathDefect.EMPTY),
    "two slashes at the beginning": ("//customers", PathDefect.EMPTY),
    "two slashes at the end": ("/customers//", PathDefect.EMPTY),
    "only slashes": ("//", PathDefect.EMPTY),
    "a dot": ("/customers/./42", PathDefect.DOTS),
    "two dots": ("/customers/../admin", PathDefect.DOTS),
    "two dots at the end": ("/customers/..", PathDefect.DOTS),
    "three dots": ("/customers/...", PathDefect.DOTS),
    "a dot at the end of a segment": ("/customers./42", PathDefect.DOTS),
    "a space at the end of a segment": ("/customers%20/42", PathDefect.DOTS),
    "a space at the beginning of a segment": ("/%20customers", PathDefect.DOTS),
    "encoded dots": ("/%2E%2E/admin", PathDefect.ENCODED),
    "encoded dots in small letters": ("/%2e%2e/admin", PathDefect.FORM),
    "one encoded dot": ("/.%2E/admin", PathDefect.ENCODED),
    "an encoded slash": ("/customers%2F42", PathDefect.MEANING),
    "an encoded slash in small letters": ("/customers%2f42", PathDefect.FORM),
    "an encoded backslash": ("/customers%5C42", PathDefect.MEANING),
    "a backslash": ("/customers\\42", PathDefect.MEANING),
    "a parameter": ("/customers;x=1/42", PathDefect.MEANING),
    "an encoded parameter": ("/customers%3Bx=1", PathDefect.MEANING),
    "a star": ("/customers/*", PathDefect.MEANING),
    "an encoded star": ("/customers/%2A", PathDefect.MEANING),
    "an encoded question mark": ("/customers%3Fx", PathDefect.MEANING),
    "a fragment": ("/customers#x", PathDefect.MEANING),
    "an encoded hash": ("/customers%23x", PathDefect.MEANING),
    "encoded twice": ("/%252e%252e/admin", PathDefect.MEANING),
    "an encoded percent": ("/100%25", PathDefect.MEANING),
    "a letter that is encoded": ("/custom%65rs", PathDefect.ENCODED),
    "a digit that is encoded": ("/customers/%34%32", PathDefect.ENCODED),
    "an encoding that breaks off": ("/customers/%4", PathDefect.FORM),
    "an encoding of no digits": ("/customers/%zz", PathDefect.FORM),
    "NUL": ("/customers/42%00", PathDefect.TEXT),
    "a raw NUL": ("/customers/42\x00", PathDefect.FORM),
    "a line break": ("/customers/42%0A", PathDefect.TEXT),
    "a raw blank": ("/customers/4 2", PathDefect.FORM),
    "no UTF-8": ("/%FF", PathDefect.TEXT),
    "an overlong slash": ("/a%C0%AFb", PathDefect.TEXT),
    "half a character": ("/%ED%A0%80", PathDefect.TEXT),
    "raw letters beyond ASCII": ("/été", PathDefect.FORM),
    "a byte that is no text": ("/\udcff", PathDefect.FORM),
    "a letter in two parts": ("/e%CC%81", PathDefect.TEXT),
    "a character nobody sees": ("/a%E2%80%8Bb", PathDefect.TEXT),
    "a wide slash": ("/a%EF%BC%8Fb", PathDefect.MEANING),
    "wide dots": ("/%EF%BC%8E%EF%BC%8E/admin", PathDefect.DOTS),
    "a one-dot leader": ("/%E2%80%A5/admin", PathDefect.DOTS),
    "a session": ("/(S(lit3py55t21z5v55vlm25s55))/customers", PathDefect.SESSION),
    "a session of two parts": ("/customers/(A(x)F(y))/42", PathDefect.SESSION),
    "a session before a segment": ("/customers/(S(x))42", PathDefect.SESSION),
    "a session in a segment": ("/customers/4(s(x))2", PathDefect.SESSION),
    "a session in two segments": ("/(S(x/y))/customers", PathDefect.SESSION),
    "a session that is encoded": ("/%28S%28x%29%29/customers", PathDefect.SESSION),
    "a session in wide parentheses": ("/%EF%BC%88S(x))/customers", PathDefect.SESSION),
    "too long": ("/" + "a" * MAX_TARGET, PathDefect.LONG),
    "too many segments": ("/a" * (MAX_SEGMENTS + 1), PathDefect.LONG),
}


class TestAPath:
    @pytest.mark.parametrize("path", ACCEPTED)
    def test_of_one_reading_is_accepted(self, path: str) -> None:
        segments, slash = ACCEPTED[path]
        assert canonical_path(path) == CanonicalPath(segments, slash=slash)

    @pytest.mark.parametrize("what", REFUSED)
    def test_that_can_be_read_otherwise_is_refused(self, what: str) -> None:
        path, defect = REFUSED[what]
        assert canonical_path(path) is defect

    def test_differs_by_case_and_by_a_slash_at_its_end(self) -> None:
        read = [canonical_path(path) for path in ("/customers", "/Customers", "/customers/")]
        assert len(set(read)) == 3


class TestAQuery:
    @pytest.mark.parametrize(
        ("query", "values"),
        [
            ("", {}),
            ("a=1", {"a": "1"}),
            ("b=2&a=1&c", {"a": "1"}),
            ("a=%C3%A9", {"a": "é"}),
            ("a=", {"a": ""}),
            ("b=1&b=2", {}),
            ("b=1;c=2", {}),
            ("b=a+b", {}),
            ("method=card&a=1", {"a": "1"}),
            ("payment_method=card", {}),
        ],
    )
    def test_gives_what_is_named(self, query: str, values: dict[str, str]) -> None:
        assert query_values(query, ["a"]) == values

    @pytest.mark.parametrize(
        "query",
        [
            pytest.param("a=1&a=2", id="twice"),
            pytest.param("a=1&a=1", id="twice the same"),
            pytest.param("a", id="without a value"),
            pytest.param("a[]=1", id="as a list"),
            pytest.param("a[0]=1", id="as an item of a list"),
            pytest.param("[a]=1", id="that begins with a bracket, which qs and Rack skip"),
            pytest.param("a=1&%5Ba%5D=2", id="beside one that begins with an encoded bracket"),
            pytest.param("a=1&a]=2", id="beside one that ends with a bracket, which Rack skips"),
            pytest.param("a=1&[][[a=2", id="beside one that begins with many brackets"),
            pytest.param("&" * 1_000 + "a=1", id="behind a thousand others, where some readers stop"),
            pytest.param("A=1", id="in another case"),
            pytest.param("%61=1", id="with an encoded name"),
            pytest.param("+a=1", id="after a blank"),
            pytest.param("a%00=1", id="before NUL"),
            pytest.param("a=1;b=2", id="beside a semicolon"),
            pytest.param("a=x+y", id="with a plus"),
            pytest.param("a=%FF", id="that is no UTF-8"),
            pytest.param("a=%0A", id="that cannot be printed"),
            pytest.param("%FF=1", id="of another name that is no UTF-8"),
            pytest.param("a=%4", id="whose encoding breaks off"),
            pytest.param("a=\x00", id="with a raw NUL"),
            pytest.param("a=é", id="with a raw letter beyond ASCII"),
            pytest.param("_method=DELETE", id="that names another method"),
            pytest.param("_METHOD=DELETE", id="that shouts another method"),
            pytest.param("%5Fmethod=DELETE", id="that hides another method"),
            pytest.param("X-HTTP-Method-Override=DELETE", id="that names another method as a header does"),
            pytest.param("x_http_method_override=DELETE", id="that does so with underscores"),
            pytest.param("X.Http.Method=DELETE", id="that does so with dots"),
            pytest.param("%58-Method-Override=DELETE", id="that hides that it does so"),
            pytest.param("X-Original-URL=/admin", id="that names another path"),
            pytest.param("b=1&+_method=DELETE", id="that names another method after a blank"),
            pytest.param("b=1;_method=DELETE", id="that names another method after a semicolon"),
            pytest.param("b=1&amp;_method=DELETE", id="that names another method as HTML spells it"),
            pytest.param("_method[]=DELETE", id="that names another method in a list"),
            pytest.param("[_method]=DELETE", id="that names another method in brackets"),
            pytest.param("_method]=DELETE", id="that names another method before a bracket"),
            pytest.param("%255Fmethod=DELETE", id="that hides another method twice"),
            pytest.param("_method", id="that names another method without a value"),
            pytest.param("_method_override=DELETE", id="that names another method for WAI"),
            pytest.param("__METHOD_OVERRIDE__=DELETE", id="that names another method for Werkzeug"),
            pytest.param("_HttpMethod=PATCH", id="that names another method for Salesforce"),
            pytest.param("x-tunneled-method=DELETE", id="that names another method for Plack"),
            pytest.param("b=" + "a" * 8_192, id="that is too long"),
        ],
    )
    def test_of_two_readings_is_refused(self, query: str) -> None:
        assert query_values(query, ["a"]) is None

    def test_of_a_bracket_that_php_takes_for_an_underscore_is_refused(self) -> None:
        assert query_values("customer_id=42&customer[id=43", ["customer_id"]) is None
        assert query_values("customer_id=42&customer[id]=43", ["customer_id"]) == {"customer_id": "42"}

    @pytest.mark.parametrize(
        "query",
        [
            "order_id=1&orderId=2",
            "orderId=2",
            "order_id=1&ORDERID=2",
            "order_id=1&order_id_=2",
            "order_id=1&order__id=2",
        ],
    )
    def test_of_a_name_in_the_spelling_of_another_convention_is_refused(self, query: str) -> None:
        assert query_values(query, ["order_id"]) is None
        # Nor is either one read, where both are wanted.
        assert query_values(query, ["order_id", "orderId"]) is None

    def test_of_a_name_that_begins_with_an_underscore_is_another_one(self) -> None:
        assert query_values("id=1&_id=2&_=3", ["id"]) == {"id": "1"}

    def test_of_which_nothing_is_read_may_have_any_number_of_parameters(self) -> None:
        assert query_values("&" * 1_000 + "a=1", []) == {}
        assert query_values("&" * 511 + "a=1", ["a"]) == {"a": "1"}


class TestAHost:
    @pytest.mark.parametrize(
        ("host", "canonical"),
        [
            ("crm.example.com", "crm.example.com"),
            ("CRM.Example.com", "crm.example.com"),
            ("crm.example.com:8080", "crm.example.com:8080"),
            ("10.0.0.1", "10.0.0.1"),
            ("[::1]:443", "[::1]:443"),
        ],
    )
    def test_is_written_in_small_letters(self, host: str, canonical: str) -> None:
        assert canonical_host(host) == canonical

    @pytest.mark.parametrize(
        "host",
        [
            *("", "crm.example.com.", ".crm", "crm..com", "user@crm.example.com", "crm.example.com:", "crm:080"),
            *(
                "crm.example.com:99999999",
                "crm example",
                "crm.example.com,evil",
                "crm/x",
                "crm\\x",
                "\uff43rm",
                "crm%2e",
                "-",
            ),
        ],
    )
    def test_that_is_no_plain_one_is_refused(self, host: str) -> None:
        assert canonical_host(host) is None

    @pytest.mark.parametrize(
        ("host", "name"), [("crm:80", "crm"), ("crm", "crm"), ("[::1]", "[::1]"), ("[::1]:80", "[::1]")]
    )
    def test_has_a_name_without_its_port(self, host: str, name: str) -> None:
        assert without_port(host) == name
