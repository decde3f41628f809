"""The access review: what somebody may do at all endpoints, what they used, and what `suggest` would print."""

import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Final

import pytest
import yaml

from bailiwick_governance.errors import ApiError
from support import commandline
from support.console.inprocess import ServedConsole, served
from support.console.markup import SHOWN, assert_harmless, plain
from support.console.plainhttp import Page, Visit
from support.decisions import crm_calls, decided, ledger_of, written
from support.objects import Object, listed, subject
from support.pages import DOCS
from support.waits import until
from unit.console.policies import PAYLOADS, PEOPLE, crm, hostile, stored

EXAMPLE: Final[Object] = yaml.safe_load((DOCS.parent / "examples" / "crm" / "policy.yaml").read_text(encoding="utf-8"))
DAY: Final = 86_400.0
AGENT: Final = "sa:agents/crm-agent"


def live(**spec: object) -> Object:
    """Return the example's policy as a cluster stores it."""
    usage = {"lastUsedTime": "2026-04-03T00:00:00Z"}
    return stored(EXAMPLE["metadata"]["name"], {"usage": usage}, **{**EXAMPLE["spec"], **spec})


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    """A month in which one action of the example was used, once a day."""
    folder = tmp_path / "logs"
    folder.mkdir()
    written(folder / "decisions.log", decided([EXAMPLE], crm_calls(["customers.list"] * 31), every=DAY))
    written(folder / "ledger.log", ledger_of([EXAMPLE]))
    return folder


@pytest.fixture
def console(logs: Path) -> Iterator[ServedConsole]:
    with served(policies=[live()], records=[logs]) as console:
        yield console


@pytest.fixture
def visit(console: ServedConsole) -> Visit:
    return console.site.visit()


def path_of(visit: Visit, label: str) -> str:
    """Return where somebody's page is."""
    for path, text in re.findall(r'<a class="card" href="([^"]+)">(.*?)</a>', visit.get("/access").text):
        if plain(text) == label:
            return str(path)
    raise AssertionError(label)


def looked(visit: Visit, path: str, query: str = "records=1") -> Page:
    """Return the page once the records are read."""
    pages: list[Page] = []

    def over() -> bool:
        pages.append(visit.get(f"{path}?{query if not pages else 'records=1'}"))
        return "Look again" not in pages[-1].text

    until(over, "the records were read")
    return pages[-1]


def test_everybody_stands_once_with_all_endpoints_that_name_them() -> None:
    second = stored("second", endpoint="mail", namespace="mail", endpointSettings=PEOPLE)
    with served(policies=[crm(), second], namespace=None) as console:
        visit = console.site.visit()
        text = plain(visit.get("/access").text)
        for label in (AGENT, "group:corp/staff", "group:corp/trainees"):
            assert text.count(label) == 1, label
        assert "crm-api in crm , mail in mail" in text
        assert AGENT not in plain(visit.get("/access?find=staff").text)
        page = plain(visit.get(path_of(visit, AGENT)).text)
        assert ("At crm-api in crm" in page, "At mail in mail" in page) == (True, True)
        for part in ("customers.edit customer/vip/* allow", "customers.export customer/* approval"):
            assert part in page, part
        denied = plain(visit.get(path_of(visit, "group:corp/trainees")).text)
        assert "No call is allowed." in denied


def test_what_is_used_and_how_it_could_be_narrowed_stand_as_suggest_prints_it(
    visit: Visit, logs: Path, tmp_path: Path
) -> None:
    path = path_of(visit, AGENT)
    before = visit.get(path)
    assert "Read the records" in before.text
    assert "Use last used on" not in before.text
    page = looked(visit, path, "from=2026-03-06T00:00:00Z")
    text = plain(page.text)
    assert "last used on 2026-04-03 (of the whole policy, by whomever)" in text
    assert "crm-agent read Used last 2026-04-04T09:00:00Z 31" in text
    assert "crm/crm-agent read actions customers.list, customers.get customers.list 29" in text
    (tmp_path / "cluster.yaml").write_text(listed(EXAMPLE), encoding="utf-8")
    names = [str(logs / "decisions.log"), str(logs / "ledger.log")]
    given = ("-f", str(tmp_path / "cluster.yaml"), "--since", "2026-03-06")
    printed = commandline.run("suggest", *names, *given, "-o", "patch").out
    assert printed.startswith("kubectl patch ")
    assert " ".join(printed.split()) in text
    assert "The console applies nothing" in text


def test_a_cell_says_what_the_records_say_of_its_rules_once_they_were_read(visit: Visit) -> None:
    endpoint = "/endpoints/crm/crm-api"
    link = re.findall(r'class="allowed"><a href="([^"]+)"', visit.get(f"{endpoint}?action=customers.list").text)[0]
    assert "By the records" not in visit.get(unescape(link)).text
    looked(visit, path_of(visit, AGENT), "from=2026-03-06T00:00:00Z")
    said = "By the records Used: 31 uses, last 2026-04-04T09:00:00Z (of this rule, by this subject)"
    assert said in plain(visit.get(unescape(link)).text)


