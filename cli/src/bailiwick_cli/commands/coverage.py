"""`coverage`: what no decision point is asked about in a cluster, in several, or by the rules of files alone.

Holds: nothing is decided here, and nothing in a cluster is written; what could not be read is a finding.
"""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import yaml

from bailiwick_api.documents.policyfiles import policy_file
from bailiwick_cli.errors import CliError, Exit
from bailiwick_cli.kubeconfig import connect
from bailiwick_cli.offline import refuse_cluster, refuse_stdin_twice
from bailiwick_cli.options import Flags
from bailiwick_cli.verbs.coverageverbs import CoverageFailOn, CoverageFlags, CoverageOutput
from bailiwick_cli.views import coveragepage, coverageview
from bailiwick_cli.views.coverageview import ClusterCoverage
from bailiwick_coverage.facts import ApiOperation, ClusterFacts
from bailiwick_coverage.inventory.words import default_words
from bailiwick_coverage.report import RULES_ALONE, CoverageQuestion, examine, examine_rules
from bailiwick_coverage.ungatedactions import parse_words
from bailiwick_engine.policy.snapshot import EndpointKey
from bailiwick_governance.apiserver.cluster import ClusterClient
from bailiwick_governance.arguments import seconds
from bailiwick_governance.display import talk
from bailiwick_governance.extras import require
from bailiwick_governance.inventory.apisurface import read_mcp, read_openapi
from bailiwick_governance.inventory.clusterreading import read_cluster
from bailiwick_governance.inventory.filereading import read_files
from bailiwick_governance.sources import policies

_NOT_SEEN: Final = (
    "note: a NetworkPolicy has no effect unless the network of the cluster enforces it, which coverage cannot see"
)
_OF_FILES: Final = (
    "note: by files, only rules are examined (unruled, ungated): Services, ways around them and accounts need a cluster"
)


def run(options: CoverageFlags) -> int:
    """Read, examine and tell."""
    _refuse_mistaken(options)
    near = seconds(options.expires_within, "--expires-within")
    unused = seconds(options.unused_for, "--unused-for")
    words = _words(options.words)
    if options.mcp:
        require("--mcp", ("mcp",), "mcp")
    if options.file:
        facts = read_files(options.file, _names(options.namespace))
        operations, target = _operations(options, facts)
        question = CoverageQuestion(time.time(), words, near, unused, operations, target)
        found = [ClusterCoverage(", ".join(options.file), examine_rules(facts, question))]
    else:
        found = _clusters(options, words, near, unused)
    if options.write is not None:
        _write(options.write, found)
    _show(options, found)
    return Exit.NO if _fails(options.fail_on, found) else Exit.OK


def _clusters(options: CoverageFlags, words: tuple[str, ...], near: float, unused: float) -> list[ClusterCoverage]:
    found: list[ClusterCoverage] = []
    contexts: list[str | None] = [*_names(options.context)]
    for context in contexts or [None]:
        cluster, facts = _facts(options, context)
        operations, target = _operations(options, facts)
        question = CoverageQuestion(time.time(), words, near, unused, operations, target)
        found.append(ClusterCoverage(context or cluster.server, examine(facts, question)))
    return found


def _refuse_mistaken(options: CoverageFlags) -> None:
    if len(set(options.fail_on or ())) > 1 and CoverageFailOn.NONE in (options.fail_on or ()):
        raise CliError("--fail-on none stands alone")
    if options.namespace and options.all_namespaces:
        raise CliError("-n and -A each say which namespaces: set one")
    if options.endpoint is not None and not options.openapi and not options.mcp:
        raise CliError("--endpoint says whose operations --openapi and --mcp list: set one of these")
    if options.fixes and options.output is not CoverageOutput.TABLE:
        raise CliError("--fixes prints YAML, and the other formats have the fixes in them: remove --fixes or -o")
    if options.file:
        _refuse_needing_cluster(options)


def _refuse_needing_cluster(options: CoverageFlags) -> None:
    refuse_cluster(options, "-f")
    refuse_stdin_twice(options.file or ())
    for flag, given in (("--all-namespaces", options.all_namespaces), ("--write", options.write is not None)):
        if given:
            raise CliError(f"-f does not use a cluster: remove {flag}")
    allowed = {*(one.value for one in RULES_ALONE), CoverageFailOn.ANY.value, CoverageFailOn.NONE.value}
    if needing := [one.value for one in options.fail_on or () if one.value not in allowed]:
        raise CliError(f"-f does not use a cluster: remove --fail-on {needing[0]}")


