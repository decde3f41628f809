"""Routes: from a method, a host and a path to an action and a resource; and what is refused instead."""

from typing import Any, Final

import pytest

from bailiwick_api.kinds.httproutes import HttpSettings
from bailiwick_engine.call import Action, Resource
from bailiwick_engine.compile.routes import compile_routes, route_warnings
from bailiwick_engine.policy.routes import MappedCall, McpMatch, RouteMatch, RouteRefusal, RouteTable
from bailiwick_engine.reasons import Reason

HOST: Final = "crm.example.com"
Route = dict[str, Any]


def route(path: str, action: str = "customers.get", *, methods: str = "GET", **more: Any) -> Route:  # noqa: ANN401
    resource = {"type": "customer", "id": "{id}" if "{id}" in path else "*", **more.pop("resource", {})}
    return {"methods": methods.split(), "path": path, "action": action, "resource": resource, **more}


def settings(*routes: Route, hosts: tuple[str, ...] = (HOST,)) -> HttpSettings:
    return HttpSettings.model_validate({"hosts": list(hosts), "routes": list(routes)})


def table(*routes: Route, hosts: tuple[str, ...] = (HOST,)) -> RouteTable:
    made = compile_routes(settings(*routes, hosts=hosts))
    assert isinstance(made, RouteTable), made
    return made


def problems(*routes: Route) -> list[str]:
    made = compile_routes(settings(*routes))
    return [] if isinstance(made, RouteTable) else [str(problem) for problem in made]


def warnings(*routes: Route) -> list[str]:
    return [str(warning) for warning in route_warnings(settings(*routes))]


def asked(
    made: RouteTable,
    target: str,
    *,
    method: str = "GET",
    host: str = HOST,
    headers: dict[str, list[str]] | None = None,
    body: Any = None,  # noqa: ANN401
) -> MappedCall | RouteRefusal:
    found = made.find(method, host, target)
    assert not isinstance(found, McpMatch)
    return found.call(headers or {}, body) if isinstance(found, RouteMatch) else found


def reason(found: MappedCall | RouteRefusal) -> Reason | None:
    return found.reason if isinstance(found, RouteRefusal) else None


LIST: Final = route("/customers", "customers.list", methods="GET HEAD")
GET: Final = route("/customers/{id}")
SEARCH: Final = route("/customers/search", "customers.search")


class TestACall:
    def test_is_what_its_route_says(self) -> None:
        made = table(LIST, GET)
        assert asked(made, "/customers") == MappedCall(Action("customers.list"), Resource("customer", "*"), None)
        assert asked(made, "/customers/42") == MappedCall(Action("customers.get"), Resource("customer", "42"), None)

    @pytest.mark.parametrize(
        "call",
        [
            pytest.param({"target": "/orders"}, id="of another path"),
            pytest.param({"target": "/customers/42/orders"}, id="of a longer path"),
            pytest.param({"target": "/customers/"}, id="with a slash at its end"),
            pytest.param({"target": "/Customers"}, id="in another case"),
            pytest.param({"target": "/customers", "method": "POST"}, id="of another method"),
            pytest.param({"target": "/customers", "method": "get"}, id="of a method in small letters"),
            pytest.param({"target": "/customers/42", "method": "HEAD"}, id="by HEAD where only GET is named"),
            pytest.param({"target": "/customers", "host": "other.example.com"}, id="of another host"),
            pytest.param({"target": "/"}, id="of the root"),
        ],
    )
    def test_that_no_route_names_is_unmapped(self, call: dict[str, Any]) -> None:
        assert reason(asked(table(LIST, GET), **call)) is Reason.UNMAPPED

    @pytest.mark.parametrize(
        "call",
        [
            pytest.param({"target": "/customers/../admin"}, id="of a path that is not canonical"),
            pytest.param({"target": "/customers/%2e%2e/admin"}, id="of a path that hides dots"),
            pytest.param({"target": "*"}, id="of no path"),
            pytest.param({"target": "/customers?_method=DELETE"}, id="that names another method"),
            pytest.param({"target": "/orders?_method=DELETE"}, id="that names another method at no route"),
            pytest.param({"target": "/customers/42?X-HTTP-Method-Override=PUT"}, id="that names it as a header does"),
            pytest.param({"target": "/customers", "host": "crm.example.com."}, id="of a host with a dot at its end"),
            pytest.param({"target": "/customers", "host": ""}, id="of no host"),
        ],
    )
    def test_of_two_readings_is_refused(self, call: dict[str, Any]) -> None:
        assert reason(asked(table(LIST, GET), **call)) is Reason.AMBIGUOUS_REQUEST

    def test_may_name_any_port_of_a_host_without_one_and_else_only_that(self) -> None:
        made = table(LIST, hosts=(HOST, "other.example.com:8443"))
        assert reason(asked(made, "/customers", host=f"{HOST}:8080")) is None
        assert reason(asked(made, "/customers", host="other.example.com:8443")) is None
        assert reason(asked(made, "/customers", host="other.example.com")) is Reason.UNMAPPED

    def test_is_of_the_root_where_a_route_is(self) -> None:
        assert reason(asked(table(route("/")), "/")) is None


