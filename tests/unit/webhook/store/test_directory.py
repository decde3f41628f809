"""Policies from a directory: what a file says is decided by, what is wrong with it denies, and neither widens."""

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from msgspec.structs import replace
from structlog.testing import capture_logs

from bailiwick_api.documents import policyfiles
from bailiwick_engine.budget.ledger import Budget
from bailiwick_engine.call import ServiceAccount
from bailiwick_engine.circumstances import Freshness
from bailiwick_engine.decision.verdict import Outcome
from bailiwick_engine.policy.snapshot import Snapshot
from bailiwick_engine.reasons import Reason
from bailiwick_webhook.store import directory
from bailiwick_webhook.store.directory import Directory
from support.objects import Object, changed, gated_rule, policy, rule, settings, subject
from unit.engine.cases import CALL, verdict_of

LIST: Final = replace(CALL, action=replace(CALL.action, name="customers.list"))
OTHER: Final = "system:serviceaccount:agents:other"
ALLOWED: Final = "allowed"
INVALID: Final = "policy_invalid"


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(directory, "SETTLING", 0.0)


class Clock:
    now = 1000.0
    time = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


class Files:
    """A directory and what decides by it."""

    def __init__(self, root: Path, budget: Budget | None = None) -> None:
        self.root = root
        self.clock = Clock()
        self.waited: list[float | None] = []
        self.view = Directory(
            root,
            max_staleness=120,
            hard_staleness=900,
            budget=budget,
            prepare=self._prepare,
            clock=self.clock,
            now=lambda: self.clock.time,
        )

    def _prepare(self, snapshot: Snapshot) -> Snapshot:
        # It is compiled, and not in force yet.
        self.waited.append(self.view.waiting.since("crm", "crm-api"))
        return snapshot

    def write(self, name: str, *objects: Object | str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("---\n".join(obj if isinstance(obj, str) else yaml.safe_dump(obj) for obj in objects))

    async def said(self, account: str = "crm-agent", namespace: str = "crm", endpoint: str = "crm-api") -> str:
        """Look, then ask whether an account may list; the reason, or `forbidden`."""
        await self.view.look()
        username = f"system:serviceaccount:agents:{account}"
        call = replace(
            LIST, namespace=namespace, endpoint=endpoint, subject=replace(LIST.subject, id=username, uid="uid")
        )
        verdict = verdict_of(self.snapshot, call)
        return "forbidden" if verdict.outcome is Outcome.FORBIDDEN else verdict.reason.value

    @property
    def snapshot(self) -> Snapshot:
        assert self.view.snapshot is not None
        return self.view.snapshot

    @property
    def problems(self) -> list[tuple[str, str]]:
        """What is wrong, without the directory's own path, and whom it denies."""
        found: list[dict[str, Any]] = self.view.report()["policies"]["problems"]
        return [(entry["problem"].removeprefix(f"{self.root}/"), entry["denies"]) for entry in found]


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def base(namespace: str = "crm", **spec: object) -> Object:
    """Return the policy by which two agents may list."""
    return policy(
        namespace,
        "base",
        endpointSettings=settings(),
        subjects=[subject(), subject("other", account="other")],
        rules=[rule(subjects=["agent", "other"])],
        **spec,
    )


def extra(**spec: object) -> Object:
    """Return a second policy of the endpoint, that speaks of the agent alone."""
    return policy("crm", "extra", **{"rules": [rule("extra", actions=["customers.get"])], **spec})


async def test_what_the_files_say_is_decided_by(files: Files) -> None:
    files.write("a.yaml", base())
    files.write("deep/er/b.yml", extra(rules=[rule("never", effect="Deny")]))
    assert await files.said() == "policy_denied"
    assert await files.said("other") == ALLOWED
    assert await files.said("stranger") == "no_rule"
    assert files.problems == []


async def test_whoever_waits_for_files_to_be_compiled_is_known(files: Files) -> None:
    files.write("base.yaml", base())
    assert await files.said() == ALLOWED
    files.clock.now = 1001.0
    files.write("base.yaml", base(suspend=True))
    await files.said()
    # Nobody was answered before the first look; of the second nobody knew whom it concerns.
    assert files.waited == [None, 1001.0]
    assert files.view.waiting.since("crm", "crm-api") is None


async def test_what_is_over_budget_denies_by_itself_until_there_is_room(tmp_path: Path) -> None:
    more = policy("crm", "more", subjects=[subject("third", account="third")], rules=[rule(subjects=["third"])])
    files = Files(tmp_path, Budget(policies=1))
    files.write("base.yaml", base())
    files.write("more.yaml", more)
    files.write("erp.yaml", base("erp"))
    assert [await files.said(), await files.said(namespace="erp")] == [ALLOWED, ALLOWED]
    assert await files.said("third") == INVALID
    ((problem, denies),) = files.problems
    assert problem.startswith("more.yaml:6:1: spec: OverBudget: the namespace has 1 other policies, and the limit is 1")
    assert "on crm/crm-api" in denies
    (tmp_path / "base.yaml").unlink()
    files.write("more.yaml", {**more, "spec": {**more["spec"], "endpointSettings": settings()}})
    assert await files.said("third") == ALLOWED


async def test_a_file_that_has_not_changed_is_judged_by_the_room_that_others_leave(tmp_path: Path) -> None:
    # In files nothing tells which is older: the first by name has the room.
    files = Files(tmp_path, Budget(policies=1))
    files.write("base.yaml", base())
    assert await files.said() == ALLOWED
    files.write("first.yaml", policy("crm", "a-first", rules=[rule(actions=["customers.get"])]))
    assert await files.said() == INVALID
    (tmp_path / "first.yaml").unlink()
    assert await files.said() == ALLOWED


async def test_nothing_is_known_before_the_first_look(files: Files) -> None:
    assert (files.view.snapshot, files.view.synced, files.view.revision) == (None, False, "")
    assert files.view.freshness is Freshness.DEAD


async def test_a_changed_a_new_and_a_removed_file_are_taken_up(files: Files) -> None:
    files.write("a.yaml", base())
    assert await files.said() == ALLOWED
    first = files.view.revision
    files.write("b.yaml", extra(rules=[rule("never", effect="Deny")]))
    assert await files.said() == "policy_denied"
    files.write("b.yaml", extra(rules=[rule("never", effect="Deny", actions=["other"])]))
    assert await files.said() == ALLOWED
    (files.root / "b.yaml").unlink()
    assert await files.said() == ALLOWED
    assert files.view.revision == first
    (files.root / "a.yaml").unlink()
    assert await files.said() == "forbidden"


async def test_what_did_not_change_is_not_compiled_again(files: Files) -> None:
    files.write("a.yaml", base())
    await files.view.look()
    before = files.view.snapshot
    os.utime(files.root / "a.yaml", (1, 1))
    await files.view.look()
    assert files.view.snapshot is before


async def test_a_second_write_within_one_tick_is_seen(files: Files) -> None:
    files.write("a.yaml", base())
    assert await files.said() == ALLOWED
    there = (files.root / "a.yaml").stat()
    text = (files.root / "a.yaml").read_text()
    (files.root / "a.yaml").write_text(text.replace("Allow", "Denyy"))
    os.utime(files.root / "a.yaml", ns=(there.st_atime_ns, there.st_mtime_ns))
    assert await files.said() == INVALID


async def test_hidden_files_and_files_of_other_names_are_passed_over(files: Files) -> None:
    files.write("a.yaml", base())
    for name in (".hidden.yaml", ".git/b.yaml", "notes.txt", "c.yaml~", "d.json"):
        files.write(name, "kind: [")
    assert await files.said() == ALLOWED
    assert files.view.report()["policies"]["files"] == 1


async def test_a_mounted_config_map_is_swapped_whole(files: Files) -> None:
    def publish(version: str, *policies: Object) -> None:
        for index, obj in enumerate(policies):
            files.write(f"..{version}/sub/p{index}.yaml", obj)
        (files.root / "..new").symlink_to(f"..{version}")
        (files.root / "..new").rename(files.root / "..data")

    publish("one", base())
    (files.root / "sub").symlink_to("..data/sub")
    assert await files.said() == ALLOWED
    publish("two", base(), extra(rules=[rule("never", effect="Deny")]))
    assert await files.said() == "policy_denied"
    publish("three", base())
    assert await files.said() == ALLOWED


async def test_links_that_go_round_end(files: Files) -> None:
    files.write("sub/a.yaml", base())
    (files.root / "sub" / "again").symlink_to(files.root)
    assert await files.said() == ALLOWED
    assert files.problems == []


async def test_a_file_that_is_still_being_written_is_not_decided_by(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    files.write("a.yaml", base(), extra(rules=[rule("never", effect="Deny")]))
    assert await files.said() == "policy_denied"
    whole = (files.root / "a.yaml").read_text()
    look, halves = files.view._looker.look, iter((whole[: whole.index("---")], whole))

    def writing() -> dict[str, policyfiles.File]:
        (files.root / "a.yaml").write_text(next(halves, whole))
        return look()

    monkeypatch.setattr(files.view._looker, "look", writing)
    files.clock.now += 60
    assert await files.said() == "policy_denied"
    assert files.view.age == 60
    assert await files.said() == "policy_denied"
    assert files.view.age == 0


async def test_a_directory_that_cannot_be_read_grows_old(files: Files) -> None:
    files.write("a.yaml", base())
    await files.view.look()
    assert files.view.freshness is Freshness.FRESH
    files.root.rename(files.root.with_name("away"))
    for seconds, freshness in ((100, Freshness.FRESH), (121, Freshness.STALE), (901, Freshness.DEAD)):
        files.clock.now = 1000.0 + seconds
        with pytest.raises(FileNotFoundError):
            await files.view.look()
        assert files.view.freshness is freshness
    files.root.with_name("away").rename(files.root)
    assert await files.said() == ALLOWED
    assert files.view.freshness is Freshness.FRESH


async def test_folders_too_deep_are_not_passed_over(files: Files) -> None:
    files.write("a.yaml", base())
    files.write("/".join(["d"] * 20) + "/b.yaml", extra())
    with pytest.raises(policyfiles.TooMuchError):
        await files.view.look()


async def test_too_many_files_are_no_directory_of_policies(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policyfiles, "MAX_FILES", 1)
    files.write("a.yaml", base())
    files.write("b.yaml", extra())
    with pytest.raises(policyfiles.TooMuchError):
        await files.view.look()
    assert not files.view.synced


async def test_what_expires_is_told_once_it_has_and_no_more_once_it_is_gone(
    files: Files,
) -> None:
    def told() -> list[str]:
        found: list[str] = files.view.report()["policies"]["warnings"]
        return found

    files.write("a.yaml", base(expireTime="2026-03-31T00:00:00Z"))
    files.clock.time = datetime(2026, 3, 30, 23, 59, 59, tzinfo=UTC).timestamp()
    await files.view.look()
    assert told() == []
    files.clock.time += 1
    with capture_logs() as logs:
        await files.view.look()
        await files.view.look()
    (warning,) = told()
    assert "spec.expireTime: expired at 2026-03-31T00:00:00Z: Allow rules no longer match" in warning
    assert [(entry["log_level"], entry["event"]) for entry in logs] == [("warning", warning)]
    assert files.problems == []
    files.write("a.yaml", base())
    assert await files.said() == ALLOWED
    assert told() == []


# ---------------------------------------------------------------- what is wrong, and whom it denies


async def test_a_policy_that_does_not_compile_denies_its_subjects(files: Files) -> None:
    condition = "    conditions:\n    - name: never\n      expression: |\n        true &&\n          foo == 1\n"
    text = yaml.safe_dump(extra(), sort_keys=False) + condition
    files.write("a.yaml", base())
    files.write("b.yaml", text)
    assert [await files.said(), await files.said("other")] == [INVALID, ALLOWED]
    line = next(number for number, line in enumerate(text.split("\n"), 1) if "foo" in line)
    column = text.split("\n")[line - 1].index("foo") + 1
    (problem, denies), *more = files.problems
    assert problem.startswith(f"b.yaml:{line}:{column}: spec.rules[0].conditions[0].expression: unknown name foo")
    assert (denies, more) == ("its subjects on crm/crm-api", [])


BROKEN: Final[dict[str, tuple[Object | str, tuple[str, str, str], str]]] = {
    "a field of the wrong type": (extra(suspend="no"), (INVALID, ALLOWED, ALLOWED), "its subjects on crm/crm-api"),
    "a time that is a number": (extra(expireTime=1), (INVALID, ALLOWED, ALLOWED), "its subjects on crm/crm-api"),
    "a number that is a text": (
        extra(rules=[changed(gated_rule(), "approval.maxUses", "1")]),
        (INVALID, ALLOWED, ALLOWED),
        "its subjects on crm/crm-api",
    ),
    "an unknown field": (extra(modus="Audit"), (INVALID, ALLOWED, ALLOWED), "its subjects on crm/crm-api"),
    "an unknown member": ({**extra(), "specs": {}}, (INVALID, ALLOWED, ALLOWED), "its subjects on crm/crm-api"),
    "another version": (
        {**extra(), "apiVersion": "bailiwick.dev/v1"},
        (INVALID, ALLOWED, ALLOWED),
        "its subjects on crm/crm-api",
    ),
    "a misspelled group": (
        {**extra(), "apiVersion": "bailiwik.dev/v1alpha1"},
        (INVALID, ALLOWED, ALLOWED),
        "its subjects on crm/crm-api",
    ),
    "a misspelled kind": (
        {**extra(), "kind": "EndpointPolcy"},
        (INVALID, ALLOWED, ALLOWED),
        "its subjects on crm/crm-api",
    ),
    "no name": (
        changed(extra(), "metadata.name", ...),
        (INVALID, ALLOWED, ALLOWED),
        "its subjects on crm/crm-api",
    ),
    "subjects that cannot be read": (extra(subjects=[{"name": "x"}]), (INVALID, INVALID, ALLOWED), "crm/crm-api"),
    "no subjects": (extra(subjects=[]), (INVALID, INVALID, ALLOWED), "crm/crm-api"),
    "settings that cannot be read": (extra(endpointSettings={}), (INVALID, INVALID, ALLOWED), "crm/crm-api"),
    "no endpoint": (changed(extra(), "spec.endpoint", ...), (INVALID, INVALID, ALLOWED), "namespace crm"),
    "an endpoint that cannot be one": (extra(endpoint="crm-api "), (INVALID, INVALID, ALLOWED), "namespace crm"),
    "no spec": (changed(extra(), "spec", ...), (INVALID, INVALID, ALLOWED), "namespace crm"),
    "no namespace": (
        changed(extra(), "metadata.namespace", ...),
        (INVALID, INVALID, INVALID),
        "crm-api in every namespace",
    ),
    "neither namespace nor endpoint": (
        {"apiVersion": "bailiwick.dev/v1alpha1", "kind": "EndpointPolicy"},
        (INVALID, INVALID, INVALID),
        "everything",
    ),
    "no kind": ({"spec": {}}, (INVALID, INVALID, INVALID), "everything"),
    "a text": ("hello\n", (INVALID, INVALID, INVALID), "everything"),
    "a list": ("- a\n", (INVALID, INVALID, INVALID), "everything"),
    "nothing that is YAML": ("kind: [\n", (INVALID, INVALID, INVALID), "everything"),
    "a fault after the endpoint": (
        "metadata: {namespace: crm, name: x}\nspec:\n  endpoint: crm-api\n  subjects:\n  - {name: agent,\n",
        (INVALID, INVALID, ALLOWED),
        "crm/crm-api",
    ),
    "a fault before the endpoint": (
        "metadata: {namespace: crm, name: x}\nspec:\n  rules: ]\n",
        (INVALID, INVALID, ALLOWED),
        "namespace crm",
    ),
    "a fault before the namespace": (
        "spec: {endpoint: crm-api}\nmetadata: {name: x, namespace\n",
        (INVALID, INVALID, INVALID),
        "crm-api in every namespace",
    ),
    "an endpoint that stands twice": (
        yaml.safe_dump(extra()).replace("  endpoint: crm-api", "  endpoint: crm-api\n  endpoint: crm-apj"),
        (INVALID, INVALID, ALLOWED),
        "namespace crm",
    ),
    "settings that stand twice": (
        yaml.safe_dump(extra()).replace(
            "  endpoint: crm-api", "  endpointSettings: {}\n  endpoint: crm-api\n  endpointSettings: {}"
        ),
        (INVALID, INVALID, ALLOWED),
        "crm/crm-api",
    ),
    "a mode that is unclear": (
        yaml.safe_dump(extra()).replace("  endpoint: crm-api", "  mode: on\n  endpoint: crm-api"),
        (INVALID, ALLOWED, ALLOWED),
        "its subjects on crm/crm-api",
    ),
    "a list of objects that is cut off": (
        "apiVersion: v1\nkind: List\nitems: [\n",
        (INVALID, INVALID, INVALID),
        "everything",
    ),
}


@pytest.mark.parametrize("what", BROKEN)
async def test_what_is_wrong_denies_as_little_as_can_be_read_and_never_less(files: Files, what: str) -> None:
    written, expected, denies = BROKEN[what]
    files.write("a.yaml", base(), base("elsewhere"))
    assert [await files.said(), await files.said("other"), await files.said(namespace="elsewhere")] == [ALLOWED] * 3
    files.write("b.yaml", written)
    said = (await files.said(), await files.said("other"), await files.said(namespace="elsewhere"))
    assert said == expected, files.problems
    assert {whom for _, whom in files.problems} == {denies}
    for problem, _ in files.problems:
        name, line, column, _ = problem.split(":", 3)
        # The sound carrier too, where the other one's settings cannot be read.
        assert name == "b.yaml" or "endpointSettings for crm-api are also in extra" in problem
        assert int(line) >= 1
        assert int(column) >= 1
    (files.root / "b.yaml").unlink()
    assert [await files.said(), await files.said("other"), await files.said(namespace="elsewhere")] == [ALLOWED] * 3
    assert files.problems == []


async def test_a_broken_policy_in_audit_mode_is_only_reported(files: Files) -> None:
    files.write("a.yaml", base())
    files.write("b.yaml", extra(mode="Audit", modus="x"))
    assert await files.said() == ALLOWED
    assert [denies for _, denies in files.problems] == ["nothing: Audit mode"]


async def test_one_broken_document_spoils_no_other_of_its_file(files: Files) -> None:
    files.write("a.yaml", base(), extra(modus="x"), base("elsewhere"))
    assert [await files.said(), await files.said("other"), await files.said(namespace="elsewhere")] == [
        INVALID,
        ALLOWED,
        ALLOWED,
    ]


async def test_a_name_that_stands_twice_is_broken_in_both_places(files: Files) -> None:
    files.write("a.yaml", base())
    files.write("b.yaml", extra())
    files.write("c/d.yaml", "# a comment\n" + yaml.safe_dump(extra(subjects=[subject("other", account="other")])))
    assert [await files.said(), await files.said("other")] == [INVALID, INVALID]
    files.write("c/d.yaml", changed(extra(), "metadata.name", "another"))
    assert [await files.said(), await files.said("other")] == [ALLOWED, ALLOWED]
    files.write("c/d.yaml", "# a comment\n" + yaml.safe_dump(extra()))
    await files.view.look()
    also = "metadata.name: crm/extra is also defined at"
    assert [problem for problem, _ in files.problems] == [
        f"b.yaml:1:1: {also} {files.root}/c/d.yaml:2:1",
        f"c/d.yaml:2:1: {also} {files.root}/b.yaml:1:1",
    ]


async def test_two_copies_of_a_carrier_conflict(files: Files) -> None:
    files.write("a.yaml", base())
    files.write("b.yaml", base())
    assert [await files.said(), await files.said("other"), await files.said("stranger")] == [INVALID] * 3


def _refusing(path: Path) -> Callable[[str], policyfiles.File]:
    read = policyfiles._read_file

    def refusing(asked: str) -> policyfiles.File:
        if asked == str(path):
            raise PermissionError(13, "Permission denied", asked)
        return read(asked)

    return refusing


@pytest.mark.parametrize("how", ["no right", "a link to nothing", "a pipe", "too large", "not text"])
async def test_a_file_that_cannot_be_read_denies_everything(
    files: Files, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    files.write("a.yaml", base(), base("elsewhere"))
    path = files.root / "b.yaml"
    match how:
        case "no right":
            path.write_text("")
            # Not by its mode: whoever runs the tests may be allowed everything.
            monkeypatch.setattr(policyfiles, "_read_file", _refusing(path))
        case "a link to nothing":
            path.symlink_to("nowhere")
        case "a pipe":
            os.mkfifo(path)
        case "too large":
            path.write_bytes(b"#" * (1024 * 1024 + 1))
        case _:
            path.write_bytes(b"\xff\xfe\x00")
    assert [await files.said(), await files.said(namespace="elsewhere")] == [INVALID, INVALID]
    (problem, denies), *more = files.problems
    assert problem.startswith("b.yaml:1:1: ")
    assert (denies, more) == ("everything", [])


async def test_objects_of_other_kinds_are_counted_and_passed_over(files: Files) -> None:
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "x"}}
    grant = {"apiVersion": "bailiwick.dev/v1alpha1", "kind": "ApprovalGrant", "metadata": {"name": "x"}}
    odd = "apiVersion: apps/v1\nkind: Deployment\nspec: {replicas: on, replicas: 2}\n"
    cut = "apiVersion: apps/v1\nkind: Deployment\nspec: {\n"
    files.write("a.yaml", account, base(), grant, odd, cut)
    assert await files.said() == ALLOWED
    assert files.problems == []
    assert files.view.report()["policies"]["ignored"] == 4


@pytest.mark.parametrize("kind", [("v1", "List"), ("bailiwick.dev/v1alpha1", "EndpointPolicyList")])
async def test_the_items_of_a_list_are_objects(files: Files, kind: tuple[str, str]) -> None:
    version, name = kind
    files.write("a.yaml", {"apiVersion": version, "kind": name, "items": [base(), extra(modus="x")]})
    assert [await files.said(), await files.said("other")] == [INVALID, ALLOWED]
    (problem, _), *_ = files.problems
    assert "spec.modus: " in problem


async def test_uid_and_generation_are_those_of_the_content(files: Files) -> None:
    async def refs() -> set[tuple[str, int]]:
        await files.view.look()
        rules = files.snapshot.endpoints["crm", "crm-api"].exact["customers.list"]
        return {(made.policy.uid, made.policy.generation) for made in rules}

    files.write("a.yaml", base())
    first = await refs()
    files.write("a.yaml", "# moved\n" + yaml.safe_dump(base(), default_flow_style=True))
    assert await refs() == first
    (files.root / "a.yaml").rename(files.root / "b.yaml")
    assert await refs() == first
    files.write("b.yaml", base(suspend=True))
    assert (await refs()).isdisjoint(first)
    files.write("b.yaml", changed(changed(base(), "metadata.uid", "given"), "metadata.generation", 7))
    assert await refs() == {("given", 7)}


async def test_what_needs_an_approval_finds_none(files: Files) -> None:
    files.write("a.yaml", policy("crm", endpointSettings=settings(), rules=[gated_rule()]))
    await files.view.look()
    assert list(files.view.grants_of("crm", "crm-api", "uid")) == []
    assert files.view.guard_proven
    assert verdict_of(files.snapshot).reason is Reason.APPROVAL_REQUIRED


async def test_who_may_ask_is_as_the_policy_says(files: Files) -> None:
    files.write("a.yaml", base())
    await files.view.look()
    stranger = replace(LIST, caller=ServiceAccount(OTHER, "other-uid"))
    assert verdict_of(files.snapshot, stranger).outcome is Outcome.FORBIDDEN
