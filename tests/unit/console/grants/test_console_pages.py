"""What the page of a grant says, in full and in order, and that no text of others can be anything but text."""

import html
import re
from collections.abc import Sequence
from html.parser import HTMLParser
from typing import Any, Final

import pytest

from bailiwick_console.grants.grantpage import PageContext, compose
from bailiwick_console.grants.inbox import InboxList, page, sort
from bailiwick_console.visits.memory import PageMemory
from bailiwick_console.visits.views import PageViews, TypedText
from bailiwick_engine.compile.policies import compile_object
from bailiwick_engine.policy.model import CompiledPolicy
from bailiwick_governance.apiserver.people import CurrentUser
from bailiwick_governance.errors import UserError
from bailiwick_governance.grants.grantview import GrantView
from support.objects import Object, gated_rule, policy, rule, settings
from unit.governance.cases import DIGEST, NOW, OWNERS, at, review, step, stored, view

CAROL: Final = CurrentUser("carol", ("crm-owners",))
TITLES: Final = (
    "1. Who is calling",
    "2. Requested action",
    "3. Arguments",
    "4. If you approve",
    "5. Why approval is required",
    "6. Compared with the last approved call",
    "7. Who must approve",
    "8. If you deny or do nothing",
    "9. The requester's reason",
    "10. You act as",
)
PAYLOADS: Final = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "</textarea><script>alert(1)</script>",
    "</title><svg onload=alert(1)>",
    "javascript:alert(1)",
    "{{ 7 * 7 }} {% raw %} {# x #} ${7*7}",
    "<!-- --><![CDATA[ <meta http-equiv=refresh content=0;url=//evil.example>",
    "&lt;b&gt; &amp; &#60;",
    "a\x1b[2J\u202eb\u200bc\u2066\u00ad\x00\u2028\ufeff",
)