class TestOfTwoRoutesThatFit:
    @pytest.mark.parametrize("routes", [(GET, SEARCH), (SEARCH, GET)])
    def test_the_one_that_says_more_decides_whatever_their_order(self, routes: tuple[Route, ...]) -> None:
        found = asked(table(*routes), "/customers/search")
        assert isinstance(found, MappedCall)
        assert found.action.name == "customers.search"
        assert warnings(*routes) == []

    def test_neither_decides_where_neither_says_more(self) -> None:
        routes = (route("/a/{id}"), route("/{x}/b", "other"))
        assert reason(asked(table(*routes), "/a/b")) is Reason.AMBIGUOUS_REQUEST
        assert reason(asked(table(*routes), "/a/c")) is None
        (warning,) = warnings(*routes)
        assert warning.startswith("spec.endpointSettings.http.routes[1].path: overlap: ")

    def test_a_third_that_says_more_than_both_decides(self) -> None:
        routes = (route("/a/{id}"), route("/{x}/b", "other"), route("/a/b", "both"))
        found = asked(table(*routes), "/a/b")
        assert isinstance(found, MappedCall)
        assert found.action.name == "both"

    def test_neither_is_ever_used_where_they_are_the_same(self) -> None:
        routes = (GET, route("/customers/{name}", "customers.drop", methods="GET DELETE"))
        assert reason(asked(table(*routes), "/customers/42")) is Reason.AMBIGUOUS_REQUEST
        (warning,) = warnings(*routes)
        assert "unreachable: " in warning
        assert "for GET" in warning

    def test_methods_part_them(self) -> None:
        routes = (GET, route("/customers/{id}", "customers.delete", methods="DELETE"))
        assert warnings(*routes) == []
        assert reason(asked(table(*routes), "/customers/42", method="DELETE")) is None


def test_a_route_of_a_path_that_is_refused_is_told() -> None:
    (warning,) = warnings(route("/customers/../x"))
    assert "the route matches no call that Bailiwick accepts" in warning


