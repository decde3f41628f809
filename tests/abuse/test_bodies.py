"""Bodies that are malformed, too large, of the wrong type or ambiguous: 400 with a problem that names the field."""

import gzip
import json
from collections.abc import Callable
from typing import Any, Final

import pytest

from support.pdp import questions
from support.pdp.tenant import Tenant

pytestmark = pytest.mark.long

MIB: Final = 1024 * 1024


def _with(path: str, value: object) -> Callable[[dict[str, Any]], bytes]:
    """Return what sets one member, by its dotted path; `...` removes it."""

    def made(body: dict[str, Any]) -> bytes:
        *way, last = path.split(".")
        place = body
        for key in way:
            place = place.setdefault(key, {})
        if value is ...:
            place.pop(last)
        else:
            place[last] = value
        return json.dumps(body).encode()

    return made


def _text(change: Callable[[str], str]) -> Callable[[dict[str, Any]], bytes]:
    return lambda body: change(json.dumps(body)).encode()


def _context(members: str) -> Callable[[dict[str, Any]], bytes]:
    """Return what puts members into the context as they are written."""
    return _text(lambda text: text.replace('"context": {', f'"context": {{{members}, ', 1))


# How a body is made, and the field that the problem names.
WRONG: Final[dict[str, tuple[Callable[[dict[str, Any]], bytes], str]]] = {
    "empty": (lambda body: b"", ""),
    "white space": (lambda body: b" \n", ""),
    "no JSON": (lambda body: b"subject=agent", ""),
    "half": (lambda body: json.dumps(body).encode()[:-1], ""),
    "more behind it": (lambda body: json.dumps(body).encode() + b"{}", ""),
    "a list": (lambda body: json.dumps([body]).encode(), ""),
    "a string": (lambda body: b'"agent"', ""),
    "null": (lambda body: b"null", ""),
    "not UTF-8": (lambda body: json.dumps(body).encode("utf-16"), ""),
    "Latin-1": (_text(lambda text: text.replace("42", "\u00e9")), ""),
    "a byte order mark": (lambda body: b"\xef\xbb\xbf" + json.dumps(body).encode(), ""),
    "NUL bytes": (lambda body: b"\0" * 100, ""),
    "a MiB and more": (_with("context.padding", "x" * MIB), ""),
    "more values than we look at": (_with("context.list", [0] * 20_001), ""),
    "very deep": (lambda body: b"[" * 200_000, ""),
    "deeper than we look": (_context('"deep":' + "[" * 40 + "]" * 40), "context.deep" + "[0]" * 30),
    "no subject": (_with("subject", ...), "subject"),
    "no action": (_with("action", ...), "action"),
    "no resource": (_with("resource", ...), "resource"),
    "a subject that is a string": (_with("subject", "agent"), "subject"),
    "a subject that is null": (_with("subject", None), "subject"),
    "an action that is a list": (_with("action", []), "action"),
    "a resource that is a number": (_with("resource", 42), "resource"),
    "a context that is a list": (_with("context", []), "context"),
    "no subject.type": (_with("subject.type", ...), "subject.type"),
    "no subject.id": (_with("subject.id", ...), "subject.id"),
    "no action.name": (_with("action.name", ...), "action.name"),
    "no resource.type": (_with("resource.type", ...), "resource.type"),
    "no resource.id": (_with("resource.id", ...), "resource.id"),
    "an empty subject.id": (_with("subject.id", ""), "subject.id"),
    "an empty action.name": (_with("action.name", ""), "action.name"),
    "an empty resource.id": (_with("resource.id", ""), "resource.id"),
    "a resource.id that is a number": (_with("resource.id", 42), "resource.id"),
    "an action.name that is true": (_with("action.name", value=True), "action.name"),
    "subject.properties that are a list": (_with("subject.properties", []), "subject.properties"),
    "action.properties that are a string": (_with("action.properties", "soft"), "action.properties"),
    "resource.properties that are a number": (_with("resource.properties", 1), "resource.properties"),
    "evidence that is a string": (_with("context.evidence", "token"), "context.evidence"),
    "a token that is a list": (_with("context.evidence.subject_token", []), "context.evidence.subject_token"),
    "an actor's token that is 1": (_with("context.evidence.actor_token", 1), "context.evidence.actor_token"),
    "arguments that are a list": (_with("context.args", []), "context.args"),
    "arguments that are a string": (_with("context.args", "--all"), "context.args"),
    "an intent that is a list": (_with("context.intent", ["support"]), "context.intent"),
    "an empty intent": (_with("context.intent", ""), "context.intent"),
    "a reason that is a number": (_with("context.business_justification", 1), "context.business_justification"),
    "a subject twice": (_text(lambda text: '{"subject": {}, ' + text[1:]), "subject"),
    "a subject twice, once spelled otherwise": (_text(lambda text: '{"\\u0073ubject": {}, ' + text[1:]), "subject"),
    "a member twice, deep inside": (_context('"a":{"b":[{"c":1,"c":1}]}'), "c"),
    "NaN": (_context('"n":NaN'), ""),
    "Infinity": (_context('"n":-Infinity'), ""),
    "a number beyond all numbers": (_context('"n":1e400'), "context.n"),
    "an integer of 2^53": (_with("context.n", 2**53), "context.n"),
    "an integer of -2^53": (_with("context.args", {"n": [-(2**53)]}), "context.args.n[0]"),
    "an integer of a thousand digits": (_context('"n":' + "9" * 1000), "context.n"),
    "an integer of ten thousand digits": (_context('"n":' + "9" * 10_000), ""),
    "a lone surrogate": (_context('"s":"\\ud800"'), "context.s"),
    "a lone surrogate in a name": (_context('"\\udc00":1'), "context"),
    "a lone surrogate as the id": (_text(lambda text: text.replace('"42"', '"\\ud83d"')), "resource.id"),
}


