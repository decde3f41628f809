"""`suggest`: what a log shows to be enough, what is left as it is, and docs/how-to/suggest-narrower-policies.md."""

import copy
import json
import re
import shlex
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from msgspec.structs import replace

from bailiwick_engine.call import Action, Call, Party, Resource
from bailiwick_engine.circumstances import Circumstances
from bailiwick_evidence.derive.versions import engine_versions
from bailiwick_governance.suggestion.operations import apply
from support import commandline
from support.commandline import Ran
from support.decisions import CRM_CALL, MARCH, crm_calls, decided, ledger_of, written
from support.evidence.logs import ProcessLog, rewritten
from support.objects import Object, listed
from support.offlineshell import OfflineShell
from support.pages import DOCS
from unit.evidence.derive.test_derive import GATED, approved, record

EXAMPLE: Final = (DOCS.parent / "examples" / "crm" / "policy.yaml").read_text(encoding="utf-8")
STANDS: Final[Object] = yaml.safe_load(EXAMPLE)
PAGE: Final = (DOCS / "how-to" / "suggest-narrower-policies.md").read_text(encoding="utf-8")
BLOCKS: Final = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
SHOWN: Final = re.findall(r"^```\n((?:POLICY|left out: ).*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
DAY: Final = 86_400.0
LISTS: Final = ["customers.list"] * 31
BEGIN: Final = "2026-03-06"
BACKUP: Final = "system:serviceaccount:agents:backup"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The policies in force, and a month in which only one action was used."""
    (tmp_path / "policies").mkdir()
    stand(tmp_path, STANDS, crm_calls(LISTS))
    return tmp_path


def stand(folder: Path, policy: Object, calls: Sequence[Call], *more: Object) -> None:
    """Put a policy in force for a month of calls, one a day, with the ledger."""
    (folder / "policies" / "crm.yaml").write_text(yaml.safe_dump_all([policy, *more]), encoding="utf-8")
    written(folder / "decisions.log", decided([policy, *more], calls, every=DAY))
    written(folder / "ledger.log", ledger_of([policy, *more]))


def suggest(folder: Path, *words: str, logs: Iterable[str] = ("decisions.log", "ledger.log")) -> Ran:
    named = [str(folder / name) for name in logs]
    since = () if "--since" in words else ("--since", BEGIN)
    return commandline.run("suggest", *named, "-f", str(folder / "policies"), *since, *words)


def told(folder: Path, *words: str) -> Object:
    ran = suggest(folder, *words, "-o", "json")
    found: Object = json.loads(ran.out)
    assert ran.code == (1 if found["suggestions"] else 0), ran
    return found


def changes(found: Object) -> dict[tuple[str, str], str]:
    """Return what is suggested by rule and part."""
    return {(one["rule"], one["part"]): one["suggested"] for one in found["suggestions"]}


def patched(found: Object, policy: Object) -> Object:
    """Return the spec as the only patch makes it."""
    (one,) = found["patches"]
    return apply(policy["spec"], one["operations"])


def changed(**fields: object) -> Object:
    """Return the example with these fields for those of its first rule."""
    made = copy.deepcopy(STANDS)
    made["spec"]["rules"][0] |= fields
    return made


def on(ids: Iterable[str], **fields: Any) -> list[Call]:  # noqa: ANN401 - of a resource
    return [
        replace(call, resource=Resource("customer", one, **fields))
        for call, one in zip(crm_calls(LISTS), ids, strict=False)
    ]


def test_the_page_can_be_typed_and_shows_what_is_printed(folder: Path) -> None:
    stand(folder, STANDS, crm_calls([*LISTS, "customers.export"]))
    (folder / "cluster.yaml").write_text(listed(STANDS), encoding="utf-8")
    shell = OfflineShell(folder)
    typed = [shell.type(line) for block in BLOCKS for line in block.splitlines()]
    assert [ran.code for ran in typed] == [1, 1, 1, 0, 0, 1, 1, 1, 1], typed
    assert typed[0].out == typed[-1].out == SHOWN[0]
    assert SHOWN[1].strip() in typed[2].err
    assert (folder / "narrower.sh").read_text(encoding="utf-8").startswith("kubectl patch ")
    shown = (folder / "suggestions.md").read_text(encoding="utf-8")
    assert "\n| policy | rule | part | now | suggested | uses | by | first | last |\n" in shown
    assert "\n| crm/crm-agent | read | actions | customers.list, customers.get | customers.list |" in shown
    (operations,) = re.findall(r"^crm/crm-agent:\n\n```json\n(.*?)^```$", shown, re.MULTILINE | re.DOTALL)
    found = json.loads((folder / "suggestions.json").read_text(encoding="utf-8"))
    assert found["patches"] == [{"namespace": "crm", "policy": "crm-agent", "operations": json.loads(operations)}]
    assert json.loads((folder / "suggestions.json").read_text(encoding="utf-8"))["leftOut"] == []


class TestSuggestions:
    def test_name_the_actions_that_were_used_with_the_evidence(self, folder: Path) -> None:
        found = told(folder)
        assert changes(found) == {("read", "actions"): "customers.list"}
        (one,) = found["suggestions"]
        assert one["now"] == "customers.list, customers.get"
        evidence = one["evidence"]
        assert (evidence["uses"], evidence["by"]) == (29, {"sa:agents/crm-agent": 29})
        # The day before the last line does not count, and neither does what was before the beginning.
        assert (evidence["first"], evidence["last"]) == ("2026-03-06T09:00:00Z", "2026-04-03T09:00:00Z")
        assert patched(found, STANDS)["rules"][0]["actions"] == ["customers.list"]
        assert found["replayed"] == 30

    @pytest.mark.parametrize(
        ("ids", "suggested"),
        [
            (["1", "2"] * 16, "customer/1, 2"),
            ([f"{number}" for number in range(31)], None),
            ([f"eu/{number}" for number in range(31)], "customer/eu/*"),
            ([f"eu-{number}" for number in range(31)], None),
        ],
        ids=["few", "many", "many under a prefix", "many under what is no prefix of policies"],
    )
    def test_name_resources_while_they_are_few_and_then_what_they_have_in_common(
        self, folder: Path, ids: Sequence[str], suggested: str | None
    ) -> None:
        stand(folder, changed(actions=["customers.list"]), on(ids))
        assert changes(told(folder)).get(("read", "resources")) == suggested

    def test_leave_out_what_a_call_of_the_last_day_would_need(self, folder: Path) -> None:
        policy = changed(actions=["customers.list"])
        stand(folder, policy, on([*["1"] * 30, "2"]))
        found = told(folder)
        assert found["suggestions"] == []
        assert found["leftOut"] == [
            {
                "namespace": "crm",
                "policy": "crm-agent",
                "rule": "read",
                "part": "resources",
                "suggested": "customer/1",
                "why": "replay says 1 allow→deny",
            }
        ]

    def test_of_one_part_of_a_rule_stand_where_another_part_is_left_out(self, folder: Path) -> None:
        stand(folder, STANDS, on([*["1"] * 30, "2"]))
        found = told(folder)
        assert changes(found) == {("read", "actions"): "customers.list"}
        assert [one["part"] for one in found["leftOut"]] == ["resources"]

    @pytest.mark.parametrize(
        ("last", "part"),
        [
            ({"action": Action("customers.get")}, "actions"),
            ({"resource": Resource("customer", "3", {"amount": 7, "env": "test"})}, "resources"),
            ({"resource": Resource("customer", "1", {"amount": 7, "env": "prod"})}, "resources"),
            ({"resource": Resource("customer", "1", {"amount": 9, "env": "test"})}, "conditions"),
        ],
    )
    def test_are_left_out_part_by_part(self, folder: Path, last: Any, part: str) -> None:  # noqa: ANN401 - of a call
        condition = {"name": "small", "expression": "resource.properties.amount < 10"}
        entry = {"type": "customer", "ids": ["*"], "properties": {"env": ["prod", "test"]}}
        policy = changed(conditions=[condition], resources=[entry])
        calls = on(["1"] * 31, properties={"amount": 7, "env": "test"})
        stand(folder, policy, [*calls[:-1], replace(calls[-1], **last)])
        found = told(folder)
        assert [one["part"] for one in found["leftOut"]] == [part]
        assert {one["part"] for one in found["suggestions"]} == {"actions", "resources", "conditions"} - {part}

    def test_narrow_properties_to_the_values_that_were_there(self, folder: Path) -> None:
        entry = {"type": "customer", "ids": ["*"], "properties": {"env": ["prod", "test"]}}
        policy = changed(actions=["customers.list"], resources=[entry])
        stand(folder, policy, on([f"{number}" for number in range(31)], properties={"env": "test"}))
        assert changes(told(folder)) == {("read", "resources"): "customer/* (env: test)"}

    def test_bound_a_number_that_a_condition_reads(self, folder: Path) -> None:
        condition = {"name": "small", "expression": "resource.properties.amount < 100000"}
        policy = changed(actions=["customers.list"], conditions=[condition])
        amounts = [700 + 6 * number for number in range(31)]
        calls = [
            replace(call, resource=Resource("customer", f"{amount}", {"amount": amount}))
            for call, amount in zip(crm_calls(LISTS), amounts, strict=True)
        ]
        stand(folder, policy, calls)
        found = told(folder)
        assert changes(found) == {("read", "conditions"): "... && resource.properties.amount <= 880"}
        (one,) = found["suggestions"]
        assert one["evidence"]["largest"] == {"resource.properties.amount": 874}
        # Who applied it is not told the same once more.
        narrower = {**policy, "spec": patched(found, policy)}
        assert narrower["spec"]["rules"][0]["conditions"][-1]["name"] == "at-most-amount"
        stand(folder, narrower, calls)
        assert told(folder)["suggestions"] == []

    def test_bound_nothing_that_one_use_lacked_or_that_is_sealed(self, folder: Path) -> None:
        condition = {"name": "small", "expression": "!has(context.n) || context.n < 10"}
        policy = changed(actions=["customers.list"], conditions=[condition])
        calls = [replace(call, context={"n": 3}) for call in on(str(number) for number in range(31))]
        stand(folder, policy, calls)
        assert changes(told(folder)) == {("read", "conditions"): "... && context.n <= 3"}
        stand(folder, policy, [replace(calls[0], context={}), *calls[1:5], replace(calls[5], context={}), *calls[6:]])
        assert told(folder)["suggestions"] == []
        policy["spec"]["sensitive"] = ["context.n"]
        stand(folder, policy, calls)
        assert told(folder)["suggestions"] == []


def with_backup(**fields: object) -> Object:
    """Return the example with another subject that never calls."""
    made = changed(actions=["customers.list"], subjects=["agent", "backup"], **fields)
    made["spec"]["subjects"].append({"name": "backup", "serviceAccount": {"namespace": "agents", "name": "backup"}})
    return made


class TestWhatNobodyUsed:
    def test_is_told_and_stays_unless_somebody_says_otherwise(self, folder: Path) -> None:
        ran = suggest(folder)
        assert ran.code == 1
        said = "note: unused, and left as they are: crm/crm-agent/export, crm/crm-agent/notify; set --unused to"
        assert said in ran.err

    def test_is_removed_the_last_rule_first(self, folder: Path) -> None:
        found = told(folder, "--unused", "remove")
        assert [one["name"] for one in patched(found, STANDS)["rules"]] == ["read"]
        assert [one["path"] for one in found["patches"][0]["operations"] if one["op"] == "remove"] == [
            "/spec/rules/2",
            "/spec/rules/1",
        ]

    def test_is_not_removed_where_no_rule_would_be_left(self, folder: Path) -> None:
        only = copy.deepcopy(STANDS)
        only["metadata"]["name"] = "other"
        only["spec"] = {**only["spec"], "rules": [{**only["spec"]["rules"][0], "name": "r", "actions": ["x"]}]}
        del only["spec"]["endpointSettings"]
        stand(folder, STANDS, crm_calls(LISTS), only)
        found = told(folder, "--unused", "remove", "-n", "crm")
        assert {"no rule of the policy would be left: delete the policy"} == {
            one["why"] for one in found["leftOut"] if one["policy"] == "other"
        }

    def test_asks_for_an_approval_of_whom_you_name(self, folder: Path) -> None:
        idle = {**STANDS["spec"]["rules"][0], "name": "archive", "actions": ["customers.archive"]}
        policy = copy.deepcopy(STANDS)
        policy["spec"]["rules"].append(idle)
        stand(folder, policy, crm_calls(LISTS))
        found = told(folder, "--approvers", "crm-owners")
        made = patched(found, policy)["rules"]
        assert (made[3]["effect"], made[3]["approval"]["steps"][0]["groups"]) == ("RequireApproval", ["crm-owners"])
        # These ask already.
        assert made[1:3] == policy["spec"]["rules"][1:3]

    def test_subject_is_taken_out_of_the_rule(self, folder: Path) -> None:
        stand(folder, with_backup(), on(str(number) for number in range(31)))
        assert changes(told(folder)) == {("read", "subjects"): "agent"}
        assert changes(told(folder, "--unused", "keep")) == {}

    def test_subject_asks_by_a_rule_of_its_own(self, folder: Path) -> None:
        policy = with_backup()
        stand(folder, policy, on(str(number) for number in range(31)))
        found = told(folder, "--approvers", "crm-owners")
        made = patched(found, policy)["rules"]
        assert (made[0]["subjects"], made[3]["name"], made[3]["subjects"]) == (["agent"], "read-ask", ["backup"])
        assert made[3]["effect"] == "RequireApproval"

    def test_subject_that_is_younger_than_the_window_stays_and_so_do_its_actions(self, folder: Path) -> None:
        before = changed(actions=["customers.list"])
        opening: dict[str, Any] = dict(engine_versions())
        calls = on(["1"] * 31)
        log = decided([before], calls[:20], log=ProcessLog(2, **opening), every=DAY)
        decided([with_backup()], calls[20:], log=log, began=MARCH + 20 * DAY, every=DAY)
        (folder / "policies" / "crm.yaml").write_text(yaml.safe_dump(with_backup()), encoding="utf-8")
        written(folder / "decisions.log", log)
        written(folder / "ledger.log", ledger_of([before, with_backup()]))
        found = told(folder)
        assert found["suggestions"] == []
        assert "crm/crm-agent/read" in found["notYetKnown"]

    def test_rule_that_says_something_else_since_lately_is_as_young_as_that(self, folder: Path) -> None:
        before = changed(actions=["customers.list"])
        opening: dict[str, Any] = dict(engine_versions())
        log = decided([before], crm_calls(LISTS[:20]), log=ProcessLog(2, **opening), every=DAY)
        decided([STANDS], crm_calls(LISTS[20:]), log=log, began=MARCH + 20 * DAY, every=DAY)
        written(folder / "decisions.log", log)
        written(folder / "ledger.log", ledger_of([before, STANDS]))
        found = told(folder)
        assert (found["suggestions"], found["notYetKnown"]) == ([], ["crm/crm-agent/read"])


class TestGates:
    def test_are_narrowed_to_what_approvals_let_through(self, folder: Path) -> None:
        opening: dict[str, Any] = dict(engine_versions())
        log = ProcessLog(2, **opening)
        for day in range(31):
            log.add(**record(GATED, around=Circumstances(MARCH + day * DAY), used=approved()))
        (folder / "policies" / "crm.yaml").write_text(yaml.safe_dump(GATED), encoding="utf-8")
        written(folder / "decisions.log", log)
        written(folder / "ledger.log", ledger_of([GATED]))
        found = told(folder)
        assert changes(found) == {("export", "resources"): "customer/42"}
        assert found["suggestions"][0]["evidence"]["uses"] == 29

    def test_that_keep_a_wider_rule_from_allowing_stay(self, folder: Path) -> None:
        """Without the gate, which nobody passed, the rule beside it would allow."""
        policy = copy.deepcopy(STANDS)
        policy["spec"]["rules"][0] |= {"actions": ["*"]}
        stand(folder, policy, crm_calls(LISTS))
        found = told(folder, "--unused", "remove")
        assert {one["rule"]: one["why"] for one in found["leftOut"]} == {
            "export": "diff says wider: Approval → Allow",
            "notify": "diff says wider: Approval → Allow",
        }
        assert changes(found) == {("read", "actions"): "customers.list"}

    def test_that_stand_beside_others_stay(self, folder: Path) -> None:
        policy = copy.deepcopy(STANDS)
        allowing, _, notify = policy["spec"]["rules"]
        allowing["actions"] = ["*"]
        policy["spec"]["rules"] = [allowing, notify, {**notify, "name": "again"}]
        stand(folder, policy, crm_calls(LISTS))
        found = told(folder, "--unused", "remove")
        assert {one["rule"] for one in found["leftOut"]} == {"notify", "again"}
        assert changes(found) == {("read", "actions"): "customers.list"}

    @pytest.mark.parametrize(
        ("file", "why"),
        [
            (None, "the files lack crm/other, which was in force at the end of the log"),
            ({"actions": ["customers.archive"]}, "crm/other is not what was in force at the end of the log"),
        ],
        ids=["of which there is no file", "of which there is another file"],
    )
    def test_that_keep_a_policy_from_allowing_stay(self, folder: Path, file: Object | None, why: str) -> None:
        """Without the gate, what is in force and not in the files would allow."""
        other = copy.deepcopy(STANDS)
        other["metadata"]["name"] = "other"
        other["spec"]["rules"] = [{**STANDS["spec"]["rules"][0], "name": "all", "actions": ["*"]}]
        del other["spec"]["endpointSettings"]
        stand(folder, STANDS, crm_calls(LISTS), other)
        filed = [STANDS]
        if file is not None:
            filed.append(copy.deepcopy(other))
            filed[1]["spec"]["rules"][0] |= file
        (folder / "policies" / "crm.yaml").write_text(yaml.safe_dump_all(filed), encoding="utf-8")
        found = told(folder, "--unused", "remove")
        gates = {one["rule"]: one["why"] for one in found["leftOut"] if one["policy"] == "crm-agent"}
        assert gates == dict.fromkeys(["export", "notify"], f"another policy may allow it: {why}")
        assert changes(found) == {("read", "actions"): "customers.list"}

    def test_stay_beside_a_policy_that_is_not_in_force(self, folder: Path) -> None:
        """It would keep what it gates from being told wider."""
        again = copy.deepcopy(STANDS)
        again["metadata"]["name"] = "again"
        del again["spec"]["endpointSettings"]
        (folder / "policies" / "crm.yaml").write_text(yaml.safe_dump_all([STANDS, again]), encoding="utf-8")
        found = told(folder, "--unused", "remove")
        why = "another policy may allow it: crm/again is not what was in force at the end of the log"
        assert {(one["rule"], one["why"]) for one in found["leftOut"] if one["policy"] == "crm-agent"} == {
            ("export", why),
            ("notify", why),
        }

    def test_stay_beside_a_policy_that_was_being_deleted(self, folder: Path) -> None:
        again = copy.deepcopy(STANDS)
        again["metadata"] |= {"name": "again", "deletionTimestamp": "2026-03-01T00:00:00Z"}
        del again["spec"]["endpointSettings"]
        stand(folder, STANDS, crm_calls(LISTS), again)
        del again["metadata"]["deletionTimestamp"]
        (folder / "policies" / "crm.yaml").write_text(yaml.safe_dump_all([STANDS, again]), encoding="utf-8")
        found = told(folder, "--unused", "remove")
        why = "another policy may allow it: crm/again was being deleted at the end of the log"
        assert why in {one["why"] for one in found["leftOut"] if one["policy"] == "crm-agent"}


class TestOfDecisions:
    def test_that_nobody_can_replay_nothing_is_suggested(self, folder: Path) -> None:
        """Where anybody may ask, the policies are not all that decides."""
        opening: dict[str, Any] = {**engine_versions(), "settings": {"development": True}}
        written(folder / "decisions.log", decided([STANDS], crm_calls(LISTS), log=ProcessLog(2, **opening), every=DAY))
        found = told(folder)
        assert (found["suggestions"], [one["why"] for one in found["leftOut"]]) == (
            [],
            ["replay says 30 not_replayable:state"],
        )

    def test_that_are_all_before_the_window_nothing_is_suggested(self, folder: Path) -> None:
        """No replay shows anything, though nobody used the rules."""
        other = copy.deepcopy(STANDS)
        other["metadata"]["name"] = other["spec"]["endpoint"] = "other"
        calls = [call if day < 3 else replace(call, endpoint="other") for day, call in enumerate(crm_calls(LISTS))]
        stand(folder, STANDS, calls, other)
        (folder / "policies" / "crm.yaml").write_text(EXAMPLE, encoding="utf-8")
        found = told(folder, "--since", "2026-03-08T10:00:00Z", "--approvers", "crm-owners")
        assert [(one["rule"], one["why"]) for one in found["leftOut"]] == [("read", "replay could tell of no decision")]


@pytest.mark.parametrize(
    "cut",
    [
        lambda lines: [*lines[:9], *lines[10:]],
        lambda lines: [*lines, b'{"kind":"evaluation","decision":true}\n'],
        lambda lines: [*lines, lines[3][:200]],
        lambda lines: rewritten([*lines[:9], lines[9].replace(b'"resource"', b'"resources"'), *lines[10:]]),
        lambda lines: rewritten([*lines[:9], lines[9].replace(b'"action":', b'"action":3,"was":'), *lines[10:]]),
        lambda lines: rewritten([*lines[:-1], lines[-1].replace(b'"resource"', b'"resources"')]),
    ],
    ids=["a gap", "a record in no chain", "a torn line", "no resource", "no action", "none on the last day"],
)
def test_a_log_that_is_not_whole_suggests_nothing_and_says_so(
    folder: Path, cut: Callable[[list[bytes]], list[bytes]]
) -> None:
    lines = (folder / "decisions.log").read_bytes().splitlines(keepends=True)
    (folder / "decisions.log").write_bytes(b"".join(cut(lines)))
    ran = suggest(folder, "--unused", "remove")
    assert (ran.code, ran.out[:18]) == (0, "nothing to suggest"), ran
    assert "note: the log is not whole, so nothing is suggested for what may be missing: " in ran.err
    assert "NotYetKnown, and left as they are: crm/crm-agent/read, crm/crm-agent/export" in ran.err


def test_a_window_before_the_log_suggests_nothing_and_says_since_when_it_could(folder: Path) -> None:
    ran = suggest(folder, "--since", "2026-01-01")
    assert (ran.code, ran.out[:18]) == (0, "nothing to suggest"), ran
    assert "note: these policies are known only since 2026-03-05T09:00:00Z: set --since to that" in ran.err
    assert suggest(folder, "--since", "2026-03-05T09:00:00Z").code == 1


def test_what_is_written_is_narrower_and_turns_nothing_for_the_commands_that_say_so(folder: Path) -> None:
    assert suggest(folder, "--unused", "remove", "--write", str(folder / "narrower")).code == 1
    ran = commandline.run("diff", str(folder / "policies"), str(folder / "narrower"), "-o", "json")
    assert json.loads(ran.out)["class"] == "narrower", ran
    logs = [str(folder / name) for name in ("decisions.log", "ledger.log")]
    ran = commandline.run("replay", *logs, "--candidate", str(folder / "narrower"), "--fail-on", "any")
    assert (ran.code, ran.out.splitlines()[-1]) == (0, "passes"), ran
    ran = suggest(folder, "--write", str(folder / "narrower"))
    assert (ran.code, ran.out, "narrower/crm.crm-agent.yaml exists already" in ran.err) == (2, "", True), ran


def test_what_is_written_says_the_same_to_every_reader_of_yaml(folder: Path) -> None:
    stand(folder, changed(actions=["customers.list"]), on(["1e3", "0o7", "y", "12:30:00", "x"] * 7))
    suggest(folder, "--write", str(folder / "narrower"))
    text = (folder / "narrower" / "crm.crm-agent.yaml").read_text(encoding="utf-8")
    assert re.findall(r"^ +- (\S+)$", text[text.index("ids:") :], re.MULTILINE)[:5] == [
        '"0o7"', '"12:30:00"', '"1e3"', "x", '"y"',
    ]  # fmt: skip


def test_the_patch_is_a_command_for_a_shell(folder: Path) -> None:
    ran = suggest(folder, "-o", "patch")
    words = shlex.split(ran.out)
    assert words[:3] == ["kubectl", "patch", "endpointpolicies.bailiwick.dev"]
    assert words[3:8] == ["crm-agent", "--namespace", "crm", "--type", "json"]
    assert apply(STANDS["spec"], json.loads(words[9]))["rules"][0]["actions"] == ["customers.list"]


def test_what_is_used_as_it_is_leaves_nothing_to_suggest(folder: Path) -> None:
    calls = [*crm_calls(["customers.get", "customers.list"] * 15), crm_calls(["customers.list"])[0]]
    policy = copy.deepcopy(STANDS)
    policy["spec"]["rules"] = policy["spec"]["rules"][:1]
    stand(folder, policy, calls)
    ran = suggest(folder)
    assert (ran.code, ran.out) == (
        0,
        "nothing to suggest by the uses from 2026-03-06T00:00:00Z to 2026-04-03T09:00:00Z\n",
    ), ran


def test_denied_calls_and_those_of_others_teach_nothing(folder: Path) -> None:
    stranger = replace(CRM_CALL, subject=Party("serviceAccount", BACKUP, "u"), action=Action("customers.get"))
    stand(folder, STANDS, [stranger if number % 2 else call for number, call in enumerate(crm_calls(LISTS))])
    found = told(folder)
    assert changes(found) == {("read", "actions"): "customers.list"}
    assert found["suggestions"][0]["evidence"]["by"] == {"sa:agents/crm-agent": 14}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nowhere.log", "-f", "policies"), "nowhere.log cannot be read"),
        (("empty.log", "-f", "policies"), "no line of a chain"),
        (("decisions.log", "-f", "nowhere.yaml"), "nowhere.yaml cannot be read"),
        (("decisions.log", "-f", "empty.log"), "the files have no EndpointPolicy"),
        (("decisions.log", "-f", "bad.yaml"), "the policies of the files cannot be narrowed: fix the problems above"),
        (("decisions.log", "-f", "deny.yaml"), "no rule of the policies lets a call through"),
        (("decisions.log", "-f", "other.yaml"), "no decision of an endpoint of the policies, 31 of others"),
        (("decisions.log", "-f", "newer.yaml"), "no decision by policies whose texts are known: give the operator's"),
        (("ledger.log", "-f", "policies"), "no decision of an endpoint of the policies, 0 of others"),
        (("-", "-f", "-"), "standard input can be read only once"),
        (("decisions.log", "-f", "policies", "--since", "soon"), "'soon' is not a time"),
        (("decisions.log", "-f", "policies", "--since", "2026-04-04"), "the day before it does not count"),
        (("decisions.log", "-f", "policies", "-n", "typo"), "no policy in the files is in the namespace 'typo'"),
        (("decisions.log", "-f", "policies", "--unused", "approval"), "name the group that approves with --approvers"),
        (
            ("decisions.log", "-f", "policies", "--unused", "keep", "--approvers", "a"),
            "--approvers is for --unused approval: remove one of them",
        ),
        (("decisions.log", "-f", "policies", "--context", "x"), "suggest does not use a cluster: remove --context"),
    ],
)
def test_what_cannot_be_told_is_one_line(folder: Path, words: tuple[str, ...], said: str) -> None:
    (folder / "empty.log").write_bytes(b"")
    (folder / "bad.yaml").write_text(EXAMPLE.replace("[agent]", "[nobody]"), encoding="utf-8")
    (folder / "other.yaml").write_text(EXAMPLE.replace("crm-api", "other-api"), encoding="utf-8")
    (folder / "newer.yaml").write_text(yaml.safe_dump(changed(actions=["customers.get"])), encoding="utf-8")
    deny = changed(effect="Deny")
    deny["spec"]["rules"] = deny["spec"]["rules"][:1]
    (folder / "deny.yaml").write_text(yaml.safe_dump(deny), encoding="utf-8")
    named = [str(folder / word) if "." in word or word == "policies" else word for word in words]
    ran = commandline.run("suggest", *named)
    assert (ran.code, ran.out, said in ran.err.splitlines()[-1]) == (2, "", True), ran


def test_a_log_comes_from_standard_input(folder: Path) -> None:
    text = (folder / "decisions.log").read_text() + (folder / "ledger.log").read_text()
    ran = commandline.run("suggest", "-", "-f", str(folder / "policies"), "--since", BEGIN, given=text)
    assert ran.code == 1, ran
