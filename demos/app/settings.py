"""What a visitor asks for: read from whatever the browser (or a link, or a stranger's program) sends."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from mmcache.errors import shown, unknown_name
from mmcache.tools.running.call_settings import check_counts, check_prompt
from mmcache.tools.tasks.samplers import find_sampler
from mmcache_demos.app.fields import field_of
from mmcache_demos.app.limits import Limits
from mmcache_demos.app.plan_choice import PlanChoice

OWN_SAMPLER = "own"  # the one that the model came with
MINIATURE = "miniature"  # the name of the model that is shipped for each task
SHIPPED_AS = "miniature: "  # before the names of further miniatures among those of models
MOST_GUIDANCE = 30
EMPTY_PROMPT = "Please write a prompt."
LEAST_SIDE = 64  # pixels: below it the deepest level of a U-Net has nothing to work on


@dataclass(frozen=True)
class Settings:
    """One order.

    Attributes:
        prompt: what to generate.
        plan: how to cache.
        steps: sampling steps.
        seed: of the noise.
        guidance: strength of classifier-free guidance.
        sampler: a name of `mmcache sweep --scheduler`, or OWN_SAMPLER.
        width, height: in pixels; None for the model's own.
        frames: of a clip; None where none is generated.
        model: which one generates.
        previews: whether images are shown on the way.
    """

    prompt: str
    plan: PlanChoice = field(default_factory=PlanChoice)
    steps: int = 50
    seed: int = 0
    guidance: float = 3.0
    sampler: str = OWN_SAMPLER
    width: int | None = None
    height: int | None = None
    frames: int | None = None
    model: str = MINIATURE
    previews: bool = True

    def check(self, limits: Limits) -> None:
        """Refuse what no run can have, or is more than the server gives.

        Raises:
            LimitError: it is more.
            ValueError: it is wrong.
        """
        with field_of("prompt"):
            if not self.prompt.strip():
                raise ValueError(EMPTY_PROMPT)
            check_prompt(self.prompt)
            limits.check("prompt_characters", len(self.prompt))
        with field_of("steps"):
            check_counts(self.steps, 0)
            limits.check("steps", self.steps)
        with field_of("seed"):
            check_counts(1, self.seed)
        for name, least, most in (
            ("width", LEAST_SIDE, "side"),
            ("height", LEAST_SIDE, "side"),
            ("frames", 1, "frames"),
        ):
            value = getattr(self, name)
            with field_of(name):
                if value is not None and value < least:
                    raise ValueError(f"{name}: {shown(value)}: wanted at least {least}, or nothing")
                limits.check(most, value or 0, name)
        with field_of("guidance"):
            if not 0 <= self.guidance <= MOST_GUIDANCE:
                raise ValueError(f"guidance: {self.guidance:g}: wanted between 0 and {MOST_GUIDANCE}")
        with field_of("sampler"):
            if self.sampler != OWN_SAMPLER:
                find_sampler(self.sampler)

    def flat(self) -> dict[str, Any]:
        """Every value by its name; those of the plan beside the others, its own name as "plan"."""
        values = asdict(self)
        chosen = values.pop("plan")
        return values | {"plan": chosen.pop("name")} | chosen


def text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{name}: {shown(value)}: wanted text")
    return value


def whole(name: str, value: Any) -> int:
    """From a number of a browser (3 or 3.0) or of a link ("3")."""
    read = number(name, value)
    if read != int(read):
        raise ValueError(f"{name}: {shown(value)}: wanted a whole number")
    return int(value) if isinstance(value, str) and value.strip().isdecimal() else int(read)


def number(name: str, value: Any) -> float:
    try:
        if isinstance(value, bool):
            raise TypeError
        read = float(value)
    except (TypeError, ValueError):
        raise ValueError(f"{name}: {shown(value)}: wanted a number") from None
    if not abs(read) < float("inf"):
        raise ValueError(f"{name}: {shown(value)}: wanted a finite number")
    return read


def whole_or_none(name: str, value: Any) -> int | None:
    """An empty field of a browser is None, 0 or "" depending on how it became empty."""
    return whole(name, value) if value not in (None, "", 0) else None


def yes_or_no(name: str, value: Any) -> bool:
    known = {"True": True, "False": False, True: True, False: False}
    if not isinstance(value, str | bool) or value not in known:
        raise ValueError(f"{name}: {shown(value)}: wanted True or False")
    return known[value]


# In the order in which a program gives them; "frames" only where a video is generated.
READERS: Mapping[str, Callable[[str, Any], Any]] = {
    "prompt": text,
    "cost": text,
    "plan": text,
    "policy": text,
    "interval": whole,
    "center": whole,
    "power": number,
    "threshold": number,
    "full_steps": text,
    "forecast": text,
    "branch": whole,
    "steps": whole,
    "seed": whole,
    "guidance": number,
    "sampler": text,
    "width": whole_or_none,
    "height": whole_or_none,
    "frames": whole_or_none,
    "previews": yes_or_no,
    "model": text,
}
NAMES = tuple(READERS)


def read_settings(values: Mapping[str, Any], limits: Limits) -> Settings:
    """Settings from loose values by name; those that are missing have their defaults.

    Raises:
        LimitError: more than the server gives.
        ValueError: a name or value that is not one.
    """
    for name in values:
        if name not in READERS:
            raise ValueError(unknown_name("setting", name, NAMES))
    read = {}
    for name, value in values.items():
        with field_of(name):
            read[name] = READERS[name](name, value)
    parts = {f.name for f in fields(PlanChoice)} - {"name"}
    plan = {name: read.pop(name) for name in parts if name in read}
    if "plan" in read:
        plan["name"] = read.pop("plan")
    settings = Settings(**read, plan=PlanChoice(**plan))
    settings.check(limits)
    return settings
