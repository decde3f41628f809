"""What kind of an answer an answer is: the same for decision point, operator and command line."""

import pytest

from bailiwick_kube.responses import ApiResponse, is_success, parse_response


@pytest.mark.parametrize("status", [200, 201, 202])
def test_2xx_did_what_was_asked(status: int) -> None:
    response = ApiResponse(status, {})
    assert (response.ok, response.unanswered, is_success(status)) == (True, False, True)


@pytest.mark.parametrize("status", [301, 302, 307, 308, 401, 429, 500, 502, 503, 504])
def test_what_says_nothing_of_the_object_is_no_answer(status: int) -> None:
    response = ApiResponse(status, {})
    assert (response.ok, response.unanswered, is_success(status)) == (False, True, False)


@pytest.mark.parametrize("status", [400, 403, 404, 409, 410, 422])
def test_a_refusal_is_an_answer(status: int) -> None:
    response = ApiResponse(status, {})
    assert (response.ok, response.unanswered) == (False, False)
    assert (response.missing, response.conflict, response.gone) == (status == 404, status == 409, status == 410)


@pytest.mark.parametrize(
    ("raw", "body", "readable", "message"),
    [
        (b'{"message": "no", "reason": "Forbidden"}', {"message": "no", "reason": "Forbidden"}, True, "no"),
        (b"", {}, True, "status 404"),
        (b"[1]", {}, True, "status 404"),
        (
            b"404 page not found\n",
            {},
            False,
            ("status 404, and the body is not JSON: make sure that the CRDs in crds/ are applied"),
        ),
        (
            b"\xff",
            {},
            False,
            "status 404, and the body is not JSON: make sure that the CRDs in crds/ are applied",
        ),
    ],
    ids=["a status", "nothing", "no object", "a line of text", "no text"],
)
def test_a_body_is_read_where_it_is_json(raw: bytes, body: object, readable: bool, message: str) -> None:
    response = parse_response(404, raw, 5.0)
    assert (response.body, response.readable, response.message, response.date) == (body, readable, message, 5.0)
    assert response.reason == ("Forbidden" if response.body else "")