def test_policies_that_are_younger_than_the_window_propose_nothing_and_say_from_when_on_they_are_known(
    visit: Visit,
) -> None:
    path = path_of(visit, AGENT)
    page = looked(visit, path)
    text = plain(page.text)
    assert "nothing to suggest" in text
    assert "kubectl patch" not in text
    assert "not yet known, and left as they are: crm/crm-agent/read" in text
    assert "known only since 2026-03-05T09:00:01Z" in text
    assert "kubectl patch" in looked(visit, path, "from=2026-03-05T09:00:01Z").text


@pytest.mark.parametrize("damage", ["cut", "missing ledger", "short", "other policy", "no time"])
def test_where_suggest_prints_nothing_nothing_is_proposed_and_its_words_say_why(
    tmp_path: Path, logs: Path, damage: str
) -> None:
    policy, query = live(), "from=2026-03-06T00:00:00Z"
    said = ""
    if damage == "cut":
        lines = (logs / "decisions.log").read_bytes().splitlines(keepends=True)
        (logs / "decisions.log").write_bytes(b"".join(lines[:5] + lines[8:]))
        said = "the log is not whole"
    elif damage == "missing ledger":
        policy = live(sensitive=["context.x"])
        (logs / "ledger.log").unlink()
        said = "policies whose texts are known"
    elif damage == "short":
        query, said = "from=2026-04-04T08:00:00Z", "the day before it does not count"
    elif damage == "other policy":
        policy, said = live(endpoint="mail", endpointSettings=PEOPLE), "no decision of an endpoint of the policies"
    else:
        query, said = "from=yesterday", "from"
    with served(policies=[policy], records=[logs]) as console:
        visit = console.site.visit()
        text = plain(looked(visit, path_of(visit, AGENT), query).text)
        assert said in text
        assert "kubectl patch" not in text


def test_a_patch_stands_only_with_whom_its_policy_names(logs: Path) -> None:
    backup = stored("backup", subjects=[subject(account="backup")])
    with served(policies=[live(), backup], records=[logs]) as console:
        visit = console.site.visit()
        query = "from=2026-03-06T00:00:00Z"
        assert "kubectl patch" in looked(visit, path_of(visit, AGENT), query).text
        other = looked(visit, path_of(visit, "sa:agents/backup"), query)
        assert ("nothing to suggest" in other.text, "kubectl patch" in other.text) == (True, False)
        assert "crm-agent" not in plain(other.text).partition("How it could be narrowed")[2]


def test_a_policy_that_is_being_deleted_has_nothing_proposed(logs: Path) -> None:
    gone = live()
    gone["metadata"]["deletionTimestamp"] = "2026-04-04T00:00:00Z"
    with served(policies=[gone], records=[logs]) as console:
        visit = console.site.visit()
        text = plain(looked(visit, path_of(visit, AGENT)).text)
        assert "Nothing is proposed: the EndpointPolicy crm/crm-agent in the cluster is being deleted" in text


def test_without_records_it_is_said_how_to_give_them() -> None:
    with served(policies=[live()]) as console:
        visit = console.site.visit()
        assert "start it with --records PATH" in plain(visit.get(f"{path_of(visit, AGENT)}?records=1").text)


def test_the_records_are_read_once_and_again_when_somebody_says_so(visit: Visit, logs: Path) -> None:
    path = path_of(visit, AGENT)
    looked(visit, path, "from=2026-03-06T00:00:00Z")
    (logs / "ledger.log").unlink()
    (logs / "decisions.log").write_bytes(b"")
    assert "kubectl patch" in visit.get(path).text
    assert "the log has no line of a chain" in looked(visit, path, "records=1&again=1").text


@pytest.mark.parametrize("path", ["/access", "/access/0123"])
def test_who_may_not_list_policies_is_told_which_right_is_missing(
    console: ServedConsole, visit: Visit, path: str
) -> None:
    console.cluster.fails = lambda *_: ApiError("forbidden", 403, "Forbidden")
    answer = visit.get(path)
    assert answer.status == 403
    assert "You lack the verb list on endpointpolicies in namespace crm" in plain(answer.text)


def test_somebody_who_is_not_named_any_more_is_not_found(visit: Visit) -> None:
    assert visit.get("/access/0123").status == 404


def test_texts_of_others_stay_text(logs: Path) -> None:
    with served(policies=hostile(), records=[logs]) as console:
        visit = console.site.visit()
        listing = visit.get("/access")
        assert_harmless(listing.text)
        paths = re.findall(r'<a class="card" href="(/access/[^"]+)"', listing.text)
        texts = [assert_harmless(visit.get(path).text) for path in paths]
        assert len(texts) >= 8
        for payload in (PAYLOADS[0], PAYLOADS[6], PAYLOADS[7]):
            assert any(payload.translate(SHOWN) in text for text in texts), payload
