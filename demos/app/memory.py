"""What a tab of the browser keeps for a reload: its secret, and settings that are read with suspicion."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

# Says whose page this is; the settings only where the address is that under which they were kept.
RECALL = """() => {
    const kept = (name) => {
        try { return sessionStorage.getItem(`mmcache-${name}`); } catch { return null; }
    };
    let visit = kept("visit");
    if (!/^[0-9a-f]{32}$/.test(visit ?? "")) {
        const bytes = crypto.getRandomValues(new Uint8Array(16));
        visit = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
        try { sessionStorage.setItem("mmcache-visit", visit); } catch { /* it lasts until the reload */ }
    }
    const same = (kept("address") ?? "") === location.search;
    let settings = {};
    try { settings = same ? JSON.parse(kept("settings") ?? "{}") : {}; } catch { /* none */ }
    return [JSON.stringify({ visit, settings, tab: same ? kept("tab") : null })];
}"""


def remember(tab: str, names: Sequence[str]) -> str:
    """A function of the page that keeps the settings of a tab.

    Args:
        names: of its controls, in the order of their values.
    """
    return f"""(...values) => {{
        const names = {json.dumps(list(names))};
        try {{
            const all = JSON.parse(sessionStorage.getItem("mmcache-settings") ?? "{{}}");
            all[{json.dumps(tab)}] = Object.fromEntries(names.map((name, place) => [name, values[place]]));
            sessionStorage.setItem("mmcache-settings", JSON.stringify(all));
            sessionStorage.setItem("mmcache-address", location.search);
        }} catch {{ /* a browser that keeps nothing */ }}
    }}"""


@dataclass(frozen=True)
class Memory:
    """What a page that was reloaded says of itself.

    Attributes:
        visit: the secret of its tab; "" if it has none.
        tab: that was open.
        settings: values by name, by tab; nobody has checked them.
    """

    visit: str = ""
    tab: str = ""
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def read_memory(said: object) -> Memory:
    """From whatever the browser sends; what is not as it should be is left out."""
    try:
        read = json.loads(said) if isinstance(said, str) else {}
    except (ValueError, RecursionError):
        read = {}
    if not isinstance(read, dict):
        return Memory()
    visit, tab, settings = (read.get(name) for name in ("visit", "tab", "settings"))
    kept = settings if isinstance(settings, dict) else {}
    return Memory(
        visit if isinstance(visit, str) else "",
        tab if isinstance(tab, str) else "",
        {name: values for name, values in kept.items() if isinstance(values, dict)},
    )