class TestAValue:
    def test_comes_from_path_query_and_headers(self) -> None:
        made = table(
            route(
                "/tenants/{tenant}/customers/{id}",
                resource={"id": "{tenant}/{id}", "properties": {"region": "{query.region}", "team": "{header.x-team}"}},
                actionProperties={"how": "by-{header.x-team}"},
            )
        )
        found = asked(made, "/tenants/eu/customers/42?region=north", headers={"x-team": ["red"]})
        assert found == MappedCall(
            Action("customers.get", {"how": "by-red"}),
            Resource("customer", "eu/42", {"region": "north", "team": "red"}),
            None,
        )

    def test_that_is_absent_is_left_out(self) -> None:
        made = table(route("/customers/{id}", resource={"properties": {"region": "{query.region}", "x": "{header.x}"}}))
        assert asked(made, "/customers/42?region=") == MappedCall(
            Action("customers.get"), Resource("customer", "42"), None
        )

    def test_of_an_id_must_be_there(self) -> None:
        made = table(route("/customer", resource={"id": "{query.id}"}))
        assert reason(asked(made, "/customer")) is Reason.UNMAPPED
        assert reason(asked(made, "/customer?id=")) is Reason.UNMAPPED
        assert reason(asked(made, "/customer?id=1&id=2")) is Reason.AMBIGUOUS_REQUEST
        assert reason(asked(made, "/customer?id=1")) is None

    @pytest.mark.parametrize("sent", [["a", "b"], ["a, b"], ["é"], ["a\tb"], ["a" * 1_025]])
    def test_of_a_header_has_one_reading_or_is_refused(self, sent: list[str]) -> None:
        made = table(route("/customers/{id}", resource={"properties": {"team": "{header.x-team}"}}))
        assert reason(asked(made, "/customers/42", headers={"x-team": sent})) is Reason.AMBIGUOUS_REQUEST

    def test_is_decoded_once(self) -> None:
        found = asked(table(GET), "/customers/a%20b")
        assert isinstance(found, MappedCall)
        assert found.resource.id == "a b"


class TestArguments:
    BODY: Final = {"fields": ["a", {"b": None}], "to": None, "a/b": 1, "m~n": 2}

    def test_are_what_pointers_lead_to(self) -> None:
        args = {
            "all": "",
            "fields": "/fields",
            "first": "/fields/0",
            "inner": "/fields/1/b",
            "to": "/to",
            "slash": "/a~1b",
            "tilde": "/m~0n",
            "absent": "/nothing",
            "beyond": "/fields/2",
            "leading": "/fields/00",
            "minus": "/fields/-",
            "how": "{query.how}",
        }
        made = table(route("/customers/{id}/export", args=args))
        found = asked(made, "/customers/42/export?how=fast", body=self.BODY)
        assert isinstance(found, MappedCall)
        assert found.args == {
            "all": self.BODY,
            "fields": ["a", {"b": None}],
            "first": "a",
            "inner": None,
            "to": None,
            "slash": 1,
            "tilde": 2,
            "how": "fast",
        }

    def test_read_the_body_only_where_a_pointer_does(self) -> None:
        (by_query,) = table(route("/a", args={"x": "{query.x}"})).routes
        (by_pointer,) = table(route("/a", args={"x": "/x"})).routes
        assert (by_query.reads_body, by_pointer.reads_body) == (False, True)

    def test_that_are_all_absent_are_none_and_still_there(self) -> None:
        found = asked(table(route("/a", args={"x": "{query.x}"})), "/a")
        assert isinstance(found, MappedCall)
        assert found.args == {}


@pytest.mark.parametrize(
    ("wrong", "place", "says"),
    [
        pytest.param(
            route("/customers/{id}", resource={"id": "{name}"}),
            "resource.id",
            "no segment {name}",
            id="an id of nothing",
        ),
        pytest.param(
            route("/a", resource={"properties": {"p": "x{name}"}}),
            "resource.properties.p",
            "no segment {name}",
            id="a property of nothing",
        ),
        pytest.param(
            route("/a", actionProperties={"p": "{name}"}),
            "actionProperties.p",
            "no segment",
            id="the action's likewise",
        ),
        pytest.param(route("/a", args={"x": "{name}"}), "args.x", "no segment {name}", id="an argument of nothing"),
        pytest.param(route("/{id}/{id}"), "path", "two segments with the same name: {id}", id="a name twice"),
        pytest.param(
            route("/{id}/{b}", resource={"id": "{id}-{b}"}),
            "resource.id",
            "put a / between",
            id="an id that runs together",
        ),
        pytest.param(
            route("/{id}", resource={"id": "{id}/{query.b}"}),
            "resource.id",
            "of the query or headers alone",
            id="an id of path and query",
        ),
    ],
)
def test_what_cannot_be_meant_does_not_compile(wrong: Route, place: str, says: str) -> None:
    (problem,) = problems(wrong)
    assert problem.startswith(f"spec.endpointSettings.http.routes[0].{place}: ")
    assert says in problem


