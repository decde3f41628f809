"""The guard of definitions: nobody adds one to the group or has one served by other names; everything else passes.

Holds: each account has every right of RBAC (`system:masters`), so what is refused is refused by the guard. Definitions
of the shipped kinds come, change and go under the guard in any order in which a tool applies or deletes them.
"""

import json
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Final

import pytest

from bailiwick_api.accounts import Installation
from bailiwick_api.kinds.meta import GROUP
from bailiwick_api.manifests import crds, guards
from bailiwick_api.manifests.crds import OUR_CRDS
from bailiwick_api.manifests.definitionguard import (
    CANARY_DEFINITION,
    CANARY_IS_NEVER_DEFINED,
    DEFINITIONS,
    FOREIGN,
    MISLEADING,
    OWN_NAMES,
    canary_definition,
)
from cluster.kept.test_attacks import ACCOUNTS, CRDS, Impersonator
from localcluster import build
from localcluster.controlplane import ControlPlane
from localcluster.rest import Answer, Rest
from support.callers import Callers
from support.guards.definitions import SECOND, OwnDefinition, other_definition, second_definition
from support.guards.sabotage import ADMISSION, Guards, change
from support.installation import accepted, apply, await_removed, await_served, install
from support.objects import Object, changed
from support.waits import until, until_ok

REFUSED: Final = f"ValidatingAdmissionPolicy '{DEFINITIONS}' with binding '{DEFINITIONS}' denied request: "
SECOND_PATH: Final = f"{CRDS}/{SECOND}.{GROUP}"
QUICK: Final = ("an administrator", "the API server", "the operator")


@pytest.fixture(params=QUICK)
def who(request: pytest.FixtureRequest, callers: Callers, installed: Installation) -> Impersonator:
    return Impersonator(callers.admin, ACCOUNTS[request.param])


def refusals(answers: Sequence[Answer]) -> list[str]:
    return [answer.message.partition(" is forbidden: ")[2] for answer in answers]


@pytest.mark.invariant(26)
def test_no_account_adds_a_definition_to_the_group(who: Impersonator) -> None:
    body = second_definition()
    converting = changed(
        body,
        "spec.conversion",
        {
            "strategy": "Webhook",
            "webhook": {"conversionReviewVersions": ["v1"], "clientConfig": {"url": "https://elsewhere.example"}},
        },
    )
    answers = [
        who("POST", CRDS, body),
        who("POST", CRDS, converting),
        who.patch("apply", SECOND_PATH, body, fieldManager="mallory", force="true"),
    ]
    assert refusals(answers) == [REFUSED + FOREIGN] * 3


@pytest.mark.invariant(26)
@pytest.mark.parametrize("name", OUR_CRDS)
@pytest.mark.parametrize("field", ["plural", "singular", "kind", "listKind", "shortNames"])
def test_no_account_gives_a_definition_of_the_group_other_names(name: str, field: str, who: Impersonator) -> None:
    path = f"{CRDS}/{name}/status"
    values: tuple[object, ...] = (["foos"],) if field == "shortNames" else ("foos", "Foos", "approvalgrants", "", None)
    answers = []
    for value in values:
        names = {**accepted(who("GET", path))["status"]["acceptedNames"], field: value}
        if names == accepted(who("GET", path))["spec"]["names"]:
            continue
        answers += [
            who.patch("merge", path, {"status": {"acceptedNames": {field: value}}}),
            who("PUT", path, changed(accepted(who("GET", path)), "status.acceptedNames", names)),
        ]
    # Without a plural or kind the API server refuses it for its own reasons first, or the guard does.
    assert set(refusals(answers)) <= {REFUSED + OWN_NAMES, ""}
    assert not any(answer.ok for answer in answers)
    assert not who.patch("merge", path, {"status": {"acceptedNames": None}}).ok


def test_the_canary_is_never_stored(who: Impersonator) -> None:
    body, path = canary_definition(), f"{CRDS}/{CANARY_DEFINITION}"
    answers = [who("POST", CRDS, body), who.patch("apply", path, body, fieldManager="x", force="true")]
    assert refusals(answers) == [REFUSED + CANARY_IS_NEVER_DEFINED] * 2


def test_definitions_of_other_groups_are_theirs(callers: Callers, installed: Installation) -> None:
    body = second_definition()
    body["spec"]["group"] = "beside.bailiwick.dev"
    body["metadata"]["name"] = path = f"{SECOND}.beside.bailiwick.dev"
    path = f"{CRDS}/{path}"
    accepted(callers.admin.create(body))
    until(lambda: accepted(callers.admin.get(path))["status"].get("acceptedNames"), "its names are accepted")
    accepted(callers.admin.patch(path, {"status": {"acceptedNames": {"shortNames": ["x"]}}}, "merge", "status"))
    accepted(callers.admin.delete(path))


