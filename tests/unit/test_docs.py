"""The pages of `docs` speak of what there is: links, files, policies, metrics, reasons, flags and commands."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import typer
import yaml

from bailiwick_api.accounts import Installation
from bailiwick_api.manifests.crds import APPROVAL_GRANTS_CRD, approval_grants, endpoint_policies, group_definitions
from bailiwick_api.manifests.guards import guards
from bailiwick_cli.main import app
from bailiwick_engine.approval.fingerprint import deviations
from bailiwick_engine.cel.data import UnknownReason
from bailiwick_engine.compile.policies import compile_object
from bailiwick_engine.policy.model import CompiledPolicy
from bailiwick_engine.reasons import Reason
from bailiwick_operator import settings as operator_settings
from bailiwick_operator.process.metrics import METRICS as OPERATING_METRICS
from bailiwick_webhook.metrics.table import METRICS as DECIDING
from bailiwick_webhook.process import flags as webhook_flags, settings as webhook_settings
from pictures.drawings import DRAWINGS
from pictures.terminals import TERMINALS
from support.guards.shippedobjects import as_stored
from support.pages import DOCS, blocks, objects

ROOT: Final = DOCS.parent
METRICS: Final = (*DECIDING, *OPERATING_METRICS)
PAGES: Final = (*sorted(DOCS.rglob("*.md")), *(ROOT / f"{name}.md" for name in ("README", "SECURITY", "CONTRIBUTING")))
# Pages that say how to run it and what it is good for: whatever they name is looked up.
OPERATING: Final = (
    "concepts/compliance",
    "concepts/limitations",
    "concepts/threat-model",
    "operations/gitops",
    "operations/install",
    "operations/noisy-neighbours",
    "operations/runbook",
    "operations/upgrade",
)
ALERTS: Final = ROOT / "charts" / "bailiwick" / "files" / "alerts.yaml"
FENCE: Final = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)
LINK: Final = re.compile(r"\[[^]]*\]\(([^)\s]+)\)")
PICTURE: Final = re.compile(r'<img alt="([^"]*)" src="([^"]*)">|<source [^>]*srcset="([^"]*)">')
MOST_OF_A_PICTURE: Final = 150_000
# Folders whose files are named as they stand in the repository.
FILE: Final = re.compile(r"`((?:tests|crds|docs|examples|hack)/[\w./-]+\.\w+)`")
WORD: Final = re.compile(r"`([a-z]+(?:_[a-z]+)+)`")
METRIC: Final = re.compile(r"\bbailiwick_(?!(?:api|cli|engine|operator|webhook)\b)[a-z_]+")
EVENT: Final = re.compile(r'"((?:Log|Witness|Renewal)[A-Z][A-Za-z]+)"')
FLAG: Final = re.compile(r"`(--[a-z][a-z-]+)[ =a-z]*`")
# Members of answers and records, beside the reasons the only words that are written so.
MEMBERS: Final = {"disposition_id", "evaluation_id"}
# Flags of kubectl, helm and the API server, where a page speaks of one by itself.
FOREIGN: Final = {"--server-side", "--force-conflicts", "--skip-tests", "--use-service-account-credentials"}


def relative(page: Path) -> str:
    return str(page.relative_to(ROOT))


def operating() -> Iterator[tuple[str, str]]:
    """Yield name and text of the pages of operating."""
    for name in OPERATING:
        yield f"{name}.md", (DOCS / f"{name}.md").read_text(encoding="utf-8")


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as a reader of the repository gets them."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in headings}


def dead(page: Path) -> Iterator[str]:
    """Yield the links of a page that lead nowhere."""
    for link in LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", link):
            continue
        target, _, anchor = link.partition("#")
        found = (page.parent / target).resolve() if target else page
        if not found.exists() or (anchor and anchor not in anchors(found)):
            yield link


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_a_link_leads_somewhere(page: Path) -> None:
    assert list(dead(page)) == []


@pytest.mark.parametrize("link", ["no.md", "no/such.md", "page.md#no-such", "#no-such"])
def test_a_link_to_nowhere_is_found(link: str, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        f"# Page\n\n## A `part`, of it\n\n[a](#a-part-of-it) [b](page.md) [c]({link}) [d](https://e.example)\n"
    )
    assert list(dead(page)) == [link]


def test_every_page_is_found_from_the_first_one() -> None:
    index = DOCS / "README.md"
    linked = {(index.parent / link.partition("#")[0]).resolve() for link in LINK.findall(index.read_text("utf-8"))}
    pages = {page for page in DOCS.rglob("*.md") if page.parent.name != "adr"} - {index}
    assert {relative(page) for page in pages - linked} == set()
    assert f"({relative(index)})" in (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_a_file_that_a_page_names_is_there(page: Path) -> None:
    named = set(FILE.findall(page.read_text(encoding="utf-8")))
    assert {name for name in named if not (ROOT / name).exists()} == set()


def policies() -> list[Any]:
    return [
        pytest.param(found, id=f"{relative(page)}-{number}")
        for page in PAGES
        for number, found in enumerate(objects(str(Path("..") / relative(page))))
        if found.get("kind") == "EndpointPolicy"
    ]


@pytest.mark.parametrize("policy", policies())
def test_a_policy_of_a_page_compiles(policy: dict[str, Any]) -> None:
    policy["metadata"] |= {"uid": "uid", "generation": 1}
    compiled = compile_object(policy)
    assert isinstance(compiled, CompiledPolicy), compiled


def test_a_metric_that_a_page_names_is_served() -> None:
    served = {metric.name for metric in METRICS}
    for page, text in operating():
        named = {re.sub(r"_(?:bucket|sum|count)$", "", name) for name in METRIC.findall(text)}
        assert named <= served, page


def test_a_reason_that_a_page_names_is_one() -> None:
    known = {reason.value for reason in Reason} | {metric.name for metric in METRICS} | MEMBERS
    for page, text in operating():
        assert set(WORD.findall(text)) <= known, page


def flags(capsys: pytest.CaptureFixture[str]) -> set[str]:
    """Return every flag of the three programs, as their help has it."""
    for parse in (webhook_settings.parse, operator_settings.parse):
        with pytest.raises(SystemExit):
            parse(["--help"])
    ours = set(re.findall(r"--[a-z][a-z-]+", capsys.readouterr().out))
    plugin = typer.main.get_group(app)
    commands = [*plugin.commands.values(), *getattr(plugin.commands["audit"], "commands", {}).values()]
    return ours | {option for command in commands for each in command.params for option in each.opts}


def test_a_flag_that_a_page_names_is_one_of_ours(capsys: pytest.CaptureFixture[str]) -> None:
    known = flags(capsys)
    for page, text in operating():
        assert set(FLAG.findall(text)) - FOREIGN <= known, page


def test_the_page_on_noisy_neighbours_names_every_bound() -> None:
    groups = {group.title: group for group in webhook_flags.parser()._action_groups}
    bounds = [groups["limits of one process"], groups["budgets of namespaces; 0 means no limit"]]
    known = {action.option_strings[0] for group in bounds for action in group._group_actions}
    assert set(FLAG.findall((DOCS / "operations/noisy-neighbours.md").read_text(encoding="utf-8"))) == known


def test_a_command_of_the_plugin_is_one_that_it_has() -> None:
    plugin = typer.main.get_group(app)
    own = {option for each in plugin.params for option in each.opts}
    shown = [block for page, _ in operating() for language in ("sh", "console") for block in blocks(page, language)]
    for line in (line.strip() for block in shown for line in block.replace("\\\n", " ").splitlines()):
        if line.startswith("kubectl bailiwick "):
            _, _, name, *words = shlex.split(line.partition(" | ")[0])
            if name.startswith("-"):
                assert (name in own, words) == (True, [])
                continue
            command = plugin.commands[name]
            if name == "audit":
                name, command = words[0], command.commands[words.pop(0)]  # type: ignore[attr-defined]  # it is a group
            assert command.make_context(name, list(words)).command.name == name


def test_each_alert_is_a_heading_of_the_runbook_and_in_its_contents() -> None:
    text = (DOCS / "operations/runbook.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## (Bailiwick\w+)$", text, re.MULTILINE)
    assert headings == re.findall(r"\[(Bailiwick\w+)\]", text.partition("\n## ")[0])
    alerts = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["alerts"]
    assert {alert["name"] for alert in alerts} <= set(headings)
    told = dict(re.findall(r"^\| \[(Bailiwick\w+)\]\(#\w+\) \| (\w+) \|", text, re.MULTILINE))
    assert told == {alert["name"]: alert["severity"] for alert in alerts}


@pytest.mark.parametrize("word", ["**Symptoms", "**Diagnosis", "**Remediation", "**Verification", "**Do not"])
def test_each_alert_says_what_to_do_and_what_not(word: str) -> None:
    text = (DOCS / "operations/runbook.md").read_text(encoding="utf-8")
    sections = re.findall(
        r"^## (Bailiwick\w+)\n(.*?)^## ", text.replace("\n## ", "\n## \n## "), re.MULTILINE | re.DOTALL
    )
    told = ((name, said.replace("what **not** to do", "**do not").lower()) for name, said in sections)
    assert [name for name, said in told if word.lower() not in said] == []


def test_the_page_for_auditors_names_every_test_of_attacks() -> None:
    text = (DOCS / "reference/tests-as-evidence.md").read_text(encoding="utf-8")
    tests = [relative(path) for path in (ROOT / "tests").rglob("test_*attack*.py")]
    assert tests
    assert [path for path in tests if f"`{path}`" not in text] == []


def section(page: str, heading: str) -> str:
    """Return what stands below a heading of a page."""
    return (DOCS / page).read_text(encoding="utf-8").partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def test_each_event_of_the_witness_has_an_entry_in_the_runbook() -> None:
    evidence = ROOT / "operator/src/bailiwick_operator/evidence"
    made = {name for path in evidence.glob("*.py") for name in EVENT.findall(path.read_text(encoding="utf-8"))}
    assert {"LogInconsistent", "WitnessFull", "WitnessKeysFull"} <= made
    told = section("operations/runbook.md", "BailiwickLogInconsistent") + section(
        "operations/runbook.md", "BailiwickWitnessFailing"
    )
    assert {name for name in made if f"`{name}`" not in told} == set()


def test_each_reason_of_a_policy_whose_data_is_not_ready_has_an_entry_in_the_runbook() -> None:
    told = section("operations/runbook.md", "A policy's data is not ready")
    assert {"DataReady", "DataNotReady", *UnknownReason} - set(re.findall(r"`(\w+)`", told)) == set()


def test_every_threat_of_the_admission_model_is_answered() -> None:
    text = (DOCS / "concepts/threat-model.md").read_text(encoding="utf-8")
    numbers = re.findall(r"^\| (\d+) \| [^|]+ \| [^|]+ \|", text, re.MULTILINE)
    assert [int(number) for number in numbers] == list(range(1, 19))


def test_what_the_pages_say_of_old_clusters_is_so() -> None:
    # An API server that does not know selectableFields drops them, and then no guard is as shipped.
    stored = [as_stored(one, "x") for one in (*guards(Installation()), *group_definitions())]
    assert deviations(stored, Installation()) == ()
    grants = next(one for one in stored if one["metadata"]["name"] == APPROVAL_GRANTS_CRD)
    del grants["spec"]["versions"][0]["selectableFields"]
    (found,) = deviations(stored, Installation())
    assert found.endswith("differs from the shipped version at spec.versions[0].selectableFields")


def test_images_are_built_under_the_tag_that_the_chart_takes() -> None:
    chart = yaml.safe_load((ROOT / "charts" / "bailiwick" / "Chart.yaml").read_text(encoding="utf-8"))
    built = re.findall(
        r"bailiwick-(webhook|operator):(\S+) \.$", (DOCS / "operations/install.md").read_text("utf-8"), re.MULTILINE
    )
    assert built == [("webhook", chart["appVersion"]), ("operator", chart["appVersion"])]


def test_the_glossary_has_every_kind_effect_mode_phase_and_kind_of_step() -> None:
    text = (DOCS / "reference/glossary.md").read_text(encoding="utf-8")
    grants = approval_grants()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
    policies = endpoint_policies()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"][
        "properties"
    ]
    rule = policies["rules"]["items"]["properties"]
    words = {
        *("EndpointPolicy", "ApprovalGrant"),
        *grants["status"]["properties"]["phase"]["enum"],
        *grants["spec"]["properties"]["request"]["properties"]["binding"]["properties"]["mode"]["enum"],
        *policies["mode"]["enum"],
        *rule["effect"]["enum"],
        *rule["approval"]["properties"]["steps"]["items"]["properties"]["kind"]["enum"],
    }
    assert {word for word in words if f"`{word}`" not in text} == set()


def test_a_term_has_one_line_in_the_glossary() -> None:
    text = (DOCS / "reference/glossary.md").read_text(encoding="utf-8")
    terms = re.findall(r"^\| ([^|]+?) \|", text, re.MULTILINE)
    known = [term for term in terms if term not in {"Term", "---"}]
    assert len(known) == len(set(known)) > 40


def test_every_picture_is_there_described_and_small_and_none_is_there_for_nothing() -> None:
    named: set[Path] = set()
    for page in PAGES:
        text = FENCE.sub("", page.read_text(encoding="utf-8"))
        assert len(re.findall(r"!\[|<img|<source", text)) == len(PICTURE.findall(text)), relative(page)
        for told, file, dark in PICTURE.findall(text):
            path = (page.parent / (file or dark)).resolve()
            assert told.strip() or dark, f"{relative(page)}: say what {file} shows"
            assert path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n" or path.name in DRAWINGS | TERMINALS, (
                f"{relative(page)}: {file}"
            )
            named.add(path)
    stored = set((DOCS / "images").glob("*"))
    assert named == stored
    assert {path.name for path in stored if path.stat().st_size > MOST_OF_A_PICTURE} == set()
