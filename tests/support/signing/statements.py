"""The statement of a stored review, by the text of its definition: no code of ours makes it here."""

import hashlib
from typing import Any

import rfc8785

from support.objects import Object


def stored_statement(grant: Object, review: Object) -> bytes:
    """Return the bytes that a review of a grant signs."""
    asked: Any = grant["spec"]["request"]
    if grant["spec"]["request"]["origin"] == "PreApproved":
        asked = {"request": asked, "resolved": grant["status"]["resolved"]}
    statement = {
        "_type": "https://bailiwick.dev/review/v1",
        "namespace": grant["metadata"]["namespace"],
        "grant": grant["metadata"]["name"],
        "uid": grant["metadata"]["uid"],
        "request": f"sha256:{hashlib.sha256(rfc8785.dumps(asked)).hexdigest()}",
        "binding": review["binding"],
        "step": review["step"],
        "decision": review["decision"],
        "reviewer": review["reviewer"],
    }
    if "group" in review:
        statement["group"] = review["group"]
    if "reason" in review:
        statement["reason"] = f"sha256:{hashlib.sha256(review['reason'].encode()).hexdigest()}"
    return rfc8785.dumps(statement)
