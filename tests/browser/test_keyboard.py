"""Each page by the keyboard alone and on a narrow screen: everything is reached, in order, and seen to be."""

from typing import TYPE_CHECKING, Any, Final

from support.console.browser import Opens, arrived, opened
from support.installation import accepted
from support.pdp.tenant import Tenant

if TYPE_CHECKING:
    from playwright.sync_api import Page

NARROW: Final = 320
TARGETS: Final = "a[href], button:not(:disabled), input:not([type=hidden]), textarea, summary"
FOCUS: Final = """() => {
  const held = document.activeElement, style = getComputedStyle(held), box = held.getBoundingClientRect();
  const all = [...document.querySelectorAll(TARGETS)];
  return {
    place: all.indexOf(held),
    outline: style.outlineStyle === "none" ? 0 : parseFloat(style.outlineWidth),
    seen: box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth,
    name: held.tagName + " " + (held.ariaLabel || held.name || held.textContent).trim().slice(0, 40),
  };
}""".replace("TARGETS", repr(TARGETS))
# A closed fold hides what is in it until it is opened.
COUNT: Final = "targets => [...document.querySelectorAll(targets)].filter(one => one.checkVisibility()).length"
SMALL: Final = """targets => [...document.querySelectorAll(targets)].filter(one => {
  const box = one.getBoundingClientRect();
  return one.checkVisibility() && getComputedStyle(one).display !== "inline" && (box.height < 24 || box.width < 24);
}).map(one => one.outerHTML)"""


def walked(page: "Page") -> list[dict[str, Any]]:
    """Press Tab from the top of the page until all was reached; returns where the focus was each time."""
    page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")
    found: list[dict[str, Any]] = []
    for _ in range(int(page.evaluate(COUNT, TARGETS))):
        page.keyboard.press("Tab")
        found.append(page.evaluate(FOCUS))
    return found


def problems(page: "Page") -> list[str]:
    """Return what is wrong with a page for somebody with a keyboard and a narrow screen, once it is there, whole."""
    page.wait_for_load_state()
    steps = walked(page)
    places = [one["place"] for one in steps]
    told = [f"{one['name']}: the focus cannot be seen" for one in steps if one["outline"] < 2 or not one["seen"]]
    if places != sorted(set(places)) or -1 in places:
        told.append(f"the focus goes by {[one['name'] for one in steps]}")
    if steps and "Skip" not in steps[0]["name"]:
        told.append(f"the first is {steps[0]['name']}")
    width = page.evaluate("document.documentElement.scrollWidth")
    told += [f"{width} pixels wide"] if width > NARROW else []
    return told + [f"too small: {one}" for one in page.evaluate(SMALL, TARGETS)]


def test_each_page_is_for_the_keyboard_alone_and_for_a_narrow_screen(
    tenant: Tenant, console: Opens, page: "Page"
) -> None:
    names = {one: opened(tenant, "customers.export", one) for one in ("keys-a", "keys-b", "w" * 120)}
    page.set_viewport_size({"width": NARROW, "height": 640})
    seen: dict[str, list[str]] = {}
    with console("carol") as running:
        site = f"http://{running.site.host}"
        page.goto(running.url)
        arrived(page, "For you to review")
        seen["list"] = problems(page)
        for one in ("keys-a", "keys-b"):
            page.get_by_label(f"Choose customers.export on customer/{one},").focus()
            page.keyboard.press("Space")
        page.keyboard.press("Enter")
        arrived(page, "Deny 2 requests?")
        seen["several"] = problems(page)
        accepted(tenant.review(names["keys-b"], by="dave"))
        page.get_by_role("button", name="Deny these 2").press("Enter")
        arrived(page, "Denied: 1")
        seen["what came of each"] = problems(page)
        page.goto(f"{site}/grants/{tenant.namespace}/{names['w' * 120]}")
        arrived(page, "You act as")
        seen["request"] = problems(page)
        page.goto(f"{site}/grants/{tenant.namespace}/agr-none")
        seen["failed"] = problems(page)
        page.goto(f"{site}/?list=ended")
        arrived(page, "Ended")
        seen["ended"] = problems(page)
    assert {name: found for name, found in seen.items() if found} == {}
    assert len(seen) == 6