class TestAPathThatAnUpstreamTakesForAnotherRoutes:
    ROUTES: Final = (
        route("/{room}/{id}", "rooms.get", resource={"id": "{room}/{id}"}),
        route("/admin/{id}", "admin.get"),
        route("/{room}/{id}/", "rooms.open", resource={"id": "{room}/{id}"}),
        route("/rooms/list.csv", "rooms.export"),
        route("/rooms/list", "rooms.list"),
        route("/rooms/q1.2026", "rooms.plan"),
        route("/strasse", "streets.list"),
        route("/{id}", "things.get"),
    )

    @pytest.mark.parametrize(
        "target",
        [
            pytest.param("/ADMIN/5", id="in capitals"),
            pytest.param("/aDmin/5", id="in one capital"),
            pytest.param("/admin/5/", id="with a slash at its end"),
            pytest.param("/Admin/5/", id="with both"),
            pytest.param("/adm%C4%B1n/5", id="with an i without a dot"),
            pytest.param("/adm%C4%B0n/5", id="with a capital I with a dot"),
            pytest.param("/rooms/list.json", id="of another format"),
            pytest.param("/rooms/LIST.JSON", id="of another format in capitals"),
            pytest.param("/rooms/list.tar.gz", id="of two formats"),
            pytest.param("/rooms/q1.2026.json", id="of another format, where the route has a dot too"),
            pytest.param("/rooms/Q1.2026.json.gz", id="of two formats, where the route has a dot too"),
            pytest.param("/rooms/q1.2026/", id="with a slash at its end, where the route has a dot"),
            pytest.param("/stra%C3%9Fe", id="with a letter that is two in capitals"),
            pytest.param("/strasse.html", id="of one segment"),
        ],
    )
    def test_is_refused(self, target: str) -> None:
        assert reason(asked(table(*self.ROUTES), target)) is Reason.AMBIGUOUS_REQUEST

    @pytest.mark.parametrize(
        ("target", "action"),
        [
            ("/admin/5", "admin.get"),
            ("/admin/FIVE", "admin.get"),
            ("/office/5", "rooms.get"),
            ("/OFFICE/5/", "rooms.open"),
            ("/rooms/list.csv", "rooms.export"),
            ("/rooms/list", "rooms.list"),
            ("/rooms/q1.2026", "rooms.plan"),
            ("/rooms/q1.2025.json", "rooms.get"),
            ("/rooms/q1.20260", "rooms.get"),
            ("/administrator/5", "rooms.get"),
            ("/admin.json/5", "rooms.get"),
        ],
    )
    def test_is_no_path_that_a_route_spells_out_or_that_is_like_none(self, target: str, action: str) -> None:
        found = asked(table(*self.ROUTES), target)
        assert isinstance(found, MappedCall)
        assert found.action.name == action

    def test_is_refused_for_the_methods_of_the_other_route(self) -> None:
        made = table(route("/{room}/{id}", methods="GET DELETE"), route("/admin/{id}", "admin.get"))
        assert reason(asked(made, "/ADMIN/5")) is Reason.AMBIGUOUS_REQUEST
        assert reason(asked(made, "/ADMIN/5", method="DELETE")) is None

    @pytest.mark.parametrize("target", ["/MCP", "/mcp/", "/mcp.json"])
    def test_is_refused_where_it_is_that_of_mcp(self, target: str) -> None:
        said = {
            "hosts": [HOST],
            "mcp": True,
            "routes": [route("/{id}", methods="POST"), route("/{id}/", methods="POST")],
        }
        made = compile_routes(HttpSettings.model_validate(said))
        assert isinstance(made, RouteTable)
        assert reason(asked(made, target, method="POST")) is Reason.AMBIGUOUS_REQUEST
        assert isinstance(made.find("POST", HOST, "/mcp"), McpMatch)
        assert reason(asked(made, "/other", method="POST")) is None