@pytest.fixture(scope="module")
def alone() -> Iterator[Callers]:
    """A control plane of this module alone, on which definitions of ours come and go."""
    with ControlPlane(build.ensure()) as plane, Callers(plane.cluster) as callers:
        yield callers


def shipped_definitions() -> list[Object]:
    return [
        crds.endpoint_policies(),
        crds.approval_grants(),
        crds.endpoint_data(),
        crds.endpoint_histories(),
        crds.subject_revocations(),
    ]


def await_guarded(admin: Rest) -> None:
    until(lambda: REFUSED in admin.create(second_definition(), dry_run=True).message, "the guard is in force")


def is_served_as(admin: Rest, name: str, short_names: list[str] | None) -> bool:
    status = accepted(admin.get(f"{CRDS}/{name}"))["status"]
    return bool(status["acceptedNames"].get("shortNames") == short_names)


def lengthened(definition: Object) -> Object:
    """Return a definition with a short name more."""
    names = definition["spec"]["names"]
    return changed(definition, "spec.names.shortNames", [*names.get("shortNames", ()), f"x{names['singular']}"])


class TestUpgradesAndRemoval:
    def test_definitions_are_installed_upgraded_and_removed_under_the_guard(self, alone: Callers) -> None:
        admin = alone.admin
        install(alone, Installation())
        await_guarded(admin)
        # What an upgrade writes: other labels, another short name, by apply and by replacement.
        for body in shipped_definitions():
            name = body["metadata"]["name"]
            accepted(
                admin.apply(changed(body, "metadata.labels", {"helm.sh/chart": "bailiwick-9"}), "argocd", force=True)
            )
            longer = lengthened(accepted(admin.get(f"{CRDS}/{name}")))
            accepted(admin.replace(longer))
            wanted = longer["spec"]["names"]["shortNames"]
            until(partial(is_served_as, admin, name, wanted), "the API server serves the longer names")
            accepted(admin.replace(changed(accepted(admin.get(f"{CRDS}/{name}")), "spec", body["spec"])))
            usual = accepted(admin.get(f"{CRDS}/{name}"))["spec"]["names"].get("shortNames")
            until(partial(is_served_as, admin, name, usual), "the API server serves the usual names")
        for name in OUR_CRDS:
            accepted(admin.delete(f"{CRDS}/{name}"))
        await_removed(admin, *OUR_CRDS)
        # The guard is there before the definitions, as some tools order them.
        apply(admin, shipped_definitions())

    def test_a_version_with_another_kind_is_let_in_by_its_own_guard(self, alone: Callers) -> None:
        admin = alone.admin
        install(alone, Installation())
        await_guarded(admin)
        body = other_definition(SECOND, "Evil")
        assert refusals([admin.create(body)]) == [REFUSED + FOREIGN]
        policy = next(one for one in guards.guards(Installation()) if one["metadata"]["name"] == DEFINITIONS)
        later = json.loads(json.dumps(policy).replace(f"'{OUR_CRDS[0]}'", f"'{SECOND}.{GROUP}', '{OUR_CRDS[0]}'"))
        path = f"{ADMISSION}/validatingadmissionpolicies/{DEFINITIONS}"
        change(admin, path, {"validations": later["spec"]["validations"]})
        until_ok(lambda: admin.create(body), "the later guard knows its kind")
        await_served(admin, body)
        # The older version does not know the kind any more, and it can still go.
        change(admin, path, {"validations": policy["spec"]["validations"]})
        longer = {"spec": {"names": {"shortNames": ["x"]}}}
        until(lambda: FOREIGN in admin.patch(SECOND_PATH, longer, dry_run=True).message, "the older guard is in force")
        accepted(admin.delete(SECOND_PATH))
        await_removed(admin, f"{SECOND}.{GROUP}")


@pytest.mark.invariant(26)
def test_a_definition_that_led_elsewhere_before_the_guard_is_repaired_before_it_goes(alone: Callers) -> None:
    admin = alone.admin
    install(alone, Installation())
    await_guarded(admin)
    lifted = Guards(alone, Installation())
    lifted.loosen(DEFINITIONS)
    until_ok(lambda: admin.create(second_definition(), dry_run=True), "no guard looks at definitions", 30)
    definition = OwnDefinition(admin)
    definition.point_at_grants()
    lifted.tighten(DEFINITIONS)
    await_guarded(admin)
    assert refusals([definition.delete(), definition.change_status(), definition.redirect()]) == [
        REFUSED + MISLEADING,
        REFUSED + OWN_NAMES,
        REFUSED + OWN_NAMES,
    ]
    accepted(definition.repair())
    definition.restore()


@pytest.mark.invariant(26)
def test_a_definition_of_ours_is_not_made_to_lead_elsewhere(alone: Callers) -> None:
    install(alone, Installation())
    await_guarded(alone.admin)
    definition = OwnDefinition(alone.admin)
    definition.create_anew()
    assert refusals([definition.redirect(), definition.redirect("", "")]) == [REFUSED + OWN_NAMES] * 2
    definition.restore()
