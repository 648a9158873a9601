"""The page's state in its link: written with what differs from a tab's defaults, and validated when read."""

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlencode

from mmcache.errors import unknown_name
from mmcache.plans.presets import presets
from mmcache.tools.tasks.tasks import find_task
from mmcache_demos.app.limits import Limits
from mmcache_demos.app.models import Offer
from mmcache_demos.app.plan_choice import FORECASTS, POLICIES, found
from mmcache_demos.app.settings import NAMES, Settings, read_settings

TAB = "tab"
GRADIOS_OWN = ("__theme", "view", "deep_link")


def query_of(tab: str, settings: Settings, defaults: Settings) -> str:
    """The query of the page's address that brings these settings back."""
    usual = defaults.flat()
    changed = {
        name: value for name, value in settings.flat().items() if value != usual[name] and value is not None
    }
    return urlencode({TAB: tab, **changed})


def read_query(
    query: Mapping[str, str],
    defaults: Mapping[str, Settings],
    limits: Limits,
    plans: Mapping[str, Path] | None = None,
    offer: Offer | None = None,
) -> tuple[str, Settings] | None:
    """The tab and settings that an address asks for.

    Args:
        query: its parameters.
        defaults: of each tab, by the tab's name.
        plans: that can be chosen by name; None for the presets.
        offer: the models; None for the shipped miniatures.

    Returns:
        None if it asks for nothing.

    Raises:
        LimitError: for more than the server gives.
        ValueError: for something that there is not.
    """
    asked = {name: value for name, value in query.items() if name not in GRADIOS_OWN}
    if not asked:
        return None
    tab = asked.pop(TAB, next(iter(defaults)))
    if tab not in defaults:
        raise ValueError(unknown_name("tab", tab, defaults))
    for name in asked:
        if name not in NAMES:
            raise ValueError(unknown_name("setting", name, NAMES))
    usual = {name: value for name, value in defaults[tab].flat().items() if value is not None}
    settings = read_settings(usual | asked, limits)
    found("policy", settings.plan.policy, POLICIES)
    found("forecast", settings.plan.forecast, FORECASTS)
    settings.plan.plan(presets() if plans is None else plans)
    (Offer() if offer is None else offer).check(settings.model, find_task(tab))
    return tab, settings
