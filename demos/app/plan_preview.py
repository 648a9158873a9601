"""Which steps a plan will run in full, before anything is run: said by its policy."""

from mmcache.errors import shortened
from mmcache.plans.plan import Plan
from mmcache.plans.preview import full_steps, planned
from mmcache_demos.app.costs import UNSEEN, Cost, Slider
from mmcache_demos.app.markup import text
from mmcache_demos.app.strip import strip

MOST = 400  # characters of a plan


def plan_preview(plan: Plan | None, total: int) -> str:
    """The strip of a plan with the plan itself, for experts; only the plan where there can be no strip."""
    if plan is None:
        return sentence("The library's default for the model; which plan that is, the report says.")
    try:
        bars = planned(plan, total)
    except ValueError as reason:
        return sentence(f"{short(plan)}. {reason}")
    full = sum(one.branch is None for one in bars)
    return f"{strip(bars)}{sentence(f'{full} of {total} steps are full. {short(plan)}.')}"


def speed_preview(slider: Slider, cost: Cost, plan: Plan, total: int) -> str:
    """What a stop of the slider stands for, in words: how close, how many full steps, measured on what."""
    try:
        full = len(full_steps(plan, total))
    except ValueError as reason:
        return sentence(str(reason))
    how = f"{cost.name} less work: {full} of {total} steps run the whole model."
    if slider.holds:
        close = (
            f"To the full run it has {cost.psnr:.0f} dB, mean of {slider.measured}; the worst has "
            f"{cost.worst:.0f} dB. From {UNSEEN:g} dB on nobody sees a difference."
        )
    else:
        close = f"How close was not measured here. It was {cost.psnr:.0f} dB, mean of {slider.measured}."
    return sentence(f"{how} {close}")


def short(plan: Plan) -> str:
    """The plan as code writes it; plans with a weight for every step are cut."""
    return shortened(str(plan), MOST)


def sentence(words: str) -> str:
    return f'<p class="mm-plan">{text(words)}</p>'
