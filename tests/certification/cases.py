"""The bodies of the certification scenario, by the names that it gives them."""

from typing import Any, Final

Body = dict[str, Any]

ALICE: Final[Body] = {"type": "user", "id": "alice"}
BOB: Final[Body] = {"type": "user", "id": "bob"}
ADMIN: Final[Body] = {**BOB, "properties": {"role": "admin"}}
READ: Final[Body] = {"name": "read"}
WRITE: Final[Body] = {"name": "write"}
RECORD_1: Final[Body] = {"type": "record", "id": "record-1"}
RECORD_2: Final[Body] = {"type": "record", "id": "record-2"}
ARCHIVED: Final[Body] = {**RECORD_2, "properties": {"status": "archived"}}


def body(subject: object, action: object, resource: object, **more: object) -> Body:
    """Return the body of an evaluation."""
    return {"subject": subject, "action": action, "resource": resource, **more}


def delete(*, soft: bool) -> Body:
    """Return the action that deletes."""
    return {"name": "delete", "properties": {"soft": soft}}


PERMIT: Final = body(ALICE, READ, RECORD_1)
DENY: Final = body(BOB, WRITE, RECORD_1)

# Section 1.4: the only decision values that the harness checks.
CORE: Final[dict[str, tuple[Body, bool]]] = {
    "1": (PERMIT, True),
    "2": (body(ALICE, WRITE, RECORD_1), True),
    "3": (body(BOB, READ, RECORD_1), True),
    "4": (DENY, False),
}
PROPERTIES: Final[dict[str, tuple[Body, bool]]] = {
    "5": (body(ALICE, WRITE, ARCHIVED), False),
    "6": (body(ADMIN, WRITE, ARCHIVED), True),
    "7": (body(ALICE, delete(soft=True), RECORD_1), True),
    "8": (body(ALICE, delete(soft=False), RECORD_1), False),
}
DECISIONS: Final = {**CORE, **PROPERTIES}


def without(whole: Body, path: str) -> Body:
    """Return a body that lacks one member: `subject`, or `subject.id`."""
    member, _, name = path.partition(".")
    if not name:
        return {key: value for key, value in whole.items() if key != member}
    return {**whole, member: {key: value for key, value in whole[member].items() if key != name}}
