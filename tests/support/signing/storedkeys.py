"""The reviewers' keys as the cluster stores them: a ConfigMap of these people's keys, which registrars signed."""

from pathlib import Path
from typing import Final

from bailiwick_governance.signing.enrolment import enrolment_line
from bailiwick_governance.signing.passkeys import passkey_key
from bailiwick_kube.paths import CORE, object_path
from demo.softpasskey import SoftPasskey
from localcluster.rest import Rest
from support.installation import accepted
from support.namespaces import Roles
from support.objects import Object
from support.signing.sshkeygen import signed_by

NAME: Final = "bailiwick-reviewers"
HEADER: Final = "# serial: {serial}\n# expires: 2100-01-01T00:00:00Z\n# installation: test\n"


def passkey_line(person: str, passkey: SoftPasskey) -> str:
    """Return the line that enrols a passkey."""
    return enrolment_line(person, passkey_key(passkey.spki, passkey.rp_id), "passkey")


def config_map(*lines: str, registrar: Path, serial: int = 1, namespace: str = "bailiwick-system") -> Object:
    """Return the ConfigMap of these lines, signed by a registrar's key."""
    text = HEADER.format(serial=serial) + "".join(f"{line}\n" for line in lines)
    data = {"reviewers": text, "reviewers.sig": signed_by(registrar, "reviewers@bailiwick.dev", text.encode())}
    metadata = {"namespace": namespace, "name": NAME}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def apply(admin: Rest, config_map: Object) -> None:
    """Write the entries of the ConfigMap, which the installation has."""
    metadata = config_map["metadata"]
    path = object_path(CORE, "configmaps", metadata["namespace"], metadata["name"])
    stored = admin.get(path)
    if stored.ok:
        accepted(admin.patch(stored.body, {"data": config_map["data"]}, "merge"))
    else:
        accepted(admin.create(config_map))


def reader_role(admin: Rest, namespace: str, who: str) -> None:
    """Let somebody read the reviewers' keys, as the how-to says."""
    rules = [{"apiGroups": [""], "resources": ["configmaps"], "resourceNames": [NAME], "verbs": ["get"]}]
    Roles(admin, namespace).give(rules, who)
