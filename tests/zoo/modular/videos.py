"""Modular LTX, LTX 2, HunyuanVideo 1.5, Helios and Cosmos 3: other calls of transformers that are classic."""

from typing import Any

import torch
from diffusers import (
    Cosmos3OmniTransformer,
    HeliosScheduler,
    HeliosTransformer3DModel,
    HunyuanVideo15Transformer3DModel,
    LTX2VideoTransformer3DModel,
    LTXVideoTransformer3DModel,
)

from tests.zoo.modular.parts import case, core, run, sized
from tests.zoo.parts import EMBEDDING
from tests.zoo.random_weights import lively
from tests.zoo.transformers import cosmos3, helios, hunyuan_video15, ltx, ltx2, wan
from tests.zoo.transformers.clips import SIDE, unipc_flow, wan_vae
from tests.zoo.transformers.parts import WORDS, flow, noise, prompts

FRAMES = 9


def of_ltx() -> dict[str, Any]:
    return {"transformer": lively(0, lambda: LTXVideoTransformer3DModel(**ltx.SHAPE)), "scheduler": flow()}


def ltx_text() -> dict[str, Any]:
    return prompts(mask="attention_mask") | sized(128, num_frames=FRAMES)


def of_ltx2() -> dict[str, Any]:
    return {
        "transformer": lively(0, lambda: LTX2VideoTransformer3DModel(**ltx2.SHAPE)),
        "vae": ltx2.vae(),
        "audio_vae": ltx2.audio_vae(),
        "scheduler": flow(),
    }


def connected() -> dict[str, Any]:
    """Words as the connectors hand them on, to the video's blocks and to the sound's."""
    given: dict[str, Any] = {}
    for seed, negative in ((7, ""), (8, "negative_")):
        given[f"{negative}connector_prompt_embeds"] = noise(1, WORDS, EMBEDDING, seed=seed)
        given[f"{negative}connector_audio_prompt_embeds"] = noise(1, WORDS, EMBEDDING, seed=seed + 2)
        given[f"{negative}connector_attention_mask"] = torch.ones(1, WORDS)
    return given | sized(SIDE, num_frames=ltx2.FRAMES, batch_size=1, dtype=torch.float32)


def sample_ltx2(pipe: Any, guided: bool, **inputs: Any) -> torch.Tensor:
    return run(pipe, guided, ["latents", "audio_latents"], **inputs)


def of_hunyuan() -> dict[str, Any]:
    """With as many channels as a pipeline without an autoencoder makes noise of."""
    shape = hunyuan_video15.SHAPE | {"in_channels": 2 * 32 + 1, "out_channels": 32}
    return {"transformer": lively(0, lambda: HunyuanVideo15Transformer3DModel(**shape)), "scheduler": flow()}


def hunyuan_text() -> dict[str, Any]:
    return hunyuan_video15.given() | sized(SIDE, num_frames=FRAMES, batch_size=1)


def of_helios(**changes: Any) -> dict[str, Any]:
    shape = {name: value for name, value in wan.SHAPE.items() if name != "rope_max_seq_len"}
    model = lively(0, lambda: HeliosTransformer3DModel(**shape, rope_dim=(4, 4, 4)))
    return {"transformer": model, "scheduler": HeliosScheduler(**changes)}


def long() -> dict[str, Any]:
    """Two chunks, the second behind the first."""
    return prompts() | helios.HISTORY | sized(SIDE, num_frames=helios.LONG)


def pyramid() -> dict[str, Any]:
    steps = {"pyramid_num_inference_steps_list": helios.SMALL_THEN_LARGE}
    return long() | steps | sized(helios.SIDE_OF_PYRAMID)


def of_cosmos3() -> dict[str, Any]:
    return {
        "transformer": lively(0, lambda: Cosmos3OmniTransformer(**cosmos3.SHAPE)),
        "vae": wan_vae(),
        "scheduler": unipc_flow(),
    }


def numbers() -> dict[str, Any]:
    words = {"cond_input_ids": [5, 6, 7, 8], "uncond_input_ids": [5, 6, 7]}
    return words | sized(SIDE, num_frames=FRAMES)


def sample_cosmos3(pipe: Any, guided: bool, **inputs: Any) -> torch.Tensor:
    return run(pipe, guided, guidance_scale=5.0 if guided else 1.0, **inputs)


def video(name: str, *given: Any, **about: Any) -> Any:
    return case(name, *given, family="video", **about)


def sample_chunks(pipe: Any, guided: bool, **inputs: Any) -> torch.Tensor:
    return run(pipe, guided, "latent_chunks", **inputs)


CASES = [
    video("LTXModularPipeline", of_ltx, ltx_text),
    video("LTX2ModularPipeline", of_ltx2, connected, sample=sample_ltx2),
    video("HunyuanVideo15ModularPipeline", of_hunyuan, hunyuan_text),
    video("HeliosModularPipeline", lambda: of_helios(stages=1), long, sample=sample_chunks),
    video(
        "HeliosPyramidModularPipeline", lambda: of_helios(**helios.TWO_STAGES), pyramid, sample=sample_chunks
    ),
    video(
        "Cosmos3OmniModularPipeline",
        of_cosmos3,
        numbers,
        sample=sample_cosmos3,
        blocks=lambda: core("Cosmos3OmniModularPipeline").sub_blocks["vision"],
    ),
]
