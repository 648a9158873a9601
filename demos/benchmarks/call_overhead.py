"""python -m mmcache_demos.benchmarks.call_overhead: what a cache costs in Python on each cached call.

The models are so small that Python dominates: a U-Net of Stable Diffusion's parts and a PixArt of six blocks.
Each cached call of a pipeline's run is timed beside its layers alone, called directly on the same input; the
two take turns at being first. Seconds are CPU time of the calling thread. DeepCache and cache-dit are
timed in the same way where they are installed (`pip install --no-deps DeepCache cache-dit`).
"""

import importlib.util
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from statistics import quantiles
from typing import Annotated, Any

import torch
import typer
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    PixArtSigmaPipeline,
    PixArtTransformer2DModel,
    StableDiffusionPipeline,
    UNet2DConditionModel,
)
from rich.console import Console
from rich.table import Table
from torch import nn

from mmcache import Hold, Plan, Uniform, accelerate
from mmcache.architectures.registry import adapter_for
from mmcache.layouts.cut import cached_view, filled, full_view

INTERVAL = 5
STEPS = 50

Cache = Callable[[Any], AbstractContextManager[Any]]


def unet_pipeline() -> StableDiffusionPipeline:
    """Stable Diffusion's parts, with a U-Net of three levels and nine skip connections."""
    torch.manual_seed(0)
    unet = UNet2DConditionModel(
        sample_size=16,
        block_out_channels=(16, 32, 32),
        layers_per_block=2,
        norm_num_groups=8,
        cross_attention_dim=16,
        attention_head_dim=4,
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
    ).eval()
    left_out: dict[str, Any] = dict.fromkeys(
        ("text_encoder", "tokenizer", "safety_checker", "feature_extractor")
    )
    return StableDiffusionPipeline(
        vae=AutoencoderKL(block_out_channels=(32,)),
        unet=unet,
        scheduler=DDIMScheduler(steps_offset=1, clip_sample=False),
        requires_safety_checker=False,
        **left_out,
    )


def transformer_pipeline() -> PixArtSigmaPipeline:
    """PixArt's parts, with six blocks."""
    torch.manual_seed(0)
    transformer = PixArtTransformer2DModel(
        sample_size=16,
        num_layers=6,
        attention_head_dim=8,
        num_attention_heads=2,
        in_channels=4,
        out_channels=8,
        cross_attention_dim=16,
        caption_channels=16,
        use_additional_conditions=False,
    ).eval()
    left_out: dict[str, Any] = dict.fromkeys(("tokenizer", "text_encoder"))
    return PixArtSigmaPipeline(
        vae=AutoencoderKL(block_out_channels=(32,)),
        transformer=transformer,
        scheduler=DDIMScheduler(steps_offset=1, clip_sample=False),
        **left_out,
    )


def sample(pipe: Any) -> None:
    """One run of the pipeline, without decoding."""
    pipe.set_progress_bar_config(disable=True)
    words, mask = torch.zeros(1, 5, 16), torch.ones(1, 5)
    given = {"prompt_embeds": words, "negative_prompt_embeds": words, "output_type": "latent"}
    if isinstance(pipe, PixArtSigmaPipeline):
        masks = {"prompt_attention_mask": mask, "negative_prompt_attention_mask": mask}
        given |= masks | {
            "use_resolution_binning": False,
            "negative_prompt": None,
            "height": 128,
            "width": 128,
        }
    pipe(num_inference_steps=STEPS, generator=torch.Generator().manual_seed(0), **given)


def by_mmcache(pipe: Any) -> AbstractContextManager[Any]:
    return accelerate(pipe, Plan(Uniform(INTERVAL), Hold(), branch=0))


@contextmanager
def by_deepcache(pipe: Any) -> Iterator[None]:
    from DeepCache import DeepCacheSDHelper

    helper = DeepCacheSDHelper(pipe=pipe)
    helper.set_params(cache_interval=INTERVAL, cache_branch_id=0)
    helper.enable()
    try:
        yield
    finally:
        helper.disable()


@contextmanager
def by_cache_dit(pipe: Any) -> Iterator[None]:
    import cache_dit

    steps = [number % INTERVAL == 0 for number in range(STEPS)]
    cache_dit.enable_cache(
        pipe,
        cache_config=cache_dit.DBCacheConfig(
            Fn_compute_blocks=1,
            Bn_compute_blocks=1,
            residual_diff_threshold=1e9,
            max_warmup_steps=1,
            steps_computation_mask=[int(full) for full in steps],
        ),
    )
    try:
        yield
    finally:
        cache_dit.disable_cache(pipe)


