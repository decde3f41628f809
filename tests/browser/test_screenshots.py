"""The pictures of the documentation, of the demo's own requests: written by `make screenshots`, else only taken.

Holds: what they show comes from the running system, and the report from the logs of an example; nothing is made up.
"""

import os
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from PIL import Image

from bailiwick_cli.auditreport.page import page as page_of
from demo.accounts import Call
from demo.stack import AGENT_ACCOUNT, Stack
from localcluster.rest import Rest
from support.console import consoleprocess
from support.console.browser import arrived
from support.console.evidencerole import evidence_role
from support.evidence.auditreports import march_report
from support.waits import until

if TYPE_CHECKING:
    from playwright.sync_api import Page

IMAGES: Final = Path(__file__).resolve().parents[2] / "docs" / "images"
WRITING: Final = os.environ.get("SCREENSHOTS", "") not in {"", "0"}
WIDTH: Final = 1280
HEIGHT: Final = "document.querySelector('footer').getBoundingClientRect().top + scrollY"
GRANTS: Final = "/apis/bailiwick.dev/v1alpha1/namespaces/crm/approvalgrants"
EXPORTS: Final = {
    "42": ("INC-4412: the customer asked for their data", {"fields": ["name", "email"], "format": "csv"}),
    "41": ("the quarterly report", {"fields": ["name", "revenue"], "format": "csv"}),
}


def asked(stack: Stack) -> list[str]:
    """Have the agent ask for exports; returns the grants, once the operator has seen them."""
    names = []
    for customer, (reason, args) in EXPORTS.items():
        path = f"{stack.crm_url}/customers/{customer}/export"
        (answer,) = stack.acting.send(AGENT_ACCOUNT, [Call("POST", path, args, {"X-Approval-Reason": reason})])
        assert answer.status == 202, answer.body
        names.append(answer.body["task"]["id"].partition(".")[0])
    admin: Rest = stack.cluster.rest()
    until(lambda: all("status" in admin.get(f"{GRANTS}/{name}").body for name in names), "they were seen")
    return names


def take(page: "Page", file: Path, height: int, scheme: Any = "light") -> None:  # noqa: ANN401 - a literal
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": WIDTH, "height": height})
    page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")
    whole = Image.open(BytesIO(page.screenshot(animations="disabled", caret="hide"))).convert("RGB")
    # A third of the size, and nothing that a reader misses. `tests/unit/test_docs.py` bounds the size of a picture.
    whole.quantize(256, dither=Image.Dither.NONE).save(file, optimize=True)


def test_the_picture_of_the_report_comes_about(page: "Page", tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text(page_of(march_report()), encoding="ascii")
    page.set_viewport_size({"width": WIDTH, "height": 700})
    page.goto((tmp_path / "report.html").as_uri())
    arrived(page, "Audit report of production-east")
    box = page.get_by_role("heading", name="Who reviewed").bounding_box()
    assert box is not None
    take(page, (IMAGES if WRITING else tmp_path) / "audit-report.png", int(box["y"]) - 8)
    assert (IMAGES / "audit-report.png").exists()


def test_the_pictures_of_the_documentation_come_about(stack: Stack, page: "Page", tmp_path: Path) -> None:
    folder = IMAGES if WRITING else tmp_path
    folder.mkdir(exist_ok=True)
    view = ("--clusterrole=bailiwick-view", "--group=crm-owners")
    stack.kubectl("create", "rolebinding", "owners-view", "-n", "crm", *view)
    asked(stack)

    files = [point.records for point in stack.decision_points]
    records = [word for file in files for word in ("--records", str(file))]

    def taken(name: str, height: int, scheme: Any = "light") -> None:  # noqa: ANN401 - a literal
        take(page, folder / f"{name}.png", height, scheme)

    with (
        evidence_role(stack, "carol"),
        consoleprocess.started("-n", "crm", *records, kubeconfig=stack.cluster.kubeconfig("carol")) as console,
    ):
        page.set_viewport_size({"width": WIDTH, "height": 700})
        page.goto(console.url)
        arrived(page, "For you to review")
        page.locator("#strip").get_by_text("witnessed, the last").wait_for()
        taken("console-list", 560)
        taken("console-list-dark", 560, "dark")
        for customer in EXPORTS:
            page.get_by_label(f"Choose customers.export on customer/{customer},").first.check()
        page.get_by_role("button", name="Deny selected").click()
        arrived(page, "Deny 2 requests?")
        taken("console-several", 760)
        page.goto(f"http://{console.site.host}/overview")
        arrived(page, "Overview")
        page.locator("#chart canvas").wait_for()
        height = int(page.evaluate(HEIGHT))
        taken("console-overview", height)
        taken("console-overview-dark", height, "dark")
        page.goto(f"http://{console.site.host}/endpoints/crm/crm-api/graph")
        arrived(page, "Who may ask whom at crm-api")
        height = int(page.evaluate(HEIGHT))
        taken("console-graph", height)
        taken("console-graph-dark", height, "dark")
        page.goto(f"http://{console.site.host}/")
        page.get_by_role("link", name="customers.export on customer/42").click()
        arrived(page, "You act as")
        # As high as it takes to show all that is read before anything is approved, with the bar below it.
        height = int(page.evaluate(HEIGHT))
        taken("console-request", height)
        taken("console-request-dark", height, "dark")
    made = sorted(path.name for path in folder.glob("console-*.png"))
    assert made == sorted(path.name for path in IMAGES.glob("console-*.png"))
