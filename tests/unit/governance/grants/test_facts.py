"""What is shown of a grant's request beside the call: in sentences, and nothing left out."""

from typing import Any

from bailiwick_governance.grants.grantfacts import FactRows, binding
from support.objects import DIGEST
from unit.governance.cases import view

OTHER = f"sha256:{'0' * 63}1"


def lines(**request: Any) -> dict[str, str]:  # noqa: ANN401 - members of the request
    facts = [fact for fact in binding(view(**request)) if not isinstance(fact, FactRows)]
    return {fact.label: "".join(text for text, _ in fact.value) for fact in facts}


def test_an_idempotency_key_is_a_sentence() -> None:
    shown = lines(idempotency={"key": DIGEST, "request": OTHER})
    assert shown["Repeats"] == f"the same request ({OTHER}) with the same Idempotency-Key ({DIGEST}) returns this grant"
    assert "idempotency" not in shown


def test_what_a_denial_is_remembered_by_is_a_sentence() -> None:
    shown = lines(binding={"mode": "Exact", "digest": DIGEST, "request": OTHER})
    assert shown["Cool-down"] == f"a denial also holds for requests with the digest {OTHER}"
    assert "binding.request" not in shown


def test_a_member_of_a_newer_version_is_shown_as_it_is() -> None:
    shown = lines(
        idempotency={"key": DIGEST, "request": OTHER, "newer": 1},
        binding={"mode": "Exact", "digest": DIGEST, "newest": 2},
    )
    assert (shown["idempotency.newer"], shown["binding.newest"]) == ("1", "2")
