"""The definitions of histories: what they compile to, what is wrong with one, and what its digest has."""

from typing import Any, Final

import pytest

from bailiwick_engine.compile import historychecks
from bailiwick_engine.compile.policies import compile_object, parse_spec
from bailiwick_engine.policy.histories import (
    Amount,
    CalendarWindow,
    CompiledHistory,
    MemberPart,
    PartyPart,
    SessionPart,
    SlidingWindow,
)
from bailiwick_engine.policy.model import BrokenPolicy, CompiledPolicy, CompiledSettings
from support.objects import Object, rule, settings
from unit.engine.cases import compilation, sound, stored

EXPORTS: Final[Object] = {
    "name": "exports",
    "key": ["agent"],
    "window": "1h",
    "counts": {
        "actions": ["customers.export"],
        "resources": [{"type": "customer", "ids": ["*"], "properties": {"env": ["prod"]}}],
        "when": "variables.big",
    },
    "amount": {"of": "context.args.amount", "digits": 2},
}
VARIABLES: Final = [
    {"name": "big", "expression": "context.size > 10"},
    {"name": "past", "expression": "history.exports.count > 3"},
]


def carrier(*histories: Object, **fields: object) -> Object:
    own = {**settings(), "history": list(histories), **fields}
    return stored("p", rule(), variables=VARIABLES, endpointSettings=own)


def compiled(*histories: Object, **fields: object) -> CompiledSettings:
    made = sound(carrier(*histories, **fields)).settings
    assert made is not None
    return made


def only(**changes: object) -> CompiledHistory:
    return compiled({**EXPORTS, **changes}).histories[0]


def problems(*histories: Object, **fields: object) -> list[str]:
    raw = carrier(*histories, **fields)
    assert isinstance(compile_object(raw), BrokenPolicy)
    spec = parse_spec(raw["spec"])
    return [str(one) for one in (spec if isinstance(spec, tuple) else compilation(raw).problems)]


class TestADefinition:
    def test_is_compiled_as_it_is_written(self) -> None:
        made = only()
        assert (made.name, made.key, made.window) == ("exports", (PartyPart("agent"),), SlidingWindow(3_600_000))
        assert made.amount == Amount(("context", "args", "amount"), 2)
        assert "customers.export" in made.actions
        assert made.resources is not None
        assert made.resources[0].properties == {"env": frozenset({"prod"})}
        assert made.when is not None
        assert made.when.expression.text == "variables.big"

    @pytest.mark.parametrize(
        ("window", "milliseconds"), [("1m", 60_000), ("90m", 5_400_000), ("24h", 86_400_000), ("31d", 2_678_400_000)]
    )
    def test_has_a_window_in_milliseconds(self, window: str, milliseconds: int) -> None:
        assert only(window=window).window == SlidingWindow(milliseconds)

    def test_has_a_calendar(self) -> None:
        calendar = {"unit": "Week", "timeZone": "Europe/Berlin"}
        (made,) = compiled({"name": "a", "key": [], "calendar": calendar, "counts": {"actions": ["*"]}}).histories
        assert made.window == CalendarWindow("Week", "Europe/Berlin")
        assert (made.key, made.resources, made.when, made.amount) == ((), None, None, None)

    def test_has_its_key_in_one_order(self) -> None:
        parts = ["session", "subject", "context.args.tenant", "resource"]
        keys = [
            compiled({**EXPORTS, "key": order}, session={"claim": "sid"}).histories[0].key
            for order in (parts, parts[::-1])
        ]
        assert keys[0] == keys[1]
        assert set(keys[0]) == {
            SessionPart(("subject", "claims", "sid")),
            PartyPart("subject"),
            MemberPart(("context", "args", "tenant")),
            MemberPart(("resource",)),
        }

    def test_stands_in_order_of_name(self) -> None:
        made = compiled(*({**EXPORTS, "name": name} for name in ("b", "c", "a"))).histories
        assert [history.name for history in made] == ["a", "b", "c"]

    @pytest.mark.parametrize(
        ("session", "path", "is_claim"),
        [
            ({"claim": "https://example.com/sid"}, ("subject", "claims", "https://example.com/sid"), True),
            ({"property": "context.session"}, ("context", "session"), False),
            ({"property": "subject.properties.session.id"}, ("subject", "properties", "session", "id"), False),
        ],
    )
    def test_has_the_session_of_the_endpoint(self, session: Object, path: tuple[str, ...], is_claim: bool) -> None:
        made = compiled({**EXPORTS, "key": ["session"]}, session=session)
        assert made.session == path
        assert made.histories[0].key == (SessionPart(path),)
        assert SessionPart(path).is_claim is is_claim

    def test_is_none_where_there_is_none(self) -> None:
        made = sound(stored("p", rule(), endpointSettings=settings())).settings
        assert made is not None
        assert (made.histories, made.session) == ((), None)


PLACE: Final = "spec.endpointSettings.history[0]"


