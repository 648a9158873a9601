"""Plain data from a YAML file of a stranger: regular, small, shallow, without aliases or doubled keys.

A few bytes of YAML can stand for gigabytes (aliases of aliases), and a path can lead to an endless pipe.
"""

from pathlib import Path
from typing import Any

import yaml

from mmcache.errors import shown
from mmcache.plans.regular_file import read_regular

MOST_BYTES = 2**18  # the largest plan that calibration writes, of 1,000 steps, has a third
MOST_DEEP = 12  # lists and mappings within each other; a plan has 4
PLAIN = {"null", "bool", "int", "float", "str", "seq", "map", "merge", "timestamp"}
TAGS = {f"tag:yaml.org,2002:{kind}" for kind in PLAIN}


class Placed(dict[Any, Any]):
    """A mapping of a YAML file that knows in which line each key stands, counted from 1."""

    lines: dict[Any, int]


class PlainLoader(yaml.SafeLoader):
    """Reads mappings as `Placed`, and refuses what plain data does not need."""

    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        """Before anything is built."""
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent):
            raise self.refusal("aliases (*name) are not read, write the value again", event)
        self.depth += 1
        if self.depth > MOST_DEEP:
            raise self.refusal(f"nested more than {MOST_DEEP} deep", event)
        node = super().compose_node(parent, index)
        self.depth -= 1
        if node is not None and node.tag not in TAGS:
            raise self.refusal("tags (!name) are not read", event)
        return node

    def refusal(self, why: str, event: Any) -> yaml.MarkedYAMLError:
        return yaml.MarkedYAMLError(problem=why, problem_mark=event.start_mark)


def placed(loader: PlainLoader, node: yaml.MappingNode) -> Placed:
    """A mapping; a key that stands in it twice is refused, since one of both values would be lost."""
    seen: set[Any] = set()
    for key, _ in node.value:
        name = loader.construct_object(key, deep=True)
        if name in seen:
            raise yaml.MarkedYAMLError(
                problem=f"the key {shown(name, 40)} stands twice in one mapping", problem_mark=key.start_mark
            )
        seen.add(name)
    loader.flatten_mapping(node)
    pairs = [(loader.construct_object(key, deep=True), key, value) for key, value in node.value]
    mapping = Placed((name, loader.construct_object(value, deep=True)) for name, _, value in pairs)
    mapping.lines = {name: key.start_mark.line + 1 for name, key, _ in pairs}
    return mapping


PlainLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, placed)


def read_plain(path: Path) -> Any:
    """What stands in a YAML file.

    Raises:
        ValueError: why it cannot be read, without the path.
        FileNotFoundError: it is not there.
    """
    text = read_regular(path, MOST_BYTES)
    try:
        return yaml.load(text, PlainLoader)
    except yaml.MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}, " if error.problem_mark else ""
        raise ValueError(f"not YAML that is read here: {line}{error.problem}") from None
    except Exception as error:  # PyYAML raises half a dozen others for values such as `!!int x`
        raise ValueError(f"not YAML: {error or type(error).__name__}") from None
