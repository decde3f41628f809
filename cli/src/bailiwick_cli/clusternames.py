"""What a cluster is called, as a flag says. Standing: under the commands. Holds: nothing else than a plain name."""

import re

from bailiwick_api.accounts import CLUSTER_NAME
from bailiwick_cli.errors import CliError


def cluster_name(given: str | None) -> str | None:
    """Return the name of --cluster-name; None where it has none. Raises `CliError`."""
    if given and not re.fullmatch(CLUSTER_NAME, given):
        raise CliError("--cluster-name must be letters, digits, dots, dashes and underscores, such as production-east")
    return given or None