class TestAProblem:
    @pytest.mark.parametrize(
        ("changes", "says"),
        [
            (
                {"window": None, "calendar": {"unit": "Day", "timeZone": "Europe/Berln"}},
                f"{PLACE}.calendar.timeZone: unknown time zone 'Europe/Berln': did you mean 'Europe/Berlin'?",
            ),
            ({"window": "32d"}, f"{PLACE}.window: "),
            ({"window": "0m"}, f"{PLACE}.window: "),
            ({"window": None}, f"{PLACE}: "),
            ({"calendar": {"unit": "Day", "timeZone": "UTC"}}, f"{PLACE}: "),
            ({"key": ["session"]}, "spec.endpointSettings: a history with session in its key needs"),
            ({"key": ["context"]}, f"{PLACE}.key[0]: 'context' must be subject, agent, session"),
            ({"amount": {"of": "subject.id", "digits": 2}}, f"{PLACE}.amount.of: "),
            ({"amount": {"of": "context.amount", "digits": 7}}, f"{PLACE}.amount.digits: "),
        ],
    )
    def test_of_a_definition_is_told_with_its_place(self, changes: dict[str, Any], says: str) -> None:
        written = {name: value for name, value in {**EXPORTS, **changes}.items() if value is not None}
        assert any(one.startswith(says) for one in problems(written)), problems(written)

    @pytest.mark.parametrize(
        ("when", "says"),
        [
            ("1 +", "syntax error"),
            ("context.size", "the expression returns dyn, not bool"),
            ("history.exports.count > 1", "a history cannot depend on a history: remove what reads one"),
            ("variables.past", "a history cannot depend on a history: remove what reads one"),
            ("actor.id == 'a'", "a call counts once for all its actors: read subject instead of actor"),
            ("variables.nothing", "unknown variable nothing"),
        ],
    )
    def test_of_when_is_told_with_its_place(self, when: str, says: str) -> None:
        (told,) = problems({**EXPORTS, "counts": {"actions": ["*"], "when": when}})
        assert told.startswith(f"{PLACE}.counts.when:1:")
        assert says in told

    def test_of_too_many_keys_is_told(self) -> None:
        keys = [["agent"], ["subject"], ["resource"], ["action"], ["intent"]]
        written = [{**EXPORTS, "name": f"h{number}", "key": key} for number, key in enumerate(keys)]
        assert any("4" in one for one in problems(*written))

    def test_of_one_name_twice_is_told(self) -> None:
        assert problems(EXPORTS, EXPORTS) != []

    def test_denies_the_endpoint(self) -> None:
        made = compile_object(carrier({**EXPORTS, "counts": {"actions": ["*"], "when": "history.exports.count > 1"}}))
        assert isinstance(made, BrokenPolicy)
        assert (made.settings, made.carries_settings) == (None, True)


class TestTheDigest:
    def test_is_twelve_hex_digits(self) -> None:
        assert len(only().digest) == 12
        assert int(only().digest, 16) >= 0

    @pytest.mark.parametrize(
        "changes",
        [
            {"key": ["subject"]},
            {"window": "2h"},
            {"calendar": {"unit": "Day", "timeZone": "UTC"}, "window": None},
            {"amount": {"of": "context.args.amount", "digits": 3}},
            {"amount": {"of": "context.args.sum", "digits": 2}},
            {"amount": None},
            {"counts": {"actions": ["*"], "resources": EXPORTS["counts"]["resources"], "when": "variables.big"}},
            {"counts": {"actions": ["customers.export"], "when": "variables.big"}},
            {"counts": {"actions": ["customers.export"], "resources": EXPORTS["counts"]["resources"]}},
        ],
        ids=str,
    )
    def test_has_what_decides_what_is_counted(self, changes: Object) -> None:
        written = {name: value for name, value in {**EXPORTS, **changes}.items() if value is not None}
        assert compiled(written).histories[0].digest != only().digest

    def test_has_every_field_but_the_name(self) -> None:
        # A new field of the definition changes it too: the digest is made of the model.
        assert only(name="other").digest == only().digest

    def test_has_the_variables_that_when_reaches(self) -> None:
        raw = carrier(EXPORTS)
        other = {**raw, "spec": {**raw["spec"], "variables": [{"name": "big", "expression": "context.size > 11"}]}}
        made = sound(other).settings
        assert made is not None
        assert made.histories[0].digest != only().digest

    def test_has_the_session_where_it_is_in_the_key(self) -> None:
        def digests(key: list[str]) -> set[str]:
            sources: list[Object] = [{"claim": "sid"}, {"property": "context.session"}]
            return {compiled({**EXPORTS, "key": key}, session=one).histories[0].digest for one in sources}

        assert len(digests(["session"])) == 2
        assert len(digests(["agent"])) == 1

    def test_has_no_order_of_lists(self) -> None:
        keys = (["agent", "resource"], ["resource", "agent"])
        assert len({only(key=key).digest for key in keys}) == 1


def test_a_change_of_a_history_changes_what_the_settings_mean() -> None:
    def rest(*histories: Object) -> str:
        made = compile_object(carrier(*histories))
        assert isinstance(made, CompiledPolicy)
        assert made.settings is not None
        return made.settings.meaning.rest

    assert rest(EXPORTS) != rest({**EXPORTS, "window": "2h"})


def test_an_outcome_that_no_proxy_can_report_is_warned_of() -> None:
    def warned(what: str, **more: object) -> list[str]:
        counts = {"actions": ["customers.export"], "what": what}
        own = {**settings(), "history": [{"name": "done", "key": [], "window": "1h", "counts": counts}], **more}
        spec = parse_spec(stored("p", rule(), endpointSettings=own)["spec"])
        assert not isinstance(spec, tuple)
        return [one.path for one in historychecks.warnings(spec) if "proxy cannot report" in one.message]

    routes = [{"methods": ["GET"], "path": "/x", "action": "x.get", "resource": {"type": "x", "id": "*"}}]
    http = {"hosts": ["api.example.com"], "routes": routes}
    assert warned("Succeeded", http=http) == ["spec.endpointSettings.history[0].counts.what"]
    assert warned("Failed", http=http)
    assert warned("Allowed", http=http) == warned("Denied", http=http) == warned("Succeeded") == []
