"""What an approver is shown: all that is digested, nothing cut, nothing that reads as something else."""

from typing import Any, Final

import pytest
from msgspec.structs import replace

from bailiwick_engine.approval import display
from bailiwick_engine.approval.display import inspectable, items_of, lacking, visible
from bailiwick_engine.call import Action, Call, Party, Resource, UnprovenParty
from bailiwick_engine.canonicaljson import NotCanonicalError
from bailiwick_engine.decision.verdict import Outcome
from bailiwick_engine.reasons import Reason
from support.objects import gated_rule
from unit.engine.cases import CALL, approved, approving, gate_of, governed, read, verdict_of, with_context

WHOLE: Final = gate_of(governed(gated_rule()))


def shown(call: Call) -> dict[str, str]:
    items = list(items_of(call, WHOLE))
    names = [item["name"] for item in items]
    # The names are the keys of a list of the custom resource.
    assert len(names) == len(set(names))
    return dict(zip(names, [item["value"] for item in items], strict=True))


def value_of(value: Any) -> str:  # noqa: ANN401 - any JSON
    return shown(with_context(v=value))["context.v"]


class TestACall:
    def test_is_shown_whole(self) -> None:
        call = replace(
            CALL,
            subject=Party("serviceAccount", "a", "uid", {"claim": 1}, {"team": "a", "act": {"sub": "x"}}),
            action=Action("customers.export", {"format": "csv"}),
            resource=Resource("customer", "42", {"env": "prod"}),
            context={"args": {"limit": 10, "fields": ["name"]}, "intent": "support", "tenant": "b"},
        )
        assert list(shown(call).items()) == [
            ("args.fields", '["name"]'),
            ("args.limit", "10"),
            ("subject.properties.team", "a"),
            ("action.properties.format", "csv"),
            ("resource.properties.env", "prod"),
            ("context.tenant", "b"),
        ]

    def test_that_is_only_what_the_request_names_anyway_shows_nothing_more(self) -> None:
        assert shown(CALL) == {}
        assert inspectable(CALL, WHOLE)

    @pytest.mark.parametrize("intent", [["support"], None, "", 1, {"a": 1}])
    def test_shows_a_purpose_that_the_request_cannot_name(self, intent: object) -> None:
        assert list(shown(with_context(intent=intent))) == ["context.intent"]

    def test_of_nobody_proven_shows_no_properties_of_a_subject(self) -> None:
        assert shown(replace(CALL, subject=UnprovenParty(Reason.IDENTITY_INVALID))) == {}

    @pytest.mark.parametrize(
        ("call", "name"),
        [
            (with_context(args={}), "args"),
            (replace(CALL, subject=Party("t", "a", "uid", {}, {})), "subject.properties"),
            (replace(CALL, subject=Party("t", "a", "uid", {}, {"act": 1})), "subject.properties"),
            (replace(CALL, action=Action("a", {})), "action.properties"),
            (replace(CALL, resource=Resource("t", "1", {})), "resource.properties"),
        ],
    )
    def test_shows_what_is_there_but_empty(self, call: Call, name: str) -> None:
        assert shown(call) == {name: "{}"}


