"""Endpoint settings, compiled: who may ask, how subjects are proven, what delegation may come to and what is counted.

Holds: settings that do not compile deny the endpoint, so nothing here is ever half taken.
"""

from collections.abc import Mapping

from bailiwick_api.kinds.endpointpolicy import (
    Delegation,
    EndpointSettings,
    Identity,
)
from bailiwick_engine.cel.conditions import Scope
from bailiwick_engine.compile.conditions import compile_conditions
from bailiwick_engine.compile.histories import compile_histories, session_path
from bailiwick_engine.compile.routes import compile_routes
from bailiwick_engine.compile.settingsdigest import SettingsReads, settings_meaning
from bailiwick_engine.keys import CLUSTER, Key
from bailiwick_engine.names import NameSet
from bailiwick_engine.policy.dimensions.resource import compile_resources
from bailiwick_engine.policy.model import (
    CompiledCeiling,
    CompiledDelegation,
    CompiledSettings,
    PolicyRef,
)
from bailiwick_engine.problem import Problem
from bailiwick_engine.steps import Steps

_PATH = "spec.endpointSettings"


def compile_settings(
    ref: PolicyRef,
    endpoint: str,
    settings: EndpointSettings,
    scope: Scope,
    subjects: Mapping[str, frozenset[Key]],
) -> Steps[CompiledSettings | tuple[Problem, ...]]:
    """Compile an endpoint's settings, or return the problems. `subjects` are the keys of the carrier's, by name."""
    written = settings.identity or Identity()
    identity = written.model_copy(
        update={
            "audiences": written.audiences or [f"{endpoint}.{ref.namespace}"],
            "issuers": written.issuers or [CLUSTER],
        }
    )
    delegation = None
    if settings.delegation is not None:
        compiled = yield from _delegation(settings.delegation, scope, subjects)
        if isinstance(compiled, tuple):
            return compiled
        delegation = compiled
    routes = None
    if settings.http is not None:
        table = compile_routes(settings.http)
        yield
        if isinstance(table, tuple):
            return table
        routes = table
    session = session_path(settings.session)
    histories, problems = yield from compile_histories(settings.history, session, scope, f"{_PATH}.history")
    if problems:
        return tuple(problems)
    ceiling = delegation.ceiling if delegation else ()
    expressions = [
        *(one.expression for entry in ceiling for one in entry.conditions),
        *(history.when.expression for history in histories if history.when is not None),
    ]
    read = SettingsReads(scope.used_by(expressions), scope.sources_of(expressions))
    principals = delegation.principals if delegation else frozenset[Key]()
    meaning = yield from settings_meaning(settings, identity, principals, read, routes)
    return CompiledSettings(
        carrier=ref,
        enforcers=frozenset(enforcer.username for enforcer in settings.enforcers),
        audiences=frozenset(identity.audiences or ()),
        asserted=identity.verification == "Asserted",
        issuers=frozenset(identity.issuers or ()),
        delegation=delegation,
        routes=routes,
        keep=frozenset(settings.record.keep if settings.record else ()),
        meaning=meaning,
        histories=histories,
        session=session,
    )


def _delegation(
    delegation: Delegation, scope: Scope, subjects: Mapping[str, frozenset[Key]]
) -> Steps[CompiledDelegation | tuple[Problem, ...]]:
    entries: list[CompiledCeiling] = []
    problems: list[Problem] = []
    for index, entry in enumerate(delegation.ceiling):
        conditions, found = yield from compile_conditions(
            entry.conditions, scope, f"{_PATH}.delegation.ceiling[{index}]"
        )
        problems += found
        resources = compile_resources(entry.resources)
        entries.append(CompiledCeiling(actions=NameSet.of(entry.actions), resources=resources, conditions=conditions))
    if problems:
        return tuple(problems)
    return CompiledDelegation(
        max_depth=delegation.max_depth,
        principals=frozenset(key for name in delegation.principals for key in subjects.get(name, ())),
        ceiling=tuple(entries),
        entitled=delegation.principal_must_be_entitled,
        scope=scope,
    )
