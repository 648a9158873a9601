"""Multiply-adds of a pipeline's run by component: text encoder, VAE, denoiser, ControlNet and all others.

Denoisers and side networks are counted by their own session (`mmcache.api.report`). Of every other component
the calls are counted while the pipeline runs. A VAE is called at several places (`encode`, `decode`), never
at its `forward`; so what is counted are the outermost calls of a component and of its direct children.
"""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from mmcache.api.report import Report
from mmcache.api.resolved_pipeline import find_denoisers, find_side_networks, models_of
from mmcache.patching.forward_patch import is_compiled, patch_forward, unwrap_compiled
from mmcache.tools.comparison.call_counter import CallCounter


@contextmanager
def noted_calls(pipe: Any) -> Iterator[dict[str, CallCounter]]:
    """Count, within the block, the calls of the components that no session counts. By name."""
    counted = {id(part.model) for part in find_denoisers(pipe).values()}
    counted |= {id(part.model) for part in find_side_networks(pipe).values()}
    counters: dict[str, CallCounter] = {}
    with ExitStack() as undo:
        for name, component in models_of(pipe).items():
            model = unwrap_compiled(component)
            if any(id(module) in counted for module in model.modules()):
                continue
            counters[name] = CallCounter()
            undo.callback(patch_forward(component, counters[name].around(model)))
            for child in () if is_compiled(component) else model.children():
                undo.callback(patch_forward(child, counters[name].around(child)))
        yield counters


def macs_by_component(
    counters: Mapping[str, CallCounter], report: Report
) -> dict[str, dict[str, int | None]]:
    """Multiply-adds of a run, with caching and without, by component; None where they cannot be counted.

    Args:
        counters: from `noted_calls` around the run.
        report: of the session, on the same run.

    Returns:
        `{"unet": {"full": ..., "cached": ...}, "vae": ...}`. What no session caches takes the same both ways;
        what the run did not call is not in it.
    """
    found = {part.name: {"full": part.full_macs, "cached": part.macs} for part in report.parts}
    for name, counter in counters.items():
        if counter.calls:
            macs = counter.macs()
            found[name] = {"full": macs, "cached": macs}
    return found
