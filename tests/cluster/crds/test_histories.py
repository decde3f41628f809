"""What the definition of histories takes: the API server and the model read each value alike, and there is no status.

Holds: under a group of its own no guard looks at the objects, so that only the schema can refuse them.
"""

from typing import Any, Final

from pydantic import ValidationError

from bailiwick_api.kinds.endpointhistory import MOST_LINES, EndpointHistory
from support.callers import Callers
from support.installation import accepted
from support.namespaces import name_for
from support.objects import Object, changed, history
from support.schemas.definitions import SHIPPED, in_group
from support.schemas.transitions import causes

LINE: Final = {"slots": "457:3:0 458:1:0", "last": 1_764_439_200_123}
LINES: Final = {f"{number:012x}": LINE for number in range(MOST_LINES + 1)}
KEY: Final = "0123456789abcdef" * 4
TAKES: Final[tuple[tuple[str, Any], ...]] = (
    ("seq", 0),
    ("seq", 2**53),
    ("clock", 0),
    ("clock", 253_402_300_799_999),
    ("lines", ...),
    ("lines", {}),
    ("lines", {name: LINES[name] for name in list(LINES)[:MOST_LINES]}),
    ("lines", {"9c1f00aa55ee": {"slots": ""}}),
    ("lines", {"9c1f00aa55ee": {"slots": "1" * 4096}}),
    ("recent", ...),
    ("recent", ""),
    ("recent", "x" * 65_536),
    ("key", f"sha256:{KEY}"),
    ("endpoint", "a" * 63),
)
REFUSES: Final[tuple[tuple[str, Any], ...]] = (
    *((name, ...) for name in ("endpoint", "key", "seq", "clock")),
    *((name, -1) for name in ("seq", "clock")),
    *((name, 1.5) for name in ("seq", "clock")),
    *((name, "7") for name in ("seq", "clock")),
    ("endpoint", "CRM"),
    ("endpoint", "a" * 64),
    ("key", KEY),
    ("key", f"sha256:{KEY[1:]}"),
    ("key", f"sha256:{KEY.upper()}"),
    ("key", f"sha256:{KEY}\n"),
    ("lines", LINES),
    ("lines", {"9c1f00aa55ee": {}}),
    ("lines", {"9c1f00aa55ee": {"slots": "1" * 4097}}),
    ("lines", {"9c1f00aa55ee": {**LINE, "last": -1}}),
    ("recent", "x" * 65_537),
)


def made(namespace: str, field: str, value: object) -> Object:
    return in_group(changed(history(namespace, "h-made"), f"spec.{field}", value), SHIPPED)


def accepted_by_the_model(body: Object) -> bool:
    try:
        EndpointHistory.model_validate({"spec": body["spec"]}, strict=True)
    except ValidationError:
        return False
    return True


def test_a_value_that_is_in_bounds_is_stored_as_it_is(callers: Callers, variants: None, shelf: str) -> None:
    for field, value in TAKES:
        body = made(shelf, field, value)
        stored = accepted(callers.admin.create(body, dry_run=True))
        assert stored["spec"] == body["spec"]
        assert accepted_by_the_model(body), (field, value)


def test_a_value_that_is_out_of_bounds_is_refused(callers: Callers, variants: None, shelf: str) -> None:
    for field, value in REFUSES:
        body = made(shelf, field, value)
        found = causes(callers.admin.create(body, dry_run=True))
        assert [where for where, _ in found if where.startswith(f"spec.{field}")], (field, value)
        assert not accepted_by_the_model(body), (field, value)


def test_a_history_is_written_whole_in_one_write(callers: Callers, variants: None, shelf: str) -> None:
    body = in_group(history(shelf, name_for("whole")), SHIPPED)
    stored = accepted(callers.admin.create(body))
    # There is no status that a second write would have to fill.
    assert callers.admin.replace({**stored, "status": {}}, "status").status == 404
    further = accepted(callers.admin.replace(changed(stored, "spec.seq", 2)))
    assert further["spec"]["seq"] == 2
