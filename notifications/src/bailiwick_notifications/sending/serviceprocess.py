"""The process that calls one service through Apprise, once: `python -m bailiwick_notifications.sending.serviceprocess`.

Standing: started by `servicecall`, which gives it a request on stdin and kills it when it takes too long. Holds: it is
confined before it reads a URL; the URL is in no argument, no file and no log; what it says is one line of JSON.
"""

import json
import re
import sys
from typing import Any, Final

import apprise

from bailiwick_notifications.addresses import AddressRule, networks
from bailiwick_notifications.sending.confinement import Confinement

_HARMLESS: Final = "json://localhost/"
_STATUS: Final = re.compile(r"\berror=([1-5][0-9]{2})\b")


def load_services() -> apprise.AppriseAsset:
    """Load every service, so that their files can be out of reach, and return how they are to be used."""
    asset = apprise.AppriseAsset(
        storage_mode=apprise.PersistentStoreMode.MEMORY,
        result_log_disk_size=0,
        allow_templates=False,
        http_redirects=False,
        language="en",
        pgp_autogen=False,
        pem_autogen=False,
        app_id="Bailiwick",
        app_desc="Bailiwick",
        app_url="",
        default_service_retry=0,
    )
    apprise.Apprise.instantiate(_HARMLESS, asset=asset)
    return asset


def main() -> int:
    """Send, and say what came of it."""
    # What is imported from here on is read and not written.
    sys.dont_write_bytecode = True
    asset = load_services()
    request: dict[str, Any] = json.loads(sys.stdin.buffer.read())
    rule = AddressRule(request["public_only"], networks(request["allowed"]), networks(request["refused"]))
    confinement = Confinement(rule)
    confinement.begin()
    said = _send(request, asset) | {"refused": confinement.refused[:1]}
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()
    return 0


def _send(request: dict[str, Any], asset: apprise.AppriseAsset) -> dict[str, object]:
    try:
        service = apprise.Apprise.instantiate(request["url"], asset=asset)
        if not isinstance(service, apprise.NotifyBase):
            return {"delivered": False, "understood": False}
        courier = apprise.Apprise(asset=asset)
        courier.add(service)
        result = courier.notify(body=request["body"], title=request["title"], body_format=apprise.NotifyFormat.TEXT)
        # Of the log the status alone: the rest may hold what is secret.
        found = [match for entry in result.logs() if (match := _STATUS.search(str(entry)))]
        status = int(found[-1].group(1)) if found else None
    except Exception as error:  # noqa: BLE001 - whatever a plugin raises is a failure to deliver
        return {"delivered": False, "understood": True, "error": type(error).__name__}
    return {"delivered": bool(result), "understood": True, "status": status}


if __name__ == "__main__":
    sys.exit(main())
