"""AnyFlow: Wan's blocks, told from which timestep to which; FAR makes a video chunk by chunk."""

from typing import Any

from diffusers import (
    AnyFlowFARTransformer3DModel,
    AnyFlowTransformer3DModel,
    FlowMapEulerDiscreteScheduler,
)

from tests.zoo.transformers.clips import case, run
from tests.zoo.transformers.parts import noise, prompts
from tests.zoo.transformers.wan import build, denoiser

KEPT = "keeps keys and values of the chunks before"
CHUNKS = (1, 1, 1)  # frames of the latent


def flow_map(cls: Any) -> Any:
    model = denoiser(AnyFlowTransformer3DModel)
    return build(cls, transformer=model, scheduler=FlowMapEulerDiscreteScheduler())


def chunked(cls: Any) -> Any:
    """Each chunk sees those before it by their keys and values, the older ones of larger patches."""
    shape = {"compressed_patch_size": (1, 4, 4), "full_chunk_limit": 2, "chunk_partition": CHUNKS}
    model = denoiser(AnyFlowFARTransformer3DModel, **shape)
    return build(cls, transformer=model, scheduler=FlowMapEulerDiscreteScheduler())


def sample(pipe: Any, guided: bool, **changes: Any) -> Any:
    """A negative prompt is for guidance alone: with one, the batch is two."""
    given = prompts()
    if not guided:
        del given["negative_prompt_embeds"]
    return run(pipe, guided, **given | changes)


def first_frame() -> dict[str, Any]:
    return {"video_latents": noise(1, 1, 4, 4, 4, seed=4)}


CASES = [
    case("AnyFlowPipeline", flow_map, dict, sample),
    case("AnyFlowPipeline (first frame)", flow_map, first_frame, sample),
    case("AnyFlowFARPipeline", chunked, dict, sample, refused=KEPT),
    case("AnyFlowFARPipeline (first frame)", chunked, first_frame, sample, refused=KEPT),
]
