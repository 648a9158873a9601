"""What tests of the demo's page do in a browser."""


def expert(page):
    """Open what is one level down."""
    page.locator(".mm-expert button.label-wrap").locator("visible=true").first.click()
    page.get_by_label("Plan", exact=True).locator("visible=true").first.wait_for()


def choose(page, label, value):
    """Pick an entry of one of the open tab's lists."""
    page.get_by_label(label, exact=True).locator("visible=true").first.click()
    page.get_by_role("option", name=value, exact=True).locator("visible=true").first.click()
