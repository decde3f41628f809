"""The canonical texts of policies in files, by which records are derived again.

Standing: under `derivations`. Holds: a policy that cannot be read has no text; nothing is compiled here.
"""

from collections.abc import Iterable

from bailiwick_api.documents.policyfiles import File
from bailiwick_engine.compile import manifests
from bailiwick_engine.compile.policies import parse_spec
from bailiwick_engine.compile.policydigest import policy_digest, policy_text
from bailiwick_engine.steps import whole
from bailiwick_evidence.derive.texts import PolicyTexts
from bailiwick_governance.errors import UserError
from bailiwick_governance.sources.policies import files_of

_KIND = "EndpointPolicy"


def read_texts(name: str) -> PolicyTexts:
    """Read the policies of a file or folder. Raises `UserError`."""
    texts = PolicyTexts()
    if not add_files(texts, files_of(name)):
        raise UserError(f"{name}: no {_KIND} found")
    return texts


def add_files(texts: PolicyTexts, files: Iterable[tuple[str, File]]) -> int:
    """Add the policies of files, and return how many there are. Raises `UserError`."""
    count = 0
    for label, file in files:
        if file.unreadable:
            raise UserError(f"{label} cannot be read: {file.unreadable}")
        for _, raw in (one for document in manifests.parse(file.content) for one in manifests.objects(document)):
            if not isinstance(raw, dict) or raw.get("kind") != _KIND:
                continue
            spec = parse_spec(raw.get("spec"))
            if not isinstance(spec, tuple):
                texts.add(whole(policy_digest(spec)), whole(policy_text(spec)))
                count += 1
    return count