def _show(options: CoverageFlags, found: Sequence[ClusterCoverage]) -> None:
    match options.output:
        case CoverageOutput.JSON:
            sys.stdout.write(coverageview.document(found))
        case CoverageOutput.MARKDOWN:
            sys.stdout.write(coverageview.markdown(found))
        case CoverageOutput.HTML:
            sys.stdout.write(coveragepage.page(found))
        case _ if options.fixes:
            sys.stdout.write(coverageview.fixes(found))
        case _:
            coverageview.write_tables(found)
    for one in found:
        if one.report.facts.left_out:
            talk(f"note: left out unless you name them with -n: {', '.join(one.report.facts.left_out)}")
    talk(_OF_FILES if options.file else _NOT_SEEN)


def _names(given: list[str] | str | None) -> list[str]:
    """Return what a flag names, which may also stand before the command, where it is one."""
    return [given] if isinstance(given, str) else list(dict.fromkeys(given or ()))


def _facts(options: CoverageFlags, context: str | None) -> tuple[ClusterClient, ClusterFacts]:
    namespaces = _names(options.namespace)
    one = Flags(
        namespace=namespaces[0] if namespaces else None,
        context=context,
        kubeconfig=options.kubeconfig,
        as_user=options.as_user,
        as_group=options.as_group,
        request_timeout=options.request_timeout,
    )
    cluster = connect(one)
    asked = None if options.all_namespaces else namespaces or [cluster.namespace]
    return cluster, read_cluster(cluster, asked, options.installation)


def _operations(options: CoverageFlags, facts: ClusterFacts) -> tuple[tuple[ApiOperation, ...], EndpointKey | None]:
    if not options.openapi and not options.mcp:
        return (), None
    key = _target(options.endpoint, facts)
    endpoint = facts.endpoints[key]
    found = [one for source in options.openapi or () for one in read_openapi(source, endpoint)]
    found += [one for url in options.mcp or () for one in read_mcp(url, key)]
    return tuple(found), key


def _target(wanted: str | None, facts: ClusterFacts) -> EndpointKey:
    known = sorted(key for key in facts.endpoints if key[0] in facts.asked and wanted in {None, key[1]})
    if len(known) != 1:
        listed = ", ".join("/".join(key) for key in sorted(facts.endpoints) if key[0] in facts.asked) or "none"
        raise CliError(f"--openapi and --mcp are about one endpoint: choose it with -n and --endpoint ({listed})")
    return known[0]


def _words(name: str | None) -> tuple[str, ...]:
    if name is None:
        return default_words()
    try:
        text = Path(name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CliError(f"--words: {name} cannot be read: {error}") from error
    words = parse_words(text)
    if not words:
        raise CliError(f"--words: {name} has no word, so nothing would look irreversible")
    return words


def _fails(fail_on: Sequence[CoverageFailOn] | None, found: Sequence[ClusterCoverage]) -> bool:
    named = set(fail_on or (CoverageFailOn.ANY,))
    codes = {one.code.value for each in found for one in each.report.findings}
    return bool(codes) if CoverageFailOn.ANY in named else not codes.isdisjoint(one.value for one in named)


@dataclass(frozen=True, slots=True)
class _PolicyFile:
    name: str
    text: str


def _write(folder: str, found: Sequence[ClusterCoverage]) -> None:
    """Write first policies, each into a file of its own. Raises `CliError`, also where there is such a file already."""
    wanted: dict[str, _PolicyFile] = {}
    for one in found:
        for name, manifest in one.report.first_policies().items():
            text = coverageview.FIRST + yaml.safe_dump(manifest, sort_keys=False)
            _require_sound(text)
            # Clusters have the same namespaces and Services, and seldom the same accounts.
            place = f"{name}.yaml" if name not in wanted else f"{name}.{len(wanted)}.yaml"
            wanted[place.removesuffix(".yaml")] = _PolicyFile(place, text)
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        for file in wanted.values():
            with (Path(folder) / file.name).open("x", encoding="ascii") as opened:
                opened.write(file.text)
            talk(f"{Path(folder) / file.name}")
    except FileExistsError as error:
        raise CliError(f"--write: {error.filename} exists already: name an empty folder") from error
    except OSError as error:
        raise CliError(f"--write: {error.filename} cannot be written: {error.strerror or error}") from error


def _require_sound(text: str) -> None:
    """Raise an error if the engine finds a problem in a policy that is about to be written."""
    _, reports = policies.policy_set([("policy.yaml", policy_file(text.encode()))]).assembled()
    if reports:
        raise RuntimeError("; ".join(report.problem for report in reports))