class Pairs:
    """Times every call of a denoiser beside the layers of a cached call, on the same input.

    Attributes:
        beyond: microseconds of each cached call beyond its layers.
        calls: microseconds of each cached call.
    """

    def __init__(self, model: nn.Module, layers: nn.Module) -> None:
        self.beyond: list[float] = []
        self.calls: list[float] = []
        self._model, self._layers = model, layers
        self._count = 0

    @contextmanager
    def timing(self) -> Iterator[None]:
        self._count = 0
        handles = [
            self._model.register_forward_pre_hook(self._begin, with_kwargs=True),
            self._model.register_forward_hook(self._end, with_kwargs=True),
        ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _begin(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._alone = self._time_layers(args, kwargs) if self._count % 2 else None
        self._began = time.thread_time_ns()

    def _end(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        call = (time.thread_time_ns() - self._began) / 1000
        alone = self._alone if self._alone is not None else self._time_layers(args, kwargs)
        if self._count % INTERVAL:  # a cached call
            self.calls.append(call)
            self.beyond.append(call - alone)
        self._count += 1

    def _time_layers(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> float:
        began = time.thread_time_ns()
        self._layers(*args, **kwargs)
        return (time.thread_time_ns() - began) / 1000


def layers_alone(make_pipe: Callable[[], Any]) -> nn.Module:
    """What a cached call at branch 0 runs, of a model of its own, with a feature in the slot."""
    pipe = make_pipe()
    model = pipe.unet if hasattr(pipe, "unet") else pipe.transformer
    cut = adapter_for(model).cut(model, 0)  # type: ignore[union-attr]
    tapped = full_view(model, [cut]).module
    seen: list[tuple[Any, Any]] = []
    handle = model.register_forward_pre_hook(
        lambda _, args, kwargs: seen.append((args, kwargs)), with_kwargs=True
    )
    sample(pipe)
    handle.remove()
    with torch.no_grad():
        tapped(*seen[0][0], **seen[0][1])
    feature = cut.tap.take()
    smaller = cached_view(model, cut).module

    class Layers(nn.Module):
        def forward(self, *args: Any, **kwargs: Any) -> Any:
            with filled(cut.slot, feature):
                return smaller(*args, **kwargs)

    return Layers()


def measure(make_pipe: Callable[[], Any], cache: Cache, runs: int) -> Pairs:
    """Time the cached calls of some runs, behind one that warms up."""
    pipe = make_pipe()
    pairs = Pairs(pipe.unet if hasattr(pipe, "unet") else pipe.transformer, layers_alone(make_pipe))
    with cache(pipe) or nullcontext():
        sample(pipe)
        for _ in range(runs):
            with pairs.timing():
                sample(pipe)
    return pairs


def main(runs: Annotated[int, typer.Option(min=1, help="Runs of 50 steps for each line.")] = 10) -> None:
    """Print microseconds of CPU time that a cached call takes beyond its layers."""
    torch.set_num_threads(1)
    table = Table("model", "cache", "a cached call, µs", "beyond its layers, µs (quartiles)")
    rows: list[tuple[str, Callable[[], Any], str, Cache, str]] = [
        ("U-Net", unet_pipeline, "mmcache", by_mmcache, "mmcache"),
        ("U-Net", unet_pipeline, "DeepCache", by_deepcache, "DeepCache"),
        ("transformer", transformer_pipeline, "mmcache", by_mmcache, "mmcache"),
        ("transformer", transformer_pipeline, "cache-dit", by_cache_dit, "cache_dit"),
    ]
    for model, make_pipe, name, cache, package in rows:
        if importlib.util.find_spec(package) is None:
            table.add_row(model, name, "not installed", "")
            continue
        pairs = measure(make_pipe, cache, runs)
        lower, middle, upper = quantiles(pairs.beyond, n=4, method="inclusive")
        call = quantiles(pairs.calls, n=2)[0]
        table.add_row(model, name, f"{call:.0f}", f"{middle:+.0f} ({lower:+.0f} to {upper:+.0f})")
    Console(highlight=False).print(table)


if __name__ == "__main__":
    typer.run(main)