@pytest.mark.parametrize("path", ["evaluation", "requests"])
@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_body_is_400_and_the_problem_names_the_field(tenant: Tenant, what: str, path: str) -> None:
    made, field = WRONG[what]
    headers = {"X-Request-ID": "wrong-body"}
    data = made(tenant.body("customers.list"))
    if what == "Latin-1":
        data = data.decode().encode("latin-1")
    answer = questions.post(tenant.url(path), data, tenant.pep, headers)
    assert (answer.status, answer.decision) == (400, None)
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers["X-Request-ID"] == "wrong-body"
    assert answer.body["field"] == field, answer.body
    assert answer.body["detail"]


def test_ab_37_a_problem_does_not_repeat_what_was_sent(tenant: Tenant) -> None:
    answer = questions.post(tenant.url(), b'{"subject": "\x1b[31mopen sesame", "\x07bell": 1}', tenant.pep)
    assert b"sesame" not in answer.raw
    assert b"\x1b" not in answer.raw


def test_ab_37_the_name_of_a_member_is_told_short_and_printable(tenant: Tenant) -> None:
    name = "\\u0007\\u202e" + "x" * 500
    answer = questions.post(tenant.url(), b'{"%s": 1, "%s": 2}' % (name.encode(), name.encode()), tenant.pep)
    assert answer.body["field"] == "??" + "x" * 62


@pytest.mark.parametrize(
    ("header", "value", "field"),
    [
        ("Content-Type", "text/plain", "Content-Type"),
        ("Content-Type", "application/x-www-form-urlencoded", "Content-Type"),
        ("Content-Type", "", "Content-Type"),
        ("Content-Type", "application/json-patch+json", "Content-Type"),
        ("Content-Encoding", "gzip", "Content-Encoding"),
        ("Content-Encoding", "deflate", "Content-Encoding"),
    ],
)
def test_a_body_of_another_kind_is_400(tenant: Tenant, header: str, value: str, field: str) -> None:
    data = json.dumps(tenant.body("customers.list")).encode()
    if value == "gzip":
        data = gzip.compress(data + b" " * (100 * MIB))
    answer = questions.post(tenant.url(), data, tenant.pep, {header: value})
    assert (answer.status, answer.body["field"]) == (400, field)


def test_a_charset_beside_the_content_type_is_no_matter(tenant: Tenant) -> None:
    headers = {"Content-Type": "application/json; charset=utf-8"}
    assert questions.post(tenant.url(), tenant.body("customers.list"), tenant.pep, headers).decision is True


RIGHT: Final[dict[str, Callable[[dict[str, Any]], bytes]]] = {
    "unknown members": _with("unheard.of", 1),
    "evaluations of another API": _with("evaluations", [{}]),
    "no properties": _with("subject.properties", None),
    "a context of its own": _with("context.tenant", {"id": 7}),
    "no intent": _with("context.intent", None),
    "as deep as we look": _context('"deep":' + "[" * 28 + "]" * 28),
    "the largest integer": _with("context.n", 2**53 - 1),
    "a large float": _context('"n":1e300'),
    "a pair of surrogates": _context('"s":"\\ud83d\\ude00"'),
    "almost a MiB": _with("context.padding", "x" * (MIB - 8192)),
}


@pytest.mark.parametrize("what", RIGHT)
def test_an_unusual_body_that_is_right_is_decided(tenant: Tenant, what: str) -> None:
    answer = questions.post(tenant.url(), RIGHT[what](tenant.body("customers.list")), tenant.pep)
    assert (answer.status, answer.decision) == (200, True), answer.body
