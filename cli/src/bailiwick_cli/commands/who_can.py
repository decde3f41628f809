"""`who-can`: who may do something, given what, with whose approval; of a cluster also who could change that.

Holds: none who may is left out in silence: what was not looked at is named, and ends with exit code 2.
"""

import sys

from bailiwick_cli import output
from bailiwick_cli.commands.what_can import exit_code, remarks
from bailiwick_cli.options import ReportOutput
from bailiwick_cli.routes import RouteReport, indirect_routes
from bailiwick_cli.sources.policysources import source_of
from bailiwick_cli.sources.revocations import read_revocations
from bailiwick_cli.verbs.askverbs import WhoCanFlags
from bailiwick_governance import arguments
from bailiwick_governance.display import talk
from bailiwick_governance.views.rightsview import RightsView
from bailiwick_regions.rights.circumstances import CallPlace
from bailiwick_regions.rights.questions import who_can


def run(options: WhoCanFlags) -> int:
    """Ask and tell."""
    kind, name = arguments.resource(options.resource)
    properties = arguments.values(options.properties, "--property")
    source = source_of(options)
    place = CallPlace(source.key, options.action, kind, name, properties, options.intent)
    revocations = read_revocations(source.cluster)
    answer = who_can(place, source.endpoint, source.now, revocations=revocations)
    routes = RouteReport()
    if source.cluster is not None and not options.direct:
        routes = indirect_routes(source.cluster, answer.rows, source.policies)
    asked = {
        "namespace": source.key[0],
        "endpoint": source.key[1],
        "action": options.action,
        "resource": {"type": kind, "id": name, **({"properties": properties} if properties else {})},
    }
    view = RightsView("WhoCan", asked, (("SUBJECT", "subject"),), answer.rows, source.place)
    if options.output is ReportOutput.JSON:
        more = {"indirect": routes.objects()} if source.cluster is not None else {}
        sys.stdout.write(view.document(**remarks(answer, source), **more))
    elif options.output is ReportOutput.MARKDOWN:
        sys.stdout.write(view.markdown() + routes.markdown())
    else:
        if answer.rows:
            output.Table(view.headers()).add(list(view.table()))
        routes.write()
    for note in routes.notes:
        talk(f"note: {note}")
    return exit_code(answer, source, revocations, f"no subject can {options.action} on {options.resource}")
