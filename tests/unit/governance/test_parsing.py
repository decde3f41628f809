"""What a person types, and what it means."""

import time

import pytest

from bailiwick_api.serviceaccounts import ServiceAccountName
from bailiwick_governance.arguments import instant, moment, pairs, resource, seconds, service_account, values
from bailiwick_governance.errors import UserError


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("90s", 90), ("10m", 600), ("1h30m", 5400), ("1d", 86400), ("45", 45), ("0", 0), ("1.5h", 5400)],
)
def test_durations_are_written_as_for_kubectl(text: str, wanted: float) -> None:
    assert seconds(text, "--timeout") == wanted


@pytest.mark.parametrize("text", ["", "soon", "10x", "-5m", "5 m", "m"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="is not a duration: write it as 90s"):
        seconds(text, "--timeout")


@pytest.mark.parametrize(
    "text",
    [
        *("", "soon", "1796265903", "2099", "45", "2026-02-30", "2026-03-05 12:00:00Z"),
        *("2026-03-05T12:00:00", "2026-03-05T24:00:00Z", "2026-03-05t12:00:00z"),
    ],
)
def test_what_is_no_time_is_not_read_as_so_long_ago(text: str) -> None:
    for read in (moment, instant):
        with pytest.raises(UserError, match="is not a time: write it as 2027-03-01"):
            read(text, "--now")


def test_a_time_is_also_written_as_how_long_ago_it_was() -> None:
    before = time.time()
    assert before - 5400 <= moment("1h30m", "--since") <= time.time() - 5400
    assert moment("2026-03-05", "--since") == moment("2026-03-05T00:00:00Z", "--since") == 1_772_668_800
    with pytest.raises(UserError, match="is not a time"):
        instant("1h30m", "--expires")


@pytest.mark.parametrize("text", ["sa:agents/crm", "sa:agents:crm", "system:serviceaccount:agents:crm"])
def test_a_service_account_has_one_name(text: str) -> None:
    assert service_account(text, "--subject") == ServiceAccountName("agents", "crm")


@pytest.mark.parametrize("text", ["agents/crm", "sa:crm", "sa:/crm", "sa:a/b/c", "sa:Agents/crm", "sa:a/b?c", "carol"])
def test_what_is_no_service_account_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="sa:NAMESPACE/NAME"):
        service_account(text, "--subject")


def test_an_id_may_hold_slashes() -> None:
    assert resource("secret/prod/db/*") == ("secret", "prod/db/*")


@pytest.mark.parametrize("text", ["customer", "customer/", "/42", ""])
def test_what_is_no_resource_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="TYPE/ID"):
        resource(text)


def test_values_that_are_json_mean_that() -> None:
    texts = ["n=3", "s=three", 'q="3"', "b=true", 'l=["a"]', "e=", "o=a=b", "x=NaN", "z=null"]
    assert values(texts, "--arg") == {
        "n": 3,
        "s": "three",
        "q": "3",
        "b": True,
        "l": ["a"],
        "e": "",
        "o": "a=b",
        "x": "NaN",
        "z": None,
    }
    assert pairs(texts[:1], "--property") == {"n": "3"}


@pytest.mark.parametrize(
    ("texts", "said"), [(["x"], "has no value"), (["=x"], "has no value"), (["a=1", "a=2"], "twice")]
)
def test_pairs_have_a_name_a_value_and_one_of_each(texts: list[str], said: str) -> None:
    with pytest.raises(UserError, match=said):
        pairs(texts, "--arg")