class TestAString:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("plain words, and signs: <>&'`", "plain words, and signs: <>&'`"),
            ("", ""),
            ('say "a"', 'say "a"'),
            ("Grüße 你好 🎉", "Grüße 你好 🎉"),
            ("e\u0301", "e\u0301"),
            ("line\nline", "line\\nline"),
            ("tab\tnul\0", "tab\\tnul\\u0000"),
            ("\x1b[2K", "\\u001b[2K"),
            ("back\\slash", "back\\\\slash"),
            ("\\u202e", "\\\\u202e"),
            ("\u202egpj.exe", "\\u202egpj.exe"),
            ("a\u2066b\u2069", "a\\u2066b\\u2069"),
            ("a\u200bb\u200d\ufeff", "a\\u200bb\\u200d\\ufeff"),
            ("no\u00a0break", "no\\u00a0break"),
            ("a\u2028b", "a\\u2028b"),
            ("a\ue000", "a\\ue000"),
            ("a\U000e0041", "a\\udb40\\udc41"),
            ("a\u3164b\u115f\uffa0\u2800", "a\\u3164b\\u115f\\uffa0\\u2800"),
            ("a\ufe0f\U000e0100", "a\\ufe0f\\udb40\\udd00"),
            ("a\u034fb\u180b\u17b4", "a\\u034fb\\u180b\\u17b4"),
            ("e\u0301\u0302a\u0301\u0302", "e\u0301\u0302a\u0301\u0302"),
            ("e\u0301\u0302\u0303\u20dd", "e\u0301\u0302\\u0303\\u20dd"),
        ],
    )
    def test_is_shown_as_it_is_but_for_what_cannot_be_seen(self, text: str, expected: str) -> None:
        assert value_of(text) == expected
        assert list(shown(with_context(**{f"n{text}": 1}))) == [f"context.n{expected}"]

    @pytest.mark.parametrize(
        ("first", "last"),
        [
            (0x034F, 0x034F),
            (0x115F, 0x1160),
            (0x17B4, 0x17B5),
            (0x180B, 0x180F),
            (0x2800, 0x2800),
            (0x3164, 0x3164),
            (0xFE00, 0xFE0F),
            (0xFFA0, 0xFFA0),
            (0x16FE4, 0x16FE4),
            (0x1D159, 0x1D159),
            (0xE0100, 0xE01EF),
        ],
    )
    def test_is_shown_without_what_prints_as_nothing_and_with_all_around_it(self, first: int, last: int) -> None:
        for code in range(first, last + 1):
            assert value_of(chr(code)).startswith("\\u")
        for code in (first - 1, last + 1):
            assert value_of(chr(code)).startswith("\\u") is not chr(code).isprintable()

    @pytest.mark.parametrize("text", ["1", "-1.5e3", "true", "null", '"a"', "{}", '[1, "a"]', ' {"a":\n1} ', "NaN"])
    def test_is_quoted_where_it_would_read_as_another_value(self, text: str) -> None:
        assert value_of(text).startswith('"')
        assert value_of(text).endswith('"')

    def test_in_a_list_or_an_object_has_its_quotes_escaped_once_more(self) -> None:
        assert value_of(['a"b', {"k\n": "\u202e"}]) == '["a\\\\"b",{"k\\\\n":"\\u202e"}]'

    def test_that_is_no_text_cannot_be_shown(self) -> None:
        with pytest.raises(NotCanonicalError):
            value_of(["\ud800"])


class TestAnotherValue:
    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            (1, "1"),
            (1.0, "1"),
            (-0.0, "0"),
            (0.1, "0.1"),
            (1e21, "1e+21"),
            (True, "true"),
            (None, "null"),
            ([], "[]"),
            ({}, "{}"),
            ({"b": 1, "a": [True, None]}, '{"a":[true,null],"b":1}'),
        ],
    )
    def test_is_shown_as_it_is_digested(self, value: object, expected: str) -> None:
        assert value_of(value) == expected

    def test_without_canonical_form_cannot_be_shown(self) -> None:
        with pytest.raises(NotCanonicalError):
            value_of(2**53)
        assert not inspectable(with_context(v=2**53), WHOLE)


ALIKE: Final[list[list[Any]]] = [
    [1, "1", '"1"', [1], ["1"], {"1": 1}],
    [None, "null", "", "None", [], {}, "[]", "{}"],
    [True, "true", "True"],
    ["\n", "\\n", "\\\\n", '"\\n"'],
    ["a\u202eb", "a\\u202eb", "a\\\\u202eb"],
    ["é", "e\u0301"],
    ["a", "a ", " a", "a\u00a0", "a\u200b", "a\ufe0f"],
    [["a", "b"], ['a","b'], '["a","b"]'],
    [{"a": {"b": 1}}, {"a.b": 1}, {"a": '{"b":1}'}],
]


@pytest.mark.invariant(9)
class TestTwoCalls:
    @pytest.mark.parametrize("values", ALIKE, ids=lambda values: repr(values[0]))
    def test_that_differ_are_shown_differently(self, values: list[Any]) -> None:
        assert len({value_of(value) for value in values}) == len(values)
        calls = [with_context(args={"v": value}) for value in values]
        assert len({tuple(shown(call).items()) for call in calls}) == len(values)

    def test_that_differ_in_where_a_value_stands_are_shown_differently(self) -> None:
        calls = [
            with_context(args={"a": 1}),
            with_context(a=1),
            with_context(args={"a.b": 1}),
            with_context(args={"a": {"b": 1}}),
            with_context(args={}),
            with_context(),
            replace(CALL, action=Action("customers.export", {"a": 1})),
            replace(CALL, resource=Resource("customer", "42", {"a": 1})),
            replace(CALL, subject=Party("t", "a", "uid", {}, {"a": 1})),
            with_context(**{"properties.a": 1}),
        ]
        assert len({tuple(shown(call).items()) for call in calls}) == len(calls)

    def test_that_are_the_same_json_are_shown_alike(self) -> None:
        assert shown(with_context(args={"b": 1.0, "a": 2})) == shown(with_context(args={"a": 2, "b": 1}))


