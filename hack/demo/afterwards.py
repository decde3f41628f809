"""What there is to do with a demo that is kept: review a request that waits, in a browser.

Standing: after the cases; both demos say it.
"""

from http import HTTPStatus
from pathlib import Path
from shlex import quote
from typing import Final

from demo.accounts import Call
from demo.ground import KUBECTL, Ground
from demo.narrator import Narrator
from demo.s1 import NotAsToldError
from demo.stack import AGENT_ACCOUNT

_PATH: Final = "/customers/41/export"
_EXPORT: Final = {"fields": ["name", "email"], "format": "csv"}
_REASON: Final = "the yearly report needs it"


def leave_waiting(ground: Ground, tell: Narrator) -> None:
    """Have one request wait for a review. Raises `NotAsToldError`."""
    tell.chapter("A request for you to review")
    tell.step("The agent asks once more to export customer 41. Nobody reviews that.")
    tell.command(f"POST {_PATH}  # X-Approval-Reason: {_REASON}")
    call = Call("POST", ground.crm_url + _PATH, _EXPORT, {"X-Approval-Reason": _REASON})
    (answer,) = ground.acting.send(AGENT_ACCOUNT, [call])
    tell.answer(f"{answer.status} {answer.body}")
    if answer.status != HTTPStatus.ACCEPTED:
        raise NotAsToldError(f"the status should be {HTTPStatus.ACCEPTED:d}, but is {answer.status}")


def how_to_review(kubeconfig: Path, tell: Narrator) -> None:
    """Say with which commands carol, an owner, reviews it in a browser with her own kubeconfig."""
    tell.answer("Review as carol, an owner, in your browser:")
    # kubectl finds the plugin on the PATH.
    tell.command(f"export PATH={quote(str(KUBECTL.parent))}:$PATH")
    tell.command(f"kubectl bailiwick console -n crm --kubeconfig {quote(str(kubeconfig))}")
