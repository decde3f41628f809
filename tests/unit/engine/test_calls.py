"""A call as the edge hands it over."""

import msgspec
import pytest

from bailiwick_engine import keys
from bailiwick_engine.call import (
    RESERVED_CONTEXT,
    Action,
    Party,
    Resource,
    ServiceAccount,
    UnprovenParty,
)
from bailiwick_engine.keys import SERVICE_ACCOUNT
from bailiwick_engine.reasons import Reason
from unit.engine.cases import CALL, with_context


class TestACall:
    @pytest.mark.parametrize(
        ("part", "field"),
        [
            (CALL, "subject"),
            (Party("t", "a", "uid"), "id"),
            (UnprovenParty(Reason.IDENTITY_INVALID), "reason"),
            (ServiceAccount("a", "uid"), "username"),
            (Action("a"), "name"),
            (Resource("t", "1"), "id"),
        ],
        ids=lambda value: value if isinstance(value, str) else type(value).__name__,
    )
    def test_does_not_change_between_its_decision_and_its_record(self, part: msgspec.Struct, field: str) -> None:
        with pytest.raises(AttributeError):
            setattr(part, field, "other")

    @pytest.mark.parametrize(
        ("context", "intent"),
        [({"intent": "support"}, "support"), ({}, None), ({"intent": ""}, None), ({"intent": ["support"]}, None)],
    )
    def test_has_the_purpose_that_it_declares_in_words(self, context: dict[str, object], intent: str | None) -> None:
        assert with_context(**context).intent == intent

    def test_has_no_context_that_only_proves_or_steers(self) -> None:
        # The words are AuthZEN's and ours on the wire: whoever adds one takes it out of every digest.
        assert frozenset({"evidence", "approval", "dry_run", "explain", "business_justification"}) == RESERVED_CONTEXT

    def test_is_for_a_service_account_by_this_type(self) -> None:
        assert SERVICE_ACCOUNT == "serviceAccount"


class TestAPartyOnTheEnforcersWord:
    @pytest.mark.parametrize(
        "key", [keys.user("corp", "carol"), keys.group("corp", "support"), keys.entity("user", "carol")]
    )
    def test_has_no_key_of_another_kind_however_it_is_named(self, key: keys.Key) -> None:
        assert key not in Party(SERVICE_ACCOUNT, key, "uid", issuer=None).keys

    def test_has_the_key_of_the_service_account_that_it_names(self) -> None:
        name = "system:serviceaccount:agents:crm-agent"
        assert keys.service_account(name) in Party(SERVICE_ACCOUNT, name, "uid", issuer=None).keys
