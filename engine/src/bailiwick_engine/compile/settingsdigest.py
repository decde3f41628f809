"""Settings digest: what an endpoint's settings make of an approval, so that a grant dies with any change of that.

Standing: over `digestfields`, for `settings`; `CompiledSettings` joins it with the digest of a rule. Holds: every
setting counts but for the exceptions named in `digestfields`. Of HTTP routes those count that come to the action, and
those that a call could match beside one of them, since the more specific one applies.
"""

import hashlib
from collections.abc import Collection, Sequence
from typing import NamedTuple

from bailiwick_api.kinds.endpointpolicy import EndpointSettings, Identity
from bailiwick_api.kinds.httproutes import HttpRoute
from bailiwick_engine.call import Json
from bailiwick_engine.canonicaljson import canonical
from bailiwick_engine.compile.digestfields import meaning
from bailiwick_engine.compile.routes import overlap
from bailiwick_engine.keys import Key
from bailiwick_engine.policy.model import SettingsMeaning
from bailiwick_engine.policy.routes import CompiledRoute, RouteTable
from bailiwick_engine.steps import Steps


class SettingsReads(NamedTuple):
    """What the conditions of a ceiling and of histories reach: variables by name and text, data by name and object."""

    variables: Collection[tuple[str, str]]
    data: Collection[tuple[str, str]]


def settings_meaning(
    settings: EndpointSettings,
    identity: Identity,
    principals: Collection[Key],
    reads: SettingsReads,
    table: RouteTable | None,
) -> Steps[SettingsMeaning]:
    """Return the digests, a route or an entry of the ceiling a step: all of them take longer than others can wait.

    `identity` is that of the settings with its defaults written out.
    """
    ceiling: list[str] = []
    for entry in settings.delegation.ceiling if settings.delegation else ():
        ceiling.append(_hashed(meaning(entry)))
        yield
    said: dict[str, Json] = {
        "settings": meaning(settings.model_copy(update={"identity": identity})),
        "ceiling": sorted(ceiling),
        "principals": sorted(principals),
        "variables": sorted([name, text] for name, text in reads.variables),
        "data": sorted([name, source] for name, source in reads.data),
    }
    routes = (settings.http.routes if settings.http else None) or []
    digests = yield from _route_digests(routes, table.routes if table else ())
    actions = [route.action for route in routes]
    return SettingsMeaning(_hashed(said), tuple(sorted(zip(actions, digests, strict=True))))


def _route_digests(routes: Sequence[HttpRoute], compiled: Sequence[CompiledRoute]) -> Steps[list[str]]:
    """Return a digest of each route and of those with which it competes."""
    own: list[str] = []
    for route in routes:
        own.append(_hashed(meaning(route)))
        yield
    found: list[str] = []
    for place, one in enumerate(compiled):
        beside = [own[at] for at, other in enumerate(compiled) if at != place and overlap(one, other)]
        found.append(_hashed([own[place], sorted(beside)]))
        yield
    return found


def _hashed(said: Json) -> str:
    return hashlib.sha256(canonical(said)).hexdigest()
