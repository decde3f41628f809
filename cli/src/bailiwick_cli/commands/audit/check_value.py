"""`audit check-value`: whether the seal in a record is that of a value, for somebody who has the value and the key.

Holds: neither the key nor a value is printed; what cannot be compared is an error, and never a yes or a no.
"""

import hmac
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from bailiwick_cli import output
from bailiwick_cli.commands.audit.recordline import record_line
from bailiwick_cli.errors import CliError, Exit
from bailiwick_cli.offline import refuse_cluster, refuse_namespace
from bailiwick_cli.options import LogOutput, Output
from bailiwick_cli.verbs.auditverbs import CheckValueFlags
from bailiwick_engine.approval.display import visible
from bailiwick_evidence.audit.claims import WitnessBook
from bailiwick_evidence.audit.lines import parse_line
from bailiwick_evidence.audit.logaudit import LogAudit
from bailiwick_evidence.seal import KEY_BYTES, key_id, key_in, seal_of
from bailiwick_governance.arguments import json_or_text
from bailiwick_governance.display import talk

_SAID: Final = {True: "the record has the seal of this value", False: "the record has the seal of another value"}


def run(options: CheckValueFlags) -> int:
    """Compare each value that was given."""
    refuse_cluster(options, "audit check-value")
    refuse_namespace(options, "audit check-value")
    key = _key(options.hmac_key)
    line = record_line(options.files, LogAudit(WitnessBook(())), options.evaluation_id, options.item)
    members = parse_line(line.text).get("attributes")
    attributes: Mapping[str, Any] = members if isinstance(members, dict) else {}
    given = _parse_values(attributes, options.value)
    found = {name: _same(key, name, attributes[name], value) for name, value in given.items()}
    if options.output is LogOutput.JSON:
        body = {
            "apiVersion": "cli.bailiwick.dev/v1alpha1",
            "kind": "SealCheck",
            "evaluationId": options.evaluation_id,
            "line": {"chain": line.link.id, "seq": line.link.seq},
            "values": [{"name": name, "same": same} for name, same in found.items()],
        }
        sys.stdout.write(output.document(body, Output.JSON))
    else:
        sys.stdout.writelines(f"{visible(name)}: {_SAID[same]}\n" for name, same in found.items())
    talk(f"line {line.link.seq} of chain {line.link.id}; run `audit verify` to see whether the line was changed")
    return Exit.OK if all(found.values()) else Exit.NO


def _key(name: str) -> bytes:
    try:
        key = key_in(Path(name).read_bytes())
    except OSError as error:
        raise CliError(f"--hmac-key: {name} cannot be read: {error.strerror or error}") from error
    if key is None:
        raise CliError(f"--hmac-key: {name} holds no key: a key has {KEY_BYTES} bytes or more")
    return key


def _parse_values(attributes: Mapping[str, Any], texts: Sequence[str]) -> dict[str, Any]:
    """Read `NAME=VALUE`. A name may hold an equals sign, so it is one of the record. Raises `CliError`."""
    found: dict[str, Any] = {}
    for text in texts:
        # Of two names that fit, the longer one is meant: the other's value would begin in the middle of a name.
        name = max((name for name in attributes if text.startswith(f"{name}=")), key=len, default=None)
        if name is None:
            sealed = ", ".join(name for name, held in attributes.items() if _is_sealed(held)) or "none"
            # What stands behind the name is not for anybody's screen.
            asked = text.partition("=")[0]
            raise CliError(
                f"--value: the record has no attribute {visible(asked)}; write it as NAME=VALUE."
                f" The sealed attributes are: {visible(sealed)}"
            )
        if name in found:
            raise CliError(f"--value: {visible(name)} is set twice")
        found[name] = json_or_text(text[len(name) + 1 :])
    return found


def _same(key: bytes, name: str, held: object, value: object) -> bool:
    """Tell whether a seal is that of a value. Raises `CliError` where that cannot be known."""
    if not _is_sealed(held):
        raise CliError(f"{visible(name)} is not sealed: the record holds its value, {visible(json.dumps(held))}")
    said = held.get("hmac") if isinstance(held, dict) else None
    if not isinstance(said, str):
        raise CliError(f"{visible(name)} was sealed without a key, so its value cannot be checked")
    by, _, seal = said.partition(":")
    if by != key_id(key):
        raise CliError(f"{visible(name)} was sealed with the key {visible(by)}, and --hmac-key is {key_id(key)}")
    made = seal_of(key, name, value)
    if made is None:
        raise CliError(f"--value: the value of {visible(name)} has no canonical form, so it has no seal")
    return hmac.compare_digest(made.encode(), seal.encode())


def _is_sealed(held: object) -> bool:
    return isinstance(held, dict) and bool(held)