class Seen(HTMLParser):
    """Elements and attributes of a page, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes.update(name for name, _ in attrs)
        if tag not in {"bdi", "strong", "a"}:
            self.words.append(" ")

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def shown(
    grant: GrantView,
    grants: Sequence[GrantView] | None = (),
    policies: Sequence[Object] | None = (),
    **given: str,
) -> str:
    views = PageViews(PageMemory(), CAROL, "https://cluster.example")
    context = PageContext(CAROL, grants, policies, {}, {"policies": "no right", "grants": "no right"})
    text = views.grant(compose(grant, context), given=TypedText(**given)).text
    assert text is not None
    return text


def read(text: str) -> str:
    """Return what a reader of the page reads."""
    return " ".join("".join(Seen(text).words).split())


def test_the_ten_points_stand_in_their_order_and_only_json_is_folded_of_which_each_value_stands_above() -> None:
    text = shown(
        view(
            reason="please",
            subject={"type": "subject-type", "id": "subject-id", "uid": "subject-uid"},
            actors=[{"issuer": "actor-issuer", "id": "actor-id", "uid": "actor-uid"}],
            action={"name": "action-name"},
            resource={"type": "resource-type", "id": "resource-id", "properties": {"property": "property-value"}},
        )
    )
    assert tuple(html.unescape(title) for title in re.findall(r"<h2 id=[^>]*>([^<]*)</h2>", text))[:10] == TITLES
    (folded,) = re.findall(r"<details>.*?</details>", text, re.DOTALL)
    assert read(folded).startswith("As stored (JSON) As stored {")
    facts = text.partition('<div class="points">')[2].partition('<div id="end-of-facts">')[0].replace(folded, "")
    values = re.findall(r"\w+-(?:type|id|uid|issuer|name|value)", html.unescape(folded))
    assert len(values) == 10
    for value in values:
        # In a row of its own, as nothing but a value.
        assert re.search(rf"<dd><bdi class=\"text bold\">{value}</bdi></dd>", facts), value
    assert "dialog" not in Seen(text).tags
    assert "ellipsis" not in text
    # All of it before the form.
    assert text.index("10. You act as") < text.index("<form")


@pytest.mark.parametrize(
    "grant",
    [view(), view(steps=[step(), step({**OWNERS, "name": "p.r.s"})]), view(status={"phase": "Active", "uses": 0})],
    ids=["one step", "several steps", "active"],
)
def test_every_label_leads_to_one_field(grant: GrantView) -> None:
    text = shown(grant, reason="typed")
    ids = re.findall(r'\sid="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    for target in re.findall(r'(?:for|aria-labelledby|aria-describedby)="([^"]+)"', text):
        assert target in ids


def test_no_field_of_a_form_is_one_in_which_enter_would_press_a_button() -> None:
    # In text areas it begins a line. A disabled button before the others would not help: browsers pass it over.
    for grant in (view(), view(steps=[step(), step({**OWNERS, "name": "p.r.s"})])):
        text = shown(grant)
        assert set(re.findall(r"<input type=\"(\w+)\"", text)) == {"hidden"}
        assert "<select" not in text
        assert "autofocus" not in text


@pytest.mark.parametrize("payload", PAYLOADS)
@pytest.mark.parametrize(
    "fields",
    [
        lambda text: {"subject": {"type": text, "id": text, "uid": text}},
        lambda text: {"action": {"name": text}},
        lambda text: {"resource": {"type": text, "id": text, "properties": {text: text}}},
        lambda text: {"intent": text},
        lambda text: {"actors": [{"id": text, "issuer": text}]},
        lambda text: {"requester": text},
        lambda text: {"excludedReviewers": [text]},
        lambda text: {"reason": text},
        lambda text: {"display": [{"name": text, "value": text}]},
        lambda text: {"unheard": {text: text}},
        lambda text: {"endpoint": text},
        lambda text: {"revocation": {"by": text, "reason": text}},
        lambda text: {"status": {"conditions": [{"type": text, "status": "True", "message": text}]}},
    ],
    ids=[
        *("subject", "action", "resource", "intent", "actors", "requester", "excluded", "reason", "display"),
        *("unheard", "endpoint", "revocation", "status"),
    ],
)
def test_no_text_of_others_becomes_markup_or_hides(fields: Any, payload: str) -> None:  # noqa: ANN401 - a lambda
    plain, hostile = shown(view(**fields("plain"))), shown(view(**fields(payload)))
    before, after = Seen(plain), Seen(hostile)
    # Not one element and not one attribute more than for a harmless text.
    assert (after.tags, after.attributes) == (before.tags, before.attributes)
    assert all(character.isprintable() or character == "\n" for character in hostile)
    assert not set("\u202e\u200b\u2066\u00ad\u2028\ufeff") & set(hostile)


def test_a_text_is_shown_to_its_last_character() -> None:
    value = "x" * 1024
    assert value in shown(view(display=[{"name": "args.long", "value": value}]))
    words = "w" * 4096
    assert words in shown(view(reason=words))


def test_what_a_reviewer_typed_comes_back_as_it_was_typed() -> None:
    text = shown(view(), reason="</textarea><b>\nC:\\temp")
    assert "&lt;/textarea&gt;&lt;b&gt;\nC:\\temp</textarea>" in text


@pytest.mark.parametrize(
    ("grant", "said"),
    [
        (view(binding={"mode": "Scope"}, display=None), "a class of calls: every call of this subject"),
        (view(), "exactly this call, to the last byte"),
        (view(display=None), "not shown"),
        (
            view(display=[{"name": "/context/args/a", "value": "1"}]),
            "to the last byte, also where you are not shown it",
        ),
        (view(origin="PreApproved"), "no: the request names the subject, and no call was made yet"),
        (view(requester="carol"), "You take part in this call"),
        (view(review("carol")), "You have reviewed it already"),
        (view(status={"phase": "Denied"}), "It is Denied: it can no longer be reviewed"),
        (view(now=NOW + 7200), "It is Expired"),
    ],
)
def test_the_page_says(grant: GrantView, said: str) -> None:
    assert said in read(shown(grant))


def test_who_cannot_review_any_step_is_told_what_each_wants() -> None:
    text = read(
        shown(view(steps=[{"name": "s", "policy": "p", "kind": "Human", "groups": ["sec", "ops"], "count": 1}]))
    )
    assert "You cannot review any of the open steps: s requires a Human in sec or ops." in text


def test_the_group_that_is_recorded_of_several_stands_on_the_button() -> None:
    several = {**OWNERS, "groups": ["sec", "crm-owners", "ops"]}
    assert "Approve as crm-owners Deny as crm-owners" in read(shown(view(steps=[step(several)])))
    assert "Approve Deny Withdraw the request" in read(shown(view()))


@pytest.mark.parametrize(
    ("identity", "said"),
    [
        (None, "by the tokens of the call"),
        ({"verification": "Token"}, "by the tokens of the call"),
        ({"verification": "Asserted"}, "no: it is only the enforcement point's word"),
    ],
)
def test_it_is_told_how_the_subject_is_proven(identity: Object | None, said: str) -> None:
    made = policy("crm", endpointSettings=settings() | ({"identity": identity} if identity else {}))
    made["metadata"] |= {"uid": "policy-uid", "generation": 1}
    assert said in read(shown(view(), policies=[made]))
    assert "not known: no right" in read(shown(view(), policies=None))
    assert "not known: the settings" in read(shown(view(), policies=[]))


def carrier(*rules: Object) -> Object:
    made = policy("crm", rules=list(rules), endpointSettings=settings())
    made["metadata"] |= {"uid": "policy-uid", "generation": 1}
    return made


def rule_of(made: Object) -> Object:
    """Return the reference of a grant to the first rule of a policy, as the decision point makes it."""
    compiled = compile_object(made)
    assert isinstance(compiled, CompiledPolicy)
    gate = compiled.rules[0].gate
    assert gate is not None
    assert compiled.settings is not None
    (found,) = compiled.settings.gate(gate, compiled.rules[0].actions).rules
    return {"policy": found.policy, "uid": found.policy_uid, "rule": found.rule, "ruleDigest": found.rule_digest}


def test_it_is_told_by_which_condition_somebody_is_asked_and_what_it_read() -> None:
    text = (
        "context.args.order.total > 500 && resource.id != '<b>' && subject.id != ''"
        " && context.tenant == 'a' && context.args.unseen == 1"
    )
    made = carrier(gated_rule("export", conditions=[{"name": "large", "expression": text}]))
    display = [{"name": "args.order", "value": '{"total":9000}'}, {"name": "context.tenant", "value": "a"}]
    said = read(shown(view(rules=[rule_of(made)], display=display), policies=[made]))
    assert f"Conditions of crm-agent/export as the rule is now large {text}" in said
    assert 'context.args.order.total = {"total":9000}' in said
    assert "context.args.unseen not shown here" in said
    assert "context.tenant = a" in said
    assert "resource.id = 42" in said
    assert "subject.id = system:serviceaccount:agents:crm-agent" in said
    assert "has changed since" not in said


def test_what_a_policy_shows_by_pointers_is_found_too() -> None:
    made = carrier(gated_rule("export", conditions=[{"name": "large", "expression": "context.args.order.total > 500"}]))
    display = [{"name": "/context/args/order/total", "value": "9000"}]
    assert "context.args.order.total = 9000" in read(
        shown(view(rules=[rule_of(made)], display=display), policies=[made])
    )


def test_a_rule_that_is_no_longer_as_it_was_is_said_to_be() -> None:
    made = carrier(gated_rule("export"))
    asked = view(rules=[rule_of(made)])
    assert "crm-agent/export has none" in read(shown(asked, policies=[made]))
    wider = carrier(gated_rule("export", actions=["customers.export", "customers.get"]))
    assert "has changed since" in read(shown(asked, policies=[wider]))
    elsewhere = carrier(gated_rule("export"))
    elsewhere["spec"]["endpointSettings"] |= {"identity": {"audiences": ["elsewhere"]}}
    plain = carrier(gated_rule("export"))
    del plain["spec"]["endpointSettings"]
    beside = carrier(rule())
    beside["metadata"]["name"] = "settings"
    assert "has changed since" not in read(shown(asked, policies=[plain, beside]))
    for others in ([elsewhere], [plain], [made, beside]):
        assert "has changed since" in read(shown(asked, policies=others))
    for gone in (carrier(gated_rule("other")), carrier(rule("export"))):
        assert "the rule is no longer there" in read(shown(asked, policies=[gone]))
    broken = carrier(gated_rule("export", conditions=[{"name": "no", "expression": "((("}]))
    assert "its policy is invalid" in read(shown(asked, policies=[broken]))
    made["metadata"]["uid"] = "another"
    assert "the policy was deleted and created again since" in read(shown(asked, policies=[made]))
    assert "the policy is no longer there" in read(shown(asked, policies=[]))


def earlier(name: str, reviewer: str, **request: Any) -> GrantView:  # noqa: ANN401 - as `stored`
    raw = stored(review(reviewer), **request)
    raw["metadata"] |= {"name": name, "uid": name, "creationTimestamp": at(-3600)}
    return GrantView(raw, NOW)


def test_a_first_yes_is_said_to_be_one_and_a_later_one_shows_what_is_new() -> None:
    now = view(display=[{"name": "args.amount", "value": "9000"}], intent="support")
    denied = GrantView(stored(review("carol", decision="Deny")), NOW)
    denied.raw["metadata"] |= {"uid": "denied"}  # type: ignore[index]  # a dict here
    of_another = earlier("other", "carol", action={"name": "customers.get"})
    for others in ([], [earlier("by-dave", "dave")], [of_another], [denied]):
        assert "First time You have not approved customers.export" in read(shown(now, others))
    before = earlier("last", "carol", display=[{"name": "args.amount", "value": "20"}], intent="support")
    text = read(shown(now, [before]))
    assert "First time" not in text
    assert "Your last approval last, requested 60m ago (approvals of yours that are still stored: 1)" in text
    assert "Different now args.amount 20 → 9000" in text
    same = earlier("last", "carol", display=[{"name": "args.amount", "value": "9000"}], intent="support")
    assert "Different now nothing that is shown" in read(shown(now, [same]))
    assert "not known: no right" in read(shown(now, None))


STEP: Final = {"name": "crm-agent.export.owner", "policy": "crm-agent", "kind": "Human", "count": 1}
DIFFERENT: Final[dict[str, tuple[str, Any, Any]]] = {
    "the subject's issuer": ("subject", {"id": "a", "issuer": "https://one"}, {"id": "a", "issuer": "https://two"}),
    "the subject's type": ("subject", {"id": "a", "type": "user"}, {"id": "a", "type": "service"}),
    "the subject's uid": ("subject", {"id": "a", "uid": "1"}, {"id": "a", "uid": "2"}),
    "an actor's issuer": ("actors", [{"id": "a", "issuer": "https://one"}], [{"id": "a", "issuer": "https://two"}]),
    "an actor's uid": ("actors", [{"id": "a", "uid": "1"}], [{"id": "a", "uid": "2"}]),
    "two actors for one whose name reads so": ("actors", [{"id": "a"}, {"id": "b"}], [{"id": "a <- b"}]),
    "a resource whose type and id read so together": (
        "resource",
        {"type": "customer", "id": "vip/42"},
        {"type": "customer/vip", "id": "42"},
    ),
    "an intent that reads as none": ("intent", None, "none declared"),
    "two groups for one whose name reads so": (
        "steps",
        [{**STEP, "groups": ["a", "b"]}],
        [{**STEP, "groups": ["a or b"]}],
    ),
    "a group that reads as any": ("steps", [STEP], [{**STEP, "groups": ["any group"]}]),
    "the requester": ("requester", "one", "two"),
    "the rule": ("rules", [{"policy": "p", "rule": "one"}], [{"policy": "p", "rule": "two"}]),
    "what the rule is": (
        "rules",
        [{"policy": "p", "rule": "r", "ruleDigest": "sha256:1"}],
        [{"policy": "p", "rule": "r", "ruleDigest": "sha256:2"}],
    ),
    "the groups of a step": ("steps", [{**STEP, "groups": ["one"]}], [{**STEP, "groups": ["two"]}]),
    "how many a step needs": ("steps", [{**STEP, "count": 2}], [STEP]),
    "who is excluded": ("excludedReviewers", ["one"], ["two"]),
    "what is bound": (
        "binding",
        {"mode": "Exact", "digest": DIGEST, "members": ["a"]},
        {"mode": "Exact", "digest": DIGEST, "members": ["b"]},
    ),
}


@pytest.mark.parametrize(("field", "before", "now"), DIFFERENT.values(), ids=DIFFERENT)
def test_whatever_is_new_since_the_last_yes_is_told(
    field: str,
    before: Any,  # noqa: ANN401 - a field of a request
    now: Any,  # noqa: ANN401 - likewise
) -> None:
    text = read(shown(view(**{field: now}), [earlier("last", "carol", **{field: before})]))
    assert "Different now" in text
    assert "nothing that is shown" not in text


def test_each_actor_is_told_on_a_line_of_its_own() -> None:
    two = view(actors=[{"id": "a"}, {"id": "b", "issuer": "https://i"}])
    one = view(actors=[{"id": "a <- b of https://i"}])
    assert "Actor 1 id a Actor 2 issuer https://i id b Intent" in read(shown(two))
    assert "Actor id a <- b of https://i Intent" in read(shown(one))
    assert '"actors": [{"id": "a"}, {"id": "b", "issuer": "https://i"}]' in read(shown(two))


def test_another_grant_that_lets_the_call_through_is_told() -> None:
    other = stored(status={"phase": "Active", "notAfterTime": at(600), "uses": 0})
    other["metadata"] |= {"uid": "other", "name": "agr-other"}
    assert "agr-other also allows such calls" in read(shown(view(), [GrantView(other, NOW)]))


def test_a_word_of_two_alphabets_is_marked() -> None:
    text = shown(view(resource={"type": "customer", "id": "p\u0430ypal"}))
    assert "letters of several alphabets: Cyrillic, Latin" in text
    assert "several alphabets" not in shown(
        view(resource={"type": "customer", "id": "\u043a\u043b\u0438\u0435\u043d\u0442"})
    )


def test_a_list_escapes_what_it_shows() -> None:
    views = PageViews(PageMemory(), CAROL, "https://cluster.example")
    for payload in PAYLOADS:
        raw = stored(action={"name": payload}, resource={"type": payload, "id": payload})
        lists = sort([raw], CAROL, lambda *_: True, NOW)
        text = views.inbox(page(lists, InboxList.REVIEW, 1), None).text
        assert text is not None
        assert {tag: Seen(text).tags.count(tag) for tag in ("script", "img", "svg", "meta")} == {
            "script": 2,
            "img": 0,
            "svg": 0,
            "meta": 3,
        }
        assert all(character.isprintable() or character == "\n" for character in text)


def test_what_nobody_escaped_before_shows_what_cannot_be_seen_all_the_same() -> None:
    hidden = CurrentUser("ca\u202erol", ())
    views = PageViews(PageMemory(), hidden, "https://cluster\u200b.example")
    text = views.failed(
        "It failed", UserError("no such \u2066thing <b>"), "/?list=\u202e", rights=("a \u00ad right",)
    ).text
    assert text is not None
    assert all(character.isprintable() or character == "\n" for character in text)
    for shown in ("ca\\u202erol", "cluster\\u200b.example", "no such \\u2066thing &lt;b&gt;", "a \\u00ad right"):
        assert shown in text