@pytest.mark.invariant(9)
class TestWhatCanBeShown:
    @pytest.mark.parametrize(
        "context",
        [
            {"args": {}},
            {"args": {f"a{n}": n for n in range(32)}},
            {"args": {"a": "x" * 1024}},
            {"args": {"a": "\n" * 512}},
            {"args": {"a": ["x" * 1020]}},
            {"args": {"a": ""}},
            {"args": {"": 1}},
            {"args": {"n" * 248: 1}},
            {f"a{n}": n for n in range(64)},
            {"args": {f"a{n}": n for n in range(32)}} | {f"a{n}": n for n in range(32)},
        ],
    )
    def test_is_what_a_grant_can_hold(self, context: dict[str, Any]) -> None:
        assert inspectable(with_context(**context), WHOLE)

    @pytest.mark.parametrize(
        "context",
        [
            {"args": {f"a{n}": n for n in range(33)}},
            {"args": {"a": "x" * 1025}},
            {"args": {"a": "\n" * 513}},
            {"args": {"a": ["x" * 1021]}},
            {"args": {"n" * 249: 1}},
            {"args": None},
            {"args": []},
            {"args": "all"},
            {"args": 1},
            {"args": True},
            {"args_digest": "sha256:" + "a" * 64},
            {"args_digest": None},
            {"args": {}, "args_digest": "sha256:" + "a" * 64},
            {"a": "x" * 1025},
            {f"a{n}": n for n in range(65)},
            {"args": {f"a{n}": n for n in range(32)}} | {f"a{n}": n for n in range(33)},
        ],
    )
    def test_is_nothing_that_would_have_to_be_cut_or_hidden(self, context: dict[str, Any]) -> None:
        assert not inspectable(with_context(**context), WHOLE)

    def test_is_no_text_that_reads_as_json_without_end(self) -> None:
        assert not inspectable(with_context(v="[" * 100_000), WHOLE)

    def test_is_bounded_everywhere(self) -> None:
        long = {"a": "x" * 1025}
        assert not inspectable(replace(CALL, action=Action("a", long)), WHOLE)
        assert not inspectable(replace(CALL, resource=Resource("t", "1", long)), WHOLE)
        assert not inspectable(replace(CALL, subject=Party("t", "a", "uid", {}, long)), WHOLE)

    @pytest.mark.parametrize(
        "context",
        [
            {"args": {"a": "x" * 1_000_000}},
            {"args": {"a": ["\u202e" * 300_000]}},
            {"args": {"\u202e" * 300_000: 1}},
            {f"m{n}": "x" * 80 for n in range(10_000)},
            {"args": {f"a{n}": "x" * 30_000 for n in range(32)}},
        ],
        ids=["a long text", "a long list", "a long name", "many members", "many long texts"],
    )
    def test_is_found_out_without_writing_out_a_megabyte(
        self, context: dict[str, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        written: list[int] = []

        def spy(text: str) -> str:
            written.append(len(text))
            return visible(text)

        monkeypatch.setattr(display, "visible", spy)
        for gate in (WHOLE, gate_of(approving(show=["/context/args/a", "/context/m1"]))):
            inspectable(with_context(**context), gate)
        assert sum(written) < 20_000
        assert not inspectable(with_context(**context), WHOLE)

    def test_shows_each_value_to_its_end(self) -> None:
        assert value_of("x" * 1024) == "x" * 1024


POINTED: Final = gate_of(
    approving(show=["/context/args/fields", "/context/args/deep/1/a~1b", "/resource/properties/env"])
)
UNSEEN: Final = gate_of(approving(allowUnseen=True))
DIGEST: Final = "sha256:" + "a" * 64


class TestWhatThePolicyPointsAt:
    def test_is_all_that_is_shown(self) -> None:
        call = replace(
            CALL,
            resource=Resource("customer", "42", {"env": "prod", "other": "x"}),
            context={"args": {"fields": ["name"], "hidden": 1, "deep": [0, {"a/b": "\u202e"}]}, "tenant": "b"},
        )
        assert list(items_of(call, POINTED)) == [
            {"name": "/context/args/fields", "value": '["name"]'},
            {"name": "/context/args/deep/1/a~1b", "value": "\\u202e"},
            {"name": "/resource/properties/env", "value": "prod"},
        ]

    def test_is_named_as_absent_where_the_call_lacks_it(self) -> None:
        call = with_context(args={"fields": "name", "deep": [0]})
        assert list(items_of(call, POINTED)) == [
            {"name": "/context/args/fields", "value": "name"},
            {"name": "absent", "value": "/context/args/deep/1/a~1b, /resource/properties/env"},
        ]

    def test_is_refused_where_it_is_too_long_and_nothing_else_is(self) -> None:
        assert inspectable(with_context(args={"fields": "x", "hidden": "y" * 5000}), POINTED)
        assert inspectable(with_context(args={f"a{number}": 1 for number in range(40)}), POINTED)
        assert not inspectable(with_context(args={"fields": "x" * 1025}), POINTED)


class TestArgumentsBehindTheirDigest:
    def test_are_told_to_be_hidden_where_the_policy_lets_them(self) -> None:
        call = with_context(args_digest=DIGEST)
        assert inspectable(call, UNSEEN)
        assert {"name": "args", "value": "not shown"} in list(items_of(call, UNSEEN))
        assert not inspectable(call, WHOLE)

    @pytest.mark.parametrize("digest", ["", "sha256:", "sha256:" + "A" * 64, "x" * 71, 1, None, DIGEST + "\n"])
    def test_are_refused_where_it_is_no_digest(self, digest: object) -> None:
        assert not inspectable(with_context(args_digest=digest), UNSEEN)

    def test_are_refused_beside_the_arguments(self) -> None:
        assert not inspectable(with_context(args={}, args_digest=DIGEST), UNSEEN)


class TestTheContextThatARuleRequires:
    @pytest.mark.parametrize(
        ("context", "lacks"),
        [
            ({}, True),
            ({"tenant": "a"}, True),
            ({"args": {}}, True),
            ({"args": {}, "tenant": None}, True),
            ({"args": {}, "tenant": ""}, False),
        ],
    )
    def test_is_lacking_while_a_member_is(self, context: dict[str, Any], lacks: bool) -> None:
        gate = gate_of(approving(requiredContext=["args", "tenant"]))
        assert lacking(with_context(**context), gate) is lacks

    def test_has_arguments_behind_their_digest_only_where_nobody_needs_to_see_them(self) -> None:
        call = with_context(args_digest=DIGEST)
        assert not lacking(call, gate_of(approving(requiredContext=["args"], allowUnseen=True)))
        assert lacking(call, gate_of(approving(requiredContext=["args"])))
        assert lacking(CALL, gate_of(approving(requiredContext=["args"], allowUnseen=True)))


SHOWN: Final = with_context(args={"rows": "ALL", "to": "evil@example.net"})
LIES: Final[dict[str, list[dict[str, str]] | None]] = {
    "another value": [{"name": "args.rows", "value": "10"}, {"name": "args.to", "value": "evil@example.net"}],
    "one value less": [{"name": "args.to", "value": "evil@example.net"}],
    "one value more": [*items_of(SHOWN, WHOLE), {"name": "args.why", "value": "an audit"}],
    "nothing": [],
    "no list": None,
}


@pytest.mark.invariant(7, 30)
@pytest.mark.parametrize("phase", ["Active", "Consumed"])
@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
def test_a_grant_that_shows_another_call_than_this_one_does_not_serve(
    lie: list[dict[str, str]] | None, phase: str
) -> None:
    """What reviewers approve is what they see: who writes as the decision point, or on admission, can show anything."""
    on = governed(gated_rule())
    honest = approved(on, SHOWN, phase=phase)
    assert verdict_of(on, SHOWN, [read(honest)]).reason is not Reason.APPROVAL_REQUIRED
    request = {**honest["spec"]["request"], "display": lie}
    lying = {**honest, "spec": {**honest["spec"], "request": request}}
    verdict = verdict_of(on, SHOWN, [read(lying)])
    assert (verdict.outcome, verdict.reason, verdict.requestable) == (Outcome.DENY, Reason.APPROVAL_REQUIRED, True)
