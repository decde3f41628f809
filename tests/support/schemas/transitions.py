"""Cases of validation rules: what is stored, what a rule refuses, and the nearest thing that it lets through.

Holds: a case is data; the same case is played against the definition as shipped and against the one without the rule.
"""

from dataclasses import dataclass
from typing import Any, Final, Literal

from bailiwick_api.kinds import cel
from bailiwick_api.kinds.subjectrevocation import KIND as REVOCATION, RevokedIdentity
from bailiwick_engine.revocations import revocation_name
from localcluster.rest import Answer, Rest
from support.installation import accepted
from support.objects import Object
from support.schemas.definitions import in_group

Way = Literal["create", "apply", "merge", "json", "replace"]
BIRTH: Final[tuple[Way, ...]] = ("create", "apply")
CHANGE: Final[tuple[Way, ...]] = ("merge", "json", "replace", "apply")
_WRITER: Final = "writer"


@dataclass(frozen=True, slots=True)
class Case:
    """`refused` and `accepted` are whole objects: born so where nothing is stored, else made out of `stored`.

    `field` is where the API server reports it; `part` is what is written when something is stored.
    """

    title: str
    rule: cel.CelRule
    field: str
    refused: Object
    accepted: Object
    stored: Object | None = None
    part: Literal["spec", "status"] = "spec"

    @property
    def ways(self) -> tuple[Way, ...]:
        """How the objects can be written."""
        return CHANGE if self.stored else BIRTH


class Stage:
    """A group and a namespace in which a case is played."""

    def __init__(self, admin: Rest, group: str, namespace: str) -> None:
        self._admin = admin
        self._group = group
        self._namespace = namespace

    def play(self, case: Case, wanted: Object, way: Way, name: str) -> Answer:
        """Store what the case needs under this name, then write what is wanted in this way."""
        wanted = self._placed(wanted, name)
        if case.stored is None:
            if way == "create":
                return self._admin.create(wanted, dry_run=True)
            return self._admin.apply(wanted, _WRITER, dry_run=True)
        stored = self._store(self._placed(case.stored, name))
        return self._write(stored, wanted, case.part, way)

    def _placed(self, of: Object, name: str) -> Object:
        placed = {**in_group(of, self._group), "metadata": {"namespace": self._namespace, "name": name}}
        if of["kind"] == REVOCATION:
            # Of the whole cluster, under a name of its own shape; one that is of another shape is what the case is of.
            fits = of["metadata"]["name"].startswith("r-")
            placed["metadata"] = {"name": revocation_name("corp", RevokedIdentity(), "Person", name) if fits else name}
        if of["spec"].get("replaces", ...) == of["metadata"].get("name"):
            # What names itself goes on to.
            placed["spec"] = {**of["spec"], "replaces": name}
        return placed

    def _store(self, wanted: Object) -> Object:
        # By server-side apply, so that a later apply of the same manager also removes what it leaves out.
        spec = {key: value for key, value in wanted.items() if key != "status"}
        stored = accepted(self._admin.apply(spec, _WRITER))
        if "status" in wanted:
            status = {key: value for key, value in wanted.items() if key != "spec"}
            stored = accepted(self._admin.apply(status, _WRITER, "status"))
        return stored

    def _write(self, stored: Object, wanted: Object, part: str, way: Way) -> Answer:
        subresource = "status" if part == "status" else ""
        value = wanted.get(part)
        match way:
            case "merge":
                change = {part: merge_patch(stored.get(part, {}), value) if value is not None else None}
                return self._admin.patch(stored, change, "merge", subresource)
            case "json":
                operation = {"op": "remove"} if value is None else {"op": "add", "value": value}
                return self._admin.patch(stored, [{**operation, "path": f"/{part}"}], "json", subresource)
            case "replace":
                whole = {key: kept for key, kept in stored.items() if key != part}
                return self._admin.replace(whole | ({} if value is None else {part: value}), subresource)
            case _:
                named = {key: wanted[key] for key in ("apiVersion", "kind", "metadata")}
                body = named | ({} if value is None else {part: value})
                return self._admin.apply(body, _WRITER, subresource, force=True)


def merge_patch(before: Any, after: Any) -> Any:  # noqa: ANN401 - any JSON
    """Return the merge patch (RFC 7396) that makes `after` out of `before`."""
    if not isinstance(before, dict) or not isinstance(after, dict):
        return after
    gone = {key: None for key in before if key not in after}
    return gone | {
        key: merge_patch(before.get(key), value) for key, value in after.items() if before.get(key, ...) != value
    }


def causes(answer: Answer) -> list[tuple[str, str]]:
    """Return field and message of everything that the schema refused; the server's remark that it stopped is none."""
    stopped = "some validation rules were not checked because the object was invalid"
    return [
        (cause["field"], cause["message"])
        for cause in answer.body.get("details", {}).get("causes", ())
        if stopped not in cause["message"]
    ]
