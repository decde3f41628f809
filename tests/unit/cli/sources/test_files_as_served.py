"""`check -f` says of files what a decision point says that serves them, and exits with 2 where they are broken."""

import json
from pathlib import Path
from typing import Final

import pytest
import yaml
from msgspec.structs import replace

from bailiwick_engine.decision.verdict import Outcome
from bailiwick_webhook.store.directory import Directory
from support import commandline
from support.commandline import Ran
from support.objects import Object, changed, gated_rule, policy, rule, settings
from unit.engine.cases import CALL, verdict_of

LISTING: Final = ("check", "--subject", "sa:agents/crm-agent", "customers.list", "customer/42")
SOUND: Final = policy("crm", endpointSettings=settings())
OTHER: Final = policy("crm", "other", endpoint="other", endpointSettings=settings())
DENYING: Final = policy("crm", "never", rules=[rule("never", effect="Deny")])
CUT_OFF: Final = "metadata: {namespace: crm, name: x}\nspec:\n  endpoint: crm-api\n  rules: ["

ALLOWED: Final[dict[str, list[Object | str]]] = {
    "a sound policy": [SOUND],
    "another kind beside it": [SOUND, {"apiVersion": "v1", "kind": "ConfigMap"}],
    "a fault in a policy of another endpoint": [SOUND, changed(OTHER, "spec.modus", "Audit")],
}
BROKEN: Final[dict[str, tuple[list[Object | str], str]]] = {
    "a misspelled kind": ([SOUND, {**DENYING, "kind": "EndpointPolcy"}], "kind: "),
    "a misspelled group": ([SOUND, {**DENYING, "apiVersion": "bailiwik.dev/v1alpha1"}], "apiVersion: "),
    "a number that is a text": (
        [SOUND, policy("crm", "gated", rules=[changed(gated_rule(), "approval.steps.0.count", "2")])],
        "spec.rules[0].approval.steps[0].count: ",
    ),
    "no namespace": ([SOUND, changed(DENYING, "metadata.namespace", ...)], "metadata.namespace: "),
    "no name": ([SOUND, changed(DENYING, "metadata.name", ...)], "metadata.name: "),
    "one name twice": ([SOUND, DENYING, DENYING], "metadata.name: "),
    "a key twice": ([SOUND, yaml.safe_dump(DENYING) + "  mode: Audit\n  mode: Enforce\n"], "spec.mode: "),
    "a policy that is cut off": ([SOUND, CUT_OFF], ""),
    "two carriers": (
        [SOUND, policy("crm", "second", endpointSettings=settings())],
        "spec.endpointSettings: endpointSettings for crm-api are also in ",
    ),
    "no settings": ([policy("crm")], "spec.endpoint: no policy of crm-api has spec.endpointSettings"),
}


def written(folder: Path, objects: list[Object | str]) -> Path:
    file = folder / "policies.yaml"
    texts = [one if isinstance(one, str) else yaml.safe_dump(one, sort_keys=False) for one in objects]
    file.write_text("---\n".join(texts), encoding="utf-8")
    return file


async def served(folder: Path) -> tuple[bool, list[str]]:
    """Return whether a decision point that serves the folder allows the call, and what it says is wrong."""
    view = Directory(folder, max_staleness=120, hard_staleness=900)
    await view.look()
    assert view.snapshot is not None
    listing = replace(CALL, action=replace(CALL.action, name="customers.list"))
    allowed = verdict_of(view.snapshot, listing).outcome is Outcome.ALLOW
    return allowed, [entry["problem"] for entry in view.report()["policies"]["problems"]]


def check(*arguments: str) -> Ran:
    return commandline.run(*LISTING, "--endpoint", "crm-api", *arguments, env={"KUBECONFIG": "/nowhere"})


@pytest.mark.parametrize("objects", ALLOWED.values(), ids=ALLOWED)
async def test_what_is_served_as_allowed_is_allowed(tmp_path: Path, objects: list[Object | str]) -> None:
    file = written(tmp_path, objects)
    allowed, _ = await served(tmp_path)
    ran = check("-f", str(file))
    assert (allowed, ran.code, ran.out.splitlines()[0]) == (True, 0, "allow  allowed"), ran


@pytest.mark.parametrize(("objects", "path"), BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("named", ["file", "folder"])
async def test_what_is_broken_is_told_with_its_place_and_is_no_plain_denial(
    tmp_path: Path, objects: list[Object | str], path: str, named: str
) -> None:
    file = written(tmp_path, objects)
    allowed, problems = await served(tmp_path)
    ran = check("-f", str(file if named == "file" else tmp_path), "-o", "json")
    assert (allowed, ran.code, json.loads(ran.out)["effect"]) == (False, 2, "deny"), ran
    for problem in problems:
        assert problem.startswith(f"{file}:")
        assert problem in ran.err
    assert path in ran.err


def test_a_namespace_is_chosen_by_the_flag_and_given_to_no_policy(tmp_path: Path) -> None:
    file = written(tmp_path, [changed(SOUND, "metadata.namespace", ...)])
    ran = check("-f", str(file), "-n", "crm")
    assert (ran.code, ran.out) == (2, ""), ran
    assert f"{file}:3:1: metadata.namespace: " in ran.err


def test_a_denial_by_a_sound_policy_is_one(tmp_path: Path) -> None:
    ran = check("-f", str(written(tmp_path, [SOUND, DENYING])))
    assert (ran.code, ran.out.splitlines()[0]) == (1, "deny  policy_denied"), ran


def test_policies_are_read_from_standard_input(tmp_path: Path) -> None:
    text = written(tmp_path, [SOUND]).read_text(encoding="utf-8")
    ran = commandline.run(*LISTING, "-f", "-", given=text)
    assert (ran.code, ran.out.splitlines()[0]) == (0, "allow  allowed"), ran
    ran = commandline.run(*LISTING, "-f", "-", given=text.replace("Allow", "Alow"))
    assert (ran.code, "standard input:" in ran.err) == (2, True), ran


def test_rules_that_have_expired_are_told(tmp_path: Path) -> None:
    expired = policy("crm", endpointSettings=settings(), rules=[rule(expireTime="2026-03-31T00:00:00Z")])
    file = written(tmp_path, [expired])
    ran = check("-f", str(file))
    assert (ran.code, ran.out.splitlines()[0]) == (1, "deny  expired"), ran
    assert ran.err.startswith(f"warning: {file}:"), ran
    assert (
        "spec.rules[0].expireTime: rule read expired at 2026-03-31T00:00:00Z: it no longer allows any call" in ran.err
    )
