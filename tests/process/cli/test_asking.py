"""`who-can`, `what-can` and `explain`, by files and by the decision log, and docs/how-to/ask-policies.md."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from msgspec.structs import replace

from bailiwick_engine.call import Action, Party
from bailiwick_evidence.derive.versions import engine_versions
from support import commandline
from support.commandline import Ran
from support.derivations import texts_of
from support.evidence.logs import ProcessLog
from support.objects import Object, gated_rule, policy, rule, settings, subject
from support.offlineshell import OfflineShell
from support.pages import DOCS
from unit.engine.cases import CALL
from unit.webhook.record.everymember import lines

ROOT: Final = DOCS.parent
PAGE: Final = (DOCS / "how-to" / "ask-policies.md").read_text(encoding="utf-8")
BLOCKS: Final = re.findall(r"^(?:<!-- ([^\n]*) -->\n)?```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
COMMANDS: Final = [line for apart, block in BLOCKS if not apart for line in block.splitlines()]
EXAMPLE: Final = ROOT / "examples" / "crm" / "policy.yaml"
AGENT: Final = "sa:agents/crm-agent"
FEW: Final = [{"name": "few", "expression": "context.count < 5", "message": "only a few"}]
NEAR: Final = (
    "crm-agent/read (Allow): condition few does not hold; expected: context.count < 5 (only a few);"
    " read: context.count = 9\n"
)

Ask = Callable[..., Ran]


@pytest.fixture
def ask(tmp_path: Path) -> Ask:
    """Asks a policy of these rules."""

    def run(*arguments: str, rules: list[Any], **spec: object) -> Ran:
        given: dict[str, Any] = {"endpointSettings": settings(), **spec}
        file = tmp_path / "policies.yaml"
        file.write_text(yaml.safe_dump(policy("crm", rules=rules, **given)), encoding="utf-8")
        return commandline.run(*arguments, "-f", str(file), env={"KUBECONFIG": "/nowhere"})

    return run


def who(*arguments: str) -> tuple[str, ...]:
    return ("who-can", "customers.list", "--on", "customer/42", *arguments)


def explain_call(*arguments: str) -> tuple[str, ...]:
    return ("explain", "customers.list", "customer/42", "--subject", AGENT, *arguments)


@pytest.mark.parametrize(
    ("rules", "code", "verdicts"),
    [
        ([rule()], 0, ["allow"]),
        ([gated_rule(actions=["customers.list"])], 0, ["approval"]),
        ([rule(), rule("never", effect="Deny")], 1, []),
        ([rule(actions=["customers.get"])], 1, []),
    ],
    ids=["allowed", "with an approval", "denied", "another action"],
)
def test_verdicts_and_exit_code_go_together(ask: Ask, rules: list[Any], code: int, verdicts: list[str]) -> None:
    for words in (who("-o", "json"), ("what-can", AGENT, "-o", "json")):
        ran = ask(*words, rules=rules)
        said = json.loads(ran.out)
        if words[0] == "who-can" or rules[0]["actions"] == ["customers.list"]:
            assert (ran.code, [one["verdict"] for one in said["answers"]]) == (code, verdicts), ran
            assert (code == 1) == ("can" in ran.err)


def test_a_row_says_rule_place_condition_approval_and_end(ask: Ask) -> None:
    rules = [gated_rule(actions=["customers.list"], conditions=FEW, expireTime="2999-01-01T00:00:00Z")]
    table = ask(*who(), rules=rules).out.splitlines()
    assert re.split(r" {3,}", table[0]) == ["SUBJECT", "VERDICT", "GIVEN", "APPROVAL", "EXPIRES", "RULE"]
    subject, verdict, given, approval, end, place = re.split(r" {3,}", table[1])
    assert (subject, verdict, given) == (AGENT, "approval", "context.count < 5")
    assert approval.startswith("an approval with 1 Human review")
    assert end == "2999-01-01T00:00:00Z"
    assert re.fullmatch(r"crm-agent/export at .*policies\.yaml:\d+:\d+", place)
    (one,) = json.loads(ask(*who("-o", "json"), rules=rules).out)["answers"]
    assert one["given"] == [
        {"condition": "few", "rule": "crm-agent/export", "expression": FEW[0]["expression"], "is": ["true"]}
    ]
    assert one["approval"]["steps"][0]["kind"] == "Human"
    assert (one["rules"][0]["place"]["line"], one["expires"]) == (int(place.split(":")[-2]), end)


def test_patterns_are_told_with_what_is_taken_from_them(ask: Ask) -> None:
    rules = [rule(actions=["customers.*"]), rule("never", effect="Deny", actions=["customers.purge"])]
    ran = ask("what-can", AGENT, "-o", "json", rules=rules)
    (one,) = json.loads(ran.out)["answers"]
    assert one["where"] == {"action": "customers.* except customers.purge", "resource": "customer/*"}


def test_of_people_groups_count_where_they_are_named(ask: Ask) -> None:
    subjects = [{"name": "staff", "group": {"issuer": "corp", "name": "staff"}}]
    rules = [rule(subjects=["staff"])]
    people = settings() | {"identity": {"issuers": ["cluster", "corp"]}}
    ran = ask("what-can", "user:corp/carol", rules=rules, subjects=subjects, endpointSettings=people)
    assert (ran.code, "note: groups count only if you name them" in ran.err) == (1, True), ran
    words = ("what-can", "user:corp/carol", "--member-of", "staff")
    ran = ask(*words, rules=rules, subjects=subjects, endpointSettings=people)
    assert (ran.code, "customers.list" in ran.out, ran.err) == (0, True, ""), ran
    assert ask("what-can", "group:corp/staff", rules=rules, subjects=subjects, endpointSettings=people).code == 0
    refused = ask("what-can", "user:corp/carol", "--member-of", "staff", rules=rules, subjects=subjects)
    assert (refused.code, "does not accept subjects of the issuer corp" in refused.err) == (1, True), refused


def test_whom_the_enforcer_names_is_asked_about_as_they_are_told(ask: Ask) -> None:
    subjects = [{"name": "bot", "entity": {"type": "agent", "ids": ["bot"]}}]
    asserted = settings() | {"identity": {"verification": "Asserted"}}
    policy = {"rules": [rule(subjects=["bot"])], "subjects": subjects, "endpointSettings": asserted}
    assert json.loads(ask(*who("-o", "json"), **policy).out)["answers"][0]["subject"] == "entity:agent/bot"
    ran = ask("what-can", "entity:agent/bot", **policy)
    assert (ran.code, "customers.list" in ran.out) == (0, True), ran
    for named, said in (("entity:agent/bot", "by their tokens"), ("entity:bot", "write it as entity:TYPE/ID")):
        refused = ask("what-can", named, rules=[rule()])
        assert (refused.code, said in refused.err) == (2, True), refused


def test_delegation_is_said_not_to_be_listed(ask: Ask) -> None:
    ceiling = [{"actions": ["*"], "resources": [{"type": "customer", "ids": ["*"]}]}]
    delegation = {"maxDepth": 1, "principals": ["agent"], "ceiling": ceiling}
    ran = ask(*who(), rules=[rule()], endpointSettings={**settings(), "delegation": delegation})
    assert (ran.code, "note: calls on behalf of another party are not listed" in ran.err) == (0, True), ran


@pytest.mark.long
@pytest.mark.parametrize("asked", [who(), ("what-can", AGENT)], ids=["who-can", "what-can"])
def test_whoever_can_write_what_a_condition_reads_is_said_not_to_be_listed(ask: Ask, asked: tuple[str, ...]) -> None:
    reading = [{"name": "open", "expression": "data.incident.open == true"}, *FEW]
    data = [{"name": "incident", "from": "incident-state"}]
    ran = ask(*asked, rules=[rule(conditions=reading)], data=data)
    assert (ran.code, "note: conditions here read EndpointData (incident-state)" in ran.err) == (0, True), ran
    ran = ask(*asked, "-o", "json", rules=[rule(conditions=reading)], data=data)
    (answer,) = json.loads(ran.out)["answers"]
    assert [one.get("data") for one in answer["given"]] == [["incident-state"], None]
    assert "conditions here read" not in ask(*asked, rules=[rule(conditions=FEW)], data=data).err


@pytest.mark.parametrize("words", [who(), ("what-can", AGENT)], ids=["who-can", "what-can"])
def test_what_was_not_looked_at_is_no_answer(ask: Ask, words: tuple[str, ...]) -> None:
    many = [{"name": f"c{number}", "expression": f"size(context.c{number}) > 1"} for number in range(10)]
    denies = [rule(f"d{number}", effect="Deny", conditions=[one]) for number, one in enumerate(many)]
    ran = ask(*words, rules=[rule(), *denies])
    assert (ran.code, ran.out) == (2, ""), ran
    assert f"error: the answer is not complete: {AGENT}: there is more to look at than is looked at" in ran.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("who-can", "a", "--on", "customer"), "write it as TYPE/ID"),
        (who("--property", "x"), "write it as NAME=VALUE"),
        (who("--endpoint", "other"), "the endpoints are crm-api"),
        (who("--context", "prod"), "-f does not use a cluster: remove --context"),
        (who("-n", "other"), "set --endpoint: the endpoints in other are none"),
        (("what-can", "carol"), "write it as sa:NAMESPACE/NAME"),
        (("what-can", "user:carol"), "write it as user:ISSUER/NAME"),
        (("what-can", AGENT, "--member-of", "staff"), "--member-of is for"),
        (("explain", "customers.list", "--subject", AGENT), "explain ACTION TYPE/ID"),
        (explain_call("--policies", "policies"), "for a call by the policies of files, set -f instead"),
        (explain_call("--policies", "ledger"), "for a call by the policies of files, set -f instead"),
        (explain_call("--item", "0"), "--item chooses from a batch on record"),
        (("explain", "some-id"), "name the log files"),
        (("explain", "some-id", "a.log", "--arg", "a=1"), "--arg describes a call"),
        (("explain", "some-id", "a.log", "--now", "24h"), "--now describes a call"),
        (("explain", "some-id", "a.log"), "--filename describes a call"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_what_cannot_be_asked_is_one_line(ask: Ask, arguments: tuple[str, ...], said: str) -> None:
    ran = ask(*arguments, rules=[rule()])
    assert (ran.code, said in ran.err, ran.out, ran.err.count("\n")) == (2, True, "", 1), ran


@pytest.mark.parametrize("words", [who(), ("what-can", AGENT)], ids=["who-can", "what-can"])
def test_policies_that_cannot_be_read_give_no_answer(ask: Ask, words: tuple[str, ...]) -> None:
    ran = ask(*words, rules=[rule(conditions=[{"name": "bad", "expression": "context.count <"}])])
    assert (ran.code, ran.out) == (2, "")
    assert re.search(r"policies\.yaml:\d+:\d+: spec\.rules\[0\]\.conditions\[0\]\.expression: ", ran.err), ran
    ran = ask(*words, rules=[rule()], endpointSettings=None)
    assert (ran.code, ran.out, "denies every call" in ran.err) == (2, "", True), ran


def test_a_call_is_explained_with_the_values_that_were_read(ask: Ask) -> None:
    call = ("customers.list", "customer/1", "--subject", AGENT, "--call-context", "count=9")
    checked = ask("check", *call, rules=[rule(conditions=FEW)])
    ran = ask("explain", *call, rules=[rule(conditions=FEW)])
    assert (ran.code, ran.out.startswith(checked.out)) == (checked.code, True), ran
    told = "crm-agent/read (Allow): condition few does not hold; expected: context.count < 5 (only a few)"
    assert f"  {told}; read: context.count = 9\n" in ran.out
    said = json.loads(ask("explain", *call, "-o", "json", rules=[rule(conditions=FEW)]).out)
    assert (said["kind"], said["near"][0]["held"], said["near"][0]["read"]) == (
        "Explanation",
        False,
        {"context.count": "= 9"},
    )


class RecordedCall:
    """A log with one record of the call, and a ledger with the policies."""

    def __init__(self, folder: Path, spec: Object, wanted: str, **call: Any) -> None:  # noqa: ANN401 - of a call
        self.folder, self.wanted = folder, wanted
        stands = {"metadata": {"namespace": "crm", "name": "crm-agent", "uid": "u", "generation": 1}, "spec": spec}
        ((digest, text),) = texts_of([spec])._texts.items()
        self.process, self.ledger = ProcessLog(2), ProcessLog(4, component="operator")
        (self.record,) = lines(stands, call=replace(CALL, **call), allowed=False)
        self.record["evaluation_id"] = wanted
        self.ledger.add(kind="policy", digest=digest, policy="crm/crm-agent", text=text.decode())

    def explain(self, *arguments: str, ledger: bool = True) -> Ran:
        self.process.add(**self.record)
        for name, log in (("decisions.log", self.process), ("ledger.log", self.ledger)):
            (self.folder / name).write_bytes(b"".join(log.lines))
        files = [str(self.folder / "decisions.log"), *([str(self.folder / "ledger.log")] if ledger else [])]
        return commandline.run("explain", self.wanted, *files, *arguments)


def spec_of(*rules: Object, **more: Any) -> Object:  # noqa: ANN401 - of a policy
    spec: Object = policy("crm", rules=list(rules), endpointSettings=settings(), **more)["spec"]
    return spec


def test_a_record_is_explained_by_the_policies_of_that_time(tmp_path: Path) -> None:
    found = RecordedCall(
        tmp_path, spec_of(rule(conditions=FEW)), "e-1", action=Action("customers.list"), context={"count": 9}
    )
    ran = found.explain()
    assert (ran.code, ran.out.splitlines()[:2]) == (0, ["deny  condition_false", "only a few"]), ran
    assert "It follows from the policies of that time.\n" in ran.out
    assert "condition few does not hold; expected: context.count < 5 (only a few); read: context.count = 9\n" in ran.out


def test_what_is_sealed_stays_sealed(tmp_path: Path) -> None:
    spec = spec_of(rule(conditions=FEW), sensitive=["context.count"])
    found = RecordedCall(tmp_path, spec, "e-1", action=Action("customers.list"), context={"count": 9})
    ran = found.explain()
    assert ran.code == 0, ran
    assert "condition few is not known: context.count < 5; read: context.count is sealed\n" in ran.out
    said = json.loads(found.explain("-o", "json").out)
    assert (said["follows"], said["near"][0]["held"]) == ("attested", "sealed")
    assert "does not hold" not in ran.out


def test_a_record_that_waits_says_what_it_takes(tmp_path: Path) -> None:
    found = RecordedCall(tmp_path, spec_of(gated_rule(conditions=FEW)), "e-1", context={"count": 2})
    ran = found.explain()
    assert (ran.code, ran.out.splitlines()[0]) == (0, "deny  approval_required"), ran
    assert "It takes: an approval with 1 Human review" in ran.out
    assert "crm-agent/export: condition few holds: context.count < 5; read: context.count = 2\n" in ran.out
    said = json.loads(found.explain("-o", "json").out)
    assert (said["effect"], said["follows"], said["approval"]["maxUses"]) == ("deny", "attested", 1)
    assert said["conditions"][0]["read"] == {"context.count": "= 2"}


def test_of_a_chain_it_is_said_who_was_weighed(tmp_path: Path) -> None:
    ceiling = [{"actions": ["*"], "resources": [{"type": "customer", "ids": ["*"]}]}]
    delegation = {"maxDepth": 1, "principals": ["staff"], "ceiling": ceiling}
    carrier = {**settings(), "identity": {"issuers": ["cluster", "corp"]}, "delegation": delegation}
    staff = {"name": "staff", "group": {"issuer": "corp", "name": "staff"}}
    spec = {**spec_of(rule(actions=["customers.get"])), "endpointSettings": carrier, "subjects": [subject(), staff]}
    carol = Party("user", "carol", "corp#carol", issuer="corp", groups=("staff",))
    found = RecordedCall(tmp_path, spec, "e-1", subject=carol, actors=(CALL.subject,))
    ran = found.explain()
    agent = "system:serviceaccount:agents:crm-agent"
    assert (ran.code, ran.out.splitlines()[0]) == (0, "deny  no_rule"), ran
    assert f"crm-agent/read (Allow, for {agent}): action does not hold; expected: customers.get\n" in ran.out


def test_a_record_that_its_policies_do_not_reproduce_is_not_explained(tmp_path: Path) -> None:
    found = RecordedCall(
        tmp_path, spec_of(rule(conditions=FEW)), "e-1", action=Action("customers.list"), context={"count": 9}
    )
    # Of another version of the engine nothing is ever contradicted.
    opening: dict[str, Any] = dict(engine_versions())
    found.process = ProcessLog(2, **opening)
    found.record |= {"reason": "no_rule", "policy": None}
    ran = found.explain()
    assert (ran.code, ran.out) == (1, ""), ran
    assert "its own policies do not reproduce this record" in ran.err
    assert "says no_rule by no rule; the engine says condition_false by crm-agent/read" in ran.err
    assert NEAR in ran.err


def test_a_record_that_is_contradicted_is_told_with_what_the_engine_weighed(tmp_path: Path) -> None:
    found = RecordedCall(
        tmp_path, spec_of(rule(conditions=FEW)), "e-1", action=Action("customers.list"), context={"count": 9}
    )
    opening: dict[str, Any] = dict(engine_versions())
    found.process = ProcessLog(2, **opening)
    found.record |= {"reason": "no_rule", "policy": None}
    for _ in range(25):
        found.process.add(**found.record)
    found.explain()
    files = [str(tmp_path / name) for name in ("decisions.log", "ledger.log")]
    ran = commandline.run("audit", "verify", *files, "--policies", "ledger")
    assert ran.code == 1, ran
    assert ran.out.count("the record of e-1 says no_rule by no rule; the engine says condition_false") == 26
    # Of the first ones, so that a log of lies does not fill the memory.
    assert ran.out.count(f"\n    {NEAR}") == 20, ran
    body = json.loads(commandline.run("audit", "verify", *files, "--policies", "ledger", "-o", "json").out)
    first, *_, last = body["records"]["contradictedLines"]
    assert (first["near"][0]["rule"], first["near"][0]["read"]) == ("read", {"context.count": "= 9"})
    assert (last["line"].rpartition(" ")[2], "near" in last) == ("26", False)


def test_of_what_is_sealed_a_contradicted_record_tells_nothing(tmp_path: Path) -> None:
    spec = spec_of(rule(conditions=FEW), sensitive=["context.count"])
    found = RecordedCall(tmp_path, spec, "e-1", action=Action("customers.list"), context={"count": 9})
    opening: dict[str, Any] = dict(engine_versions())
    found.process = ProcessLog(2, **opening)
    found.record |= {"reason": "no_rule", "policy": None}
    ran = found.explain()
    assert (ran.code, ran.out) == (1, ""), ran
    assert "condition few is not known: context.count < 5; read: context.count is sealed\n" in ran.err


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"wanted": "e-2"}, "no record of e-2 in "),
        ({"kind": "search"}, "e-1 is not a decision on one call"),
        ({"now": None}, "The record lacks an attribute that the rules read"),
    ],
    ids=["unknown", "a search", "no time"],
)
def test_what_cannot_be_explained_says_what_to_do(tmp_path: Path, change: Object, said: str) -> None:
    found = RecordedCall(tmp_path, spec_of(rule()), "e-1")
    found.wanted = change.pop("wanted", "e-1")
    found.record |= change
    ran = found.explain()
    assert (ran.code, ran.out, said in ran.err) == (2, "", True), ran


def test_a_policy_text_that_is_not_at_hand_is_told(tmp_path: Path) -> None:
    ran = RecordedCall(tmp_path, spec_of(rule()), "e-1").explain(ledger=False)
    assert (ran.code, ran.out, "is missing. Give the operator's ledger" in ran.err) == (2, "", True), ran
    ran = RecordedCall(tmp_path, spec_of(rule()), "e-1").explain("--policies", str(EXAMPLE))
    assert (ran.code, ran.out, "The text of a policy is missing" in ran.err) == (2, "", True), ran


def test_where_anybody_could_ask_policies_alone_explain_nothing(tmp_path: Path) -> None:
    found = RecordedCall(tmp_path, spec_of(rule()), "e-1")
    found.process = ProcessLog(2, settings={"development": True})
    ran = found.explain()
    assert (ran.code, ran.out, "A decision point with --development decided" in ran.err) == (2, "", True), ran
    assert "To explain the call instead, name it: explain ACTION TYPE/ID --subject" in ran.err


def test_of_a_batch_one_item_is_chosen(tmp_path: Path) -> None:
    found = RecordedCall(tmp_path, spec_of(rule()), "e-1")
    found.process.add(**found.record, item=0)
    found.record["item"] = 1
    ran = found.explain()
    assert (ran.code, "2 records of e-1: choose one with --item" in ran.err) == (2, True), ran
    assert found.explain("--item", "0").code == 0


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> OfflineShell:
    folder = tmp_path_factory.mktemp("asking")
    (folder / "examples").symlink_to(ROOT / "examples")
    spec = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))["spec"]
    assert RecordedCall(folder, spec, "0198c1f0-purge", action=Action("customers.purge")).explain().code == 0
    return OfflineShell(folder)


@pytest.mark.long
@pytest.mark.parametrize("text", COMMANDS, ids=lambda text: text[18:])
def test_every_command_of_the_page_answers(shell: OfflineShell, text: str) -> None:
    ran = shell.type(text)
    # What is denied is explained, and exits as `check` does.
    denied = text.startswith("kubectl bailiwick explain customers.purge")
    assert (ran.code, ran.err) == (1 if denied else 0, ""), ran


def test_the_page_shows_what_is_printed(shell: OfflineShell) -> None:
    shown = PAGE.partition("```\n\n```\n")[2].partition("```\n")[0]
    assert [line.rstrip() for line in shell.type(COMMANDS[0]).out.splitlines()] == shown.splitlines()


def test_what_is_asked_of_the_cluster_is_a_command(shell: OfflineShell) -> None:
    (block,) = (block for apart, block in BLOCKS if apart == "in a cluster")
    for line in block.splitlines():
        ran = shell.type(line)
        assert (ran.code, "no kubeconfig at /nowhere" in ran.err) == (2, True), ran
