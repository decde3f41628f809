"""Whose keys are enrolled, read as the person: the ConfigMap of reviewers' keys, judged by the registrars we know.

Holds: what cannot be read, or that no registrar we know has signed, is said to be that, and why. What counts in the
cluster, its own processes decide.
"""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from bailiwick_api.accounts import REVIEWERS_CONFIG_MAP
from bailiwick_engine.approval.display import visible
from bailiwick_engine.signatures.publickey import PublicKey
from bailiwick_engine.signatures.registrars import (
    Registrars,
    RegistrarsError,
    ReviewerKeyFile,
    ReviewerTrust,
    judge_config_map,
)
from bailiwick_engine.signatures.reviewerkeys import ReviewerKeysError, parse_reviewer_keys
from bailiwick_governance.apiserver.cluster import ClusterClient
from bailiwick_governance.errors import ApiError
from bailiwick_kube.paths import CORE, object_path


@dataclass(frozen=True, slots=True)
class EnrolledKeys:
    """Whose keys count, as far as is known here. `judged`: registrars whom this process was given signed the file."""

    trust: ReviewerTrust
    judged: bool = False

    def keys_of(self, reviewer: str) -> tuple[PublicKey, ...]:
        """Return the keys of a person, whether or not they count now."""
        entries = () if self.trust.keys is None else self.trust.keys.entries
        return tuple(one.key for one in entries if one.principal == reviewer)


UNREAD_KEYS: Final = EnrolledKeys(ReviewerTrust(problem="they were not read", origins=None))


def read_enrolled_keys(cluster: ClusterClient, installation: str, registrars: Registrars) -> EnrolledKeys:
    """Read the keys. Waits for the API server; raises `UserError` where it does not answer."""
    where = f"ConfigMap {REVIEWERS_CONFIG_MAP} in {visible(installation)}"
    try:
        found = cluster.get(object_path(CORE, "configmaps", installation, REVIEWERS_CONFIG_MAP))
    except ApiError as error:
        if error.status == HTTPStatus.UNAUTHORIZED:
            raise
        return EnrolledKeys(ReviewerTrust(problem=_why(error, where), origins=None))
    if registrars:
        return EnrolledKeys(judge_config_map(found, registrars)[0], judged=True)
    try:
        keys = parse_reviewer_keys(ReviewerKeyFile.from_config_map(found).text)
    except (RegistrarsError, ReviewerKeysError) as error:
        return EnrolledKeys(ReviewerTrust(problem=f"{where}: {error}", origins=None))
    return EnrolledKeys(ReviewerTrust(keys, "", None))


def _why(error: ApiError, where: str) -> str:
    match error.status:
        case HTTPStatus.FORBIDDEN:
            return f"you may not read {where}"
        case HTTPStatus.NOT_FOUND:
            return f"there is no {where}"
        case _:
            return f"{where}: {error}"
