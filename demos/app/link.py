"""The page's state in its link: written with what differs from a tab's defaults, and validated when read."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

from mmcache.errors import shown, unknown_name
from mmcache.plans.presets import presets
from mmcache.tools.tasks.tasks import find_task
from mmcache_demos.app.limits import Limits
from mmcache_demos.app.models import Offer
from mmcache_demos.app.plan_choice import FORECASTS, POLICIES, found
from mmcache_demos.app.settings import NAMES, Settings, read_settings

TAB = "tab"
MOST_COMPLAINTS = 3


class Asked(NamedTuple):
    """What a link asks for.

    Attributes:
        tab: its name.
        settings: what is right of it, and the tab's defaults for the rest.
        complaints: a sentence for each value that is wrong.
    """

    tab: str
    settings: Settings
    complaints: tuple[str, ...] = ()


def query_of(tab: str, settings: Settings, defaults: Settings) -> str:
    """The query of the page's address that brings these settings back."""
    usual = defaults.flat()
    changed = {
        name: value for name, value in settings.flat().items() if value != usual[name] and value is not None
    }
    return urlencode({TAB: tab, **changed})


def read_query(
    query: Mapping[str, Any],
    defaults: Mapping[str, Settings],
    limits: Limits,
    plans: Mapping[str, Path] | None = None,
    offer: Offer | None = None,
) -> Asked | None:
    """The tab and settings that an address asks for. Parameters of others are ignored.

    Args:
        query: its parameters.
        defaults: of each tab, by the tab's name.
        plans: that can be chosen by name; None for the presets.
        offer: the models; None for the shipped miniatures.

    Returns:
        None if it asks for nothing.
    """
    asked = {name: query[name] for name in NAMES if name in query}
    if not asked and TAB not in query:
        return None
    complaints = []
    tab = query.get(TAB, next(iter(defaults)))
    if tab not in defaults:
        complaints.append(unknown_name("tab", tab, defaults))
        tab = next(iter(defaults))
    known = presets() if plans is None else plans
    kept = {name: value for name, value in defaults[tab].flat().items() if value is not None}
    settings = read_settings(kept, limits)
    for name, value in asked.items():
        try:
            settings = read_settings(kept | {name: value}, limits)
            check_names(settings, known, Offer() if offer is None else offer, tab)
            kept[name] = value
        except ValueError as error:
            complaints.append(str(error) if name in str(error) else f"{name}: {error}")
            settings = read_settings(kept, limits)
    if len(complaints) > MOST_COMPLAINTS:
        rest = len(complaints) - MOST_COMPLAINTS
        complaints[MOST_COMPLAINTS:] = [f"and {shown(rest)} more values that cannot be"]
    return Asked(tab, settings, tuple(complaints))


def check_names(settings: Settings, plans: Mapping[str, Path], offer: Offer, tab: str) -> None:
    """Refuse names that there are not.

    Raises:
        ValueError: of a policy, forecast, plan or model.
    """
    found("policy", settings.plan.policy, POLICIES)
    found("forecast", settings.plan.forecast, FORECASTS)
    settings.plan.plan(plans)
    offer.check(settings.model, find_task(tab))