class TestAValueInAnotherPartOfTheCall:
    """Frameworks merge path, query and body, each in an order of its own: a name stands in one of them."""

    PAY = route("/customers/{id}/pay", "pay", methods="POST", args={"amount": "/amount", "to": "/order/to"})
    ALL = route("/customers/{id}/all", "all", methods="POST", args={"all": "", "mode": "{query.mode}"})
    NOTICE = route("/notices/{id}", "notify", methods="POST", args={"text": "/text", "kind": "{query.kind}"})

    @pytest.mark.parametrize(
        "query",
        [
            "amount=9000",
            "Amount=9000",
            "amount[]=9000",
            "[amount]=9000",
            "%61mount=9000",
            "order[to]=x",
            "order.to=x",
            "order=x",
            "id=7",
            "ID=7",
            "verbose=1&amount=9000",
            "verbose=1;amount=9000",
        ],
    )
    def test_in_the_query_for_the_path_or_the_body_is_ambiguous(self, query: str) -> None:
        found = asked(table(self.PAY), f"/customers/1/pay?{query}", method="POST", body={"amount": 5})
        assert reason(found) is Reason.AMBIGUOUS_REQUEST

    @pytest.mark.parametrize("query", ["", "?verbose=1", "?amounts=9000", "?to=x"])
    def test_of_another_name_is_not(self, query: str) -> None:
        found = asked(table(self.PAY), f"/customers/1/pay{query}", method="POST", body={"amount": 5, "note": "x"})
        assert isinstance(found, MappedCall)

    @pytest.mark.parametrize(("query", "refused"), [("mode=x", False), ("mode=x&amount=1", True), ("verbose=1", True)])
    def test_of_any_name_is_ambiguous_where_the_whole_body_is_taken(self, query: str, *, refused: bool) -> None:
        found = asked(table(self.ALL), f"/customers/1/all?{query}", method="POST", body={"note": "x"})
        assert (reason(found) is Reason.AMBIGUOUS_REQUEST) == refused

    @pytest.mark.parametrize("member", ["kind", "Kind", "id", "ID"])
    def test_in_the_body_for_the_query_or_the_path_is_ambiguous(self, member: str) -> None:
        body = {"text": "x", member: "other"}
        found = asked(table(self.NOTICE), "/notices/1?kind=a", method="POST", body=body)
        assert reason(found) is Reason.AMBIGUOUS_REQUEST
        assert reason(asked(table(self.NOTICE), "/notices/1", method="POST", body=body)) is Reason.AMBIGUOUS_REQUEST

    @pytest.mark.parametrize("id_twice", [{"id": "1", "Id": "vip"}, {"Id": "vip", "id": "1"}], ids=["first", "last"])
    def test_in_the_body_twice_is_ambiguous_though_one_repeats_the_path(self, id_twice: dict[str, str]) -> None:
        found = asked(table(self.NOTICE), "/notices/1?kind=a", method="POST", body={"text": "x", **id_twice})
        assert reason(found) is Reason.AMBIGUOUS_REQUEST

    @pytest.mark.parametrize(("path", "value"), [("True", True), ("None", None), ("1", 1.0), ("1", ["1"]), ("01", 1)])
    def test_in_the_body_that_only_python_spells_like_the_path_is_ambiguous(self, path: str, value: object) -> None:
        found = asked(table(self.NOTICE), f"/notices/{path}?kind=a", method="POST", body={"text": "x", "id": value})
        assert reason(found) is Reason.AMBIGUOUS_REQUEST

    @pytest.mark.parametrize("value", ["1", 1], ids=["text", "number"])
    def test_in_the_body_that_repeats_the_path_is_not(self, value: object) -> None:
        found = asked(table(self.NOTICE), "/notices/1?kind=a", method="POST", body={"text": "x", "id": value})
        assert isinstance(found, MappedCall)
