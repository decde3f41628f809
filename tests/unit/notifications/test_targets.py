"""Targets of a Secret: what is understood is used, everything else is told of and used for nothing."""

import base64

import pytest

from bailiwick_notifications.targets import MOST_TARGETS, parse

SECRET = ("whsec_" + base64.b64encode(bytes(32)).decode()).encode()
HIDDEN = "T0KEN-that-nobody-prints"


def problem(**data: bytes) -> str:
    found = parse({name.replace("_secret", ".secret"): value for name, value in data.items()})
    assert found.targets == ()
    assert len(found.problems) == 1
    return found.problems[0].message


@pytest.mark.parametrize(
    "url",
    [
        f"slack://TokenA/TokenB/{HIDDEN}/#approvals",
        f"slack://TokenA/TokenB/{HIDDEN}/#approvals?footer=no&image=no",
        "mailtos://user:password@example.com?smtp=smtp.example.com&to=team@example.com",
        "pagerduty://integration@api?region=eu",
        "workflows://prod.westus.logic.azure.com/workflow/signature",
        "json://127.0.0.1:8080/hook",
    ],
)
def test_of_services_that_are_named_are_used(url: str) -> None:
    (target,) = parse({"chat": url.encode()}).targets
    assert (target.via, target.url, target.key) == ("apprise", url, None)


@pytest.mark.parametrize(
    "scheme",
    [
        *("file", "syslog", "rsyslog", "dbus", "glib", "gnome", "macosx", "windows", "smpp", "mqtt", "growl"),
        *("apprise", "apprises", "xml", "form", "vapid", "fcm", "signal", "blink1", "kodi", "", "SLACK "),
    ],
)
def test_of_other_schemes_are_refused(scheme: str) -> None:
    assert (
        "the scheme is none of those that are allowed" in problem(chat=f"{scheme}://{HIDDEN}/".encode())
        or " " in scheme
    )


@pytest.mark.parametrize(
    "option",
    [
        *("template=/etc/passwd", "TEMPLATE=/x", "templ%61te=/x", "attach=/x", "attach=http://10.0.0.1/", "method=GET"),
        *("redirect=yes", "verify=no", "+Metadata-Flavor=Google", "-key=x", ":key=x", "pgpkey=/x", "pgp=yes"),
        *("retry=100", "wait=100", "cto=1000", "rto=1000", "store=yes", "avatar_url=http://x", "url=http://x"),
        *("actions=http,x,http://10.0.0.1", "click=http://x", "to=x;template=/etc/passwd", "to=x#&template=/x"),
        *("to=x?template=/x", "optional=yes", "port=1"),
    ],
)
def test_with_an_option_that_is_not_named_are_refused(option: str) -> None:
    said = problem(chat=f"slack://TokenA/TokenB/{HIDDEN}/#approvals?{option}".encode())
    assert (
        said == "option number 1 after the question mark is none of those that are allowed" or "option number 2" in said
    )
    assert HIDDEN not in said


@pytest.mark.parametrize(
    "url",
    [
        f"mailtos://user@example.com?pass=word;{HIDDEN}&to=a@example.com",
        f"mailtos://user@example.com?pass=word#{HIDDEN}",
        f"slack://a/b/c/?token=word?{HIDDEN}",
        f"{HIDDEN}:abcdef",
        f"{HIDDEN}://a/b/c",
    ],
)
def test_a_piece_of_a_password_is_not_repeated(url: str) -> None:
    assert HIDDEN.lower() not in problem(chat=url.encode()).lower()


def test_of_cloudevents_need_their_signing_secret() -> None:
    assert "add the entry audit.secret" in problem(audit=b"cloudevents+https://hooks.example.com/x")
    (target,) = parse({"audit": b"cloudevents+https://hooks.example.com/x\n", "audit.secret": SECRET}).targets
    assert (target.via, target.url, target.key) == ("cloudevents", "https://hooks.example.com/x", bytes(32))
    assert target.shown == "https://hooks.example.com"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("https://hooks.slack.com/services/x", "write cloudevents+https:// for CloudEvents, or the Apprise URL"),
        ("cloudevents+https://", "must name a host"),
        ("cloudevents+https://user:pass@example.com/", "must name a host"),
        ("cloudevents+https://example.com/#x", "must name a host"),
        ("cloudevents+https://example.com:99999/", "must name a host"),
        ("cloudevents+https://example.com/a b", "one line"),
        ("cloudevents+https://exämple.com/", "ASCII"),
        ("cloudevents+ftp://example.com/", "only CloudEvents are signed"),
    ],
)
def test_of_cloudevents_that_are_no_plain_url_are_refused(url: str, said: str) -> None:
    found = parse({"audit": url.encode(), "audit.secret": SECRET})
    assert found.targets == ()
    assert any(said in one.message for one in found.problems)


def test_that_are_wrong_leave_the_others_as_they_are() -> None:
    found = parse({"chat": b"slack://a/b/c", "Chat": b"slack://a/b/c", "bytes": b"\xff", "lone.secret": SECRET})
    assert [one.name for one in found.targets] == ["chat"]
    assert {one.entry for one in found.problems} == {"Chat", "bytes", "lone.secret"}


def test_are_bounded_in_number() -> None:
    found = parse({f"chat-{number}": b"slack://a/b/c" for number in range(MOST_TARGETS + 2)})
    assert (len(found.targets), len(found.problems)) == (MOST_TARGETS, 2)


def test_show_neither_url_nor_key_when_they_are_printed() -> None:
    data = {"audit": f"cloudevents+https://example.com/{HIDDEN}".encode(), "audit.secret": SECRET}
    found = parse({**data, "chat": f"slack://a/b/{HIDDEN}".encode(), "bad": f"slack://{HIDDEN} x".encode()})
    assert HIDDEN not in repr(found)
    assert all(HIDDEN not in one.shown for one in found.targets)
    assert base64.b64decode(SECRET.removeprefix(b"whsec_")) not in repr(found).encode()
