"""What the API server says of policies and data in files, by a dry run of a server-side apply: nothing is changed.

Standing: above `filefindings`. Holds: an object that could not be asked about is an error of the command, never a pass;
a document with an error of its own is not asked about, since it is refused as it is.
"""

from collections.abc import Iterable, Iterator
from http import HTTPStatus
from typing import Any, Final

from bailiwick_api.documents.positions import Document
from bailiwick_api.kinds.meta import API_VERSION
from bailiwick_cli.errors import CliError
from bailiwick_cli.findings.filefindings import FileFinding, FindingSeverity, place_problem
from bailiwick_engine.approval.display import visible
from bailiwick_engine.compile.manifests import objects
from bailiwick_engine.problem import Problem
from bailiwick_governance.apiserver.cluster import ClusterClient
from bailiwick_governance.errors import ApiError
from bailiwick_governance.sources.policies import PolicySet
from bailiwick_kube.paths import data_path, policies_path

_PATHS: Final = {"EndpointPolicy": policies_path, "EndpointData": data_path}
# It cannot be an object of its kind, or is too big to be one.
_REFUSALS: Final = {HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.REQUEST_ENTITY_TOO_LARGE}
_DENIED: Final = "denied the request"
"""What the API server says where an admission policy or webhook refuses."""


def server_findings(found: PolicySet, known: Iterable[FileFinding], cluster: ClusterClient) -> Iterator[FileFinding]:
    """Yield what the API server refuses. `known`: what is wrong here already. Raises `CliError`."""
    places = [one.placed for one in known if one.severity is FindingSeverity.ERROR]
    wrong = {_holding(found, place[0], place[1]) for place in places if place is not None}
    for label, document in found.documents:
        if document.flaws or not document.complete or id(document) in wrong:
            continue
        for path, obj in objects(document):
            if isinstance(obj, dict) and obj.get("apiVersion") == API_VERSION and obj.get("kind") in _PATHS:
                yield from _ask(cluster, label, document, path, obj)


def _holding(found: PolicySet, file: str, line: int) -> int | None:
    """Return the document, by its identity, that a line is of."""
    before = [one for label, one in found.documents if label == file and one.start.line <= line]
    return id(max(before, key=lambda one: one.start.line)) if before else None


def _ask(
    cluster: ClusterClient, label: str, document: Document, path: str, obj: dict[str, Any]
) -> Iterator[FileFinding]:
    metadata = obj["metadata"]
    try:
        cluster.try_apply(_PATHS[obj["kind"]](metadata["namespace"], metadata["name"]), obj)
    except ApiError as error:
        if not _is_refusal(error):
            where = place_problem(label, document, path, Problem("metadata.name", "the API server was not asked"))
            raise CliError(f"{where}: {error}") from error
        for field, message in error.causes or (("", str(error)),):
            problem = place_problem(label, document, path, Problem(field, visible(message)))
            yield FileFinding(FindingSeverity.ERROR, problem, by_server=True)


def _is_refusal(error: ApiError) -> bool:
    """Tell whether an answer is about the object, and not about the person, or about a server that is not well."""
    if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return False
    missing = error.status == HTTPStatus.NOT_FOUND and str(error).startswith("namespaces ")
    return error.status in _REFUSALS or missing or _DENIED in str(error)
