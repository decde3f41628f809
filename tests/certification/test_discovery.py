"""Discovery certification: the metadata (scenario, section 6)."""

from urllib.parse import urlsplit

from certification.cases import PERMIT
from certification.conftest import Pdp
from support.pdp.alone import HARNESS
from support.pdp.questions import post


def test_the_metadata_names_the_very_url_that_it_was_found_by(pdp: Pdp) -> None:
    answer = pdp.metadata()
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("application/json")
    assert answer.body["policy_decision_point"] == pdp.base


def test_every_url_is_https_without_query_or_fragment(pdp: Pdp) -> None:
    urls = [url for name, url in pdp.metadata().body.items() if name.endswith("_endpoint")]
    assert len(urls) == 6
    for parts in map(urlsplit, [pdp.base, *urls]):
        assert (parts.scheme, parts.query, parts.fragment) == ("https", "", "")


def test_the_apis_are_where_the_metadata_says(pdp: Pdp) -> None:
    found = pdp.metadata().body
    asked = {"subject": {"type": "user", "id": "alice"}, "action": PERMIT["action"], "resource": PERMIT["resource"]}
    for name in ("access_evaluation", "access_evaluations", "search_subject", "search_resource", "search_action"):
        assert post(found[f"{name}_endpoint"], asked, HARNESS, verify=pdp.certificate).status == 200


def test_no_member_is_null_and_capabilities_are_names(pdp: Pdp) -> None:
    found = pdp.metadata().body
    assert None not in found.values()
    assert all(isinstance(one, str) for one in found["capabilities"])


def test_the_metadata_may_be_cached(pdp: Pdp) -> None:
    assert pdp.metadata().headers["Cache-Control"] == "public, max-age=3600"
