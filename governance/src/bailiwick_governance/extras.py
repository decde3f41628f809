"""What a task stands on beside the plugin itself, and what to install where it is missing.

Holds: a task that lacks something says so before it does anything.
"""

from importlib.util import find_spec

from bailiwick_api.distribution import DISTRIBUTION
from bailiwick_governance.errors import UserError


def require(what: str, modules: tuple[str, ...], extras: str) -> None:
    """Raise `UserError` where one of these modules is not installed. `what` needs them; `extras` bring them."""
    missing = [name for name in modules if find_spec(name) is None]
    if missing:
        raise UserError(
            f"{what} needs {' and '.join(missing)}, which this installation lacks: install {DISTRIBUTION}[{extras}]"
            f" from the release or the checkout that it came from, as in `pip install '.[{extras}]'`"
        )
