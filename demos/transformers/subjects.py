"""The pipelines that are measured: the trained miniature, and Flux, Wan and Stable Audio small and random.

A random model's multiply-adds, bytes and seconds are those of its shape. Its errors say only how a cut
carries on what a smooth function does; how close pictures stay is for the trained one to say.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import (
    AutoencoderOobleck,
    EDMDPMSolverMultistepScheduler,
    FlowMatchEulerDiscreteScheduler,
    FluxPipeline,
    FluxTransformer2DModel,
    StableAudioDiTModel,
    StableAudioPipeline,
    StableAudioProjectionModel,
    WanPipeline,
    WanTransformer3DModel,
)

from mmcache_demos import GUIDANCE_SCALE, SHIPPED, WHOLE, load_miniature

CAPTIONS = 8
TOKENS = 32  # of a prompt
WIDTH = 256  # of the random transformers
HEADS = 4
TEXT_WIDTH = 64


@dataclass(frozen=True)
class Subject:
    """A pipeline and what it is called with.

    Attributes:
        name: as tables have it.
        make: builds the pipeline, the same each time.
        call: makes the arguments of a call, without steps.
        steps: sampling steps.
        output: the field of the result that holds the latents.
        extrapolated: patterns of the modules whose outputs TaylorSeer extrapolates: attention and
            feed-forward of every block. Its own patterns miss those of some classes.
        calibration: gives prompts to calibrate plans with, others than those that judge.
        contexts: whether the pipeline tells hooks which call of a step it makes (`cache_context`); for one
            that does not, hooks are told that there is one.
        calls: of the denoiser at a step.
    """

    name: str
    make: Callable[[], Any]
    call: Callable[[], Mapping[str, Any]]
    steps: int
    extrapolated: tuple[str, ...] = ()
    output: str = "images"
    calibration: Callable[[], Sequence[str]] = tuple
    contexts: bool = True
    calls: int = 1

    def draw(self, pipe: Any) -> torch.Tensor:
        """The latents of a run, on the CPU."""
        pipe.set_progress_bar_config(disable=True)
        result = pipe(num_inference_steps=self.steps, output_type="latent", **self.call())
        return torch.as_tensor(result[self.output]).float().cpu()


def noise(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def seeded(build: Callable[[], Any]) -> Any:
    """The model that it builds, with the same weights every time and none of them 0 throughout.

    Constructors set some to 0, and then whole layers change nothing.
    """
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = build()
        for weight in model.parameters():
            if not weight.any():
                torch.nn.init.normal_(weight, std=0.02)
    return model.requires_grad_(False).eval()


def portraits_call() -> dict[str, Any]:
    from mmcache_demos.portraits.against_deepcache import captions_of

    return {
        "prompt": captions_of(WHOLE, CAPTIONS),
        "guidance_scale": GUIDANCE_SCALE,
        "generator": [torch.Generator().manual_seed(number) for number in range(CAPTIONS)],
        **SHIPPED["transformer"].call,
    }


def portraits_calibration() -> list[str]:
    from mmcache_demos.portraits.attribute_accuracy import fresh_captions

    return [one.caption.text for one in fresh_captions(CAPTIONS)]


def flux() -> FluxPipeline:
    """18 blocks, six of them with two streams."""
    transformer = seeded(
        lambda: FluxTransformer2DModel(
            num_layers=6,
            num_single_layers=12,
            attention_head_dim=WIDTH // HEADS,
            num_attention_heads=HEADS,
            joint_attention_dim=TEXT_WIDTH,
            pooled_projection_dim=TEXT_WIDTH,
            axes_dims_rope=(8, 28, 28),
            guidance_embeds=True,
        )
    )
    words: dict[str, Any] = dict.fromkeys(
        ("vae", "text_encoder", "tokenizer", "text_encoder_2", "tokenizer_2")
    )
    return FluxPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0), transformer=transformer, **words
    )


def flux_call() -> dict[str, Any]:
    return {
        "prompt_embeds": noise(1, TOKENS, TEXT_WIDTH, seed=1),
        "pooled_prompt_embeds": noise(1, TEXT_WIDTH, seed=2),
        "height": 192,
        "width": 192,
        "generator": generator(),
    }


def wan() -> WanPipeline:
    """16 blocks, called twice a step for guidance."""
    transformer = seeded(
        lambda: WanTransformer3DModel(
            num_layers=16,
            attention_head_dim=WIDTH // HEADS,
            num_attention_heads=HEADS,
            text_dim=TEXT_WIDTH,
            freq_dim=TEXT_WIDTH,
            ffn_dim=4 * WIDTH,
        )
    )
    words: dict[str, Any] = dict.fromkeys(("vae", "text_encoder", "tokenizer"))
    return WanPipeline(scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0), transformer=transformer, **words)


def wan_call() -> dict[str, Any]:
    return {
        "prompt_embeds": noise(1, TOKENS, TEXT_WIDTH, seed=1),
        "negative_prompt_embeds": noise(1, TOKENS, TEXT_WIDTH, seed=2),
        "num_frames": 9,
        "height": 128,
        "width": 128,
        "generator": generator(),
    }


def stable_audio() -> StableAudioPipeline:
    """16 blocks on the latent of a sound, guidance in one batch."""
    channels = 64
    transformer = seeded(
        lambda: StableAudioDiTModel(
            sample_size=128,
            in_channels=channels,
            out_channels=channels,
            num_layers=16,
            attention_head_dim=WIDTH // HEADS,
            num_attention_heads=HEADS,
            num_key_value_attention_heads=HEADS // 2,
            cross_attention_dim=TEXT_WIDTH,
            cross_attention_input_dim=TEXT_WIDTH,
            global_states_input_dim=2 * TEXT_WIDTH,
        )
    )
    vae = AutoencoderOobleck(
        encoder_hidden_size=channels,
        downsampling_ratios=[2, 4],
        channel_multiples=[1, 2],
        decoder_channels=8,
        decoder_input_channels=channels,
        sampling_rate=512,
    )
    words: dict[str, Any] = dict.fromkeys(("text_encoder", "tokenizer"))
    widths = {"text_encoder_dim": TEXT_WIDTH, "conditioning_dim": TEXT_WIDTH}
    return StableAudioPipeline(
        vae=vae,
        transformer=transformer,
        projection_model=seeded(lambda: StableAudioProjectionModel(**widths, min_value=0, max_value=9)),
        scheduler=EDMDPMSolverMultistepScheduler(
            prediction_type="v_prediction", sigma_data=1.0, sigma_min=0.3, sigma_max=80.0
        ),
        **words,
    )


def stable_audio_call() -> dict[str, Any]:
    mask = torch.ones(1, TOKENS)
    return {
        "prompt_embeds": noise(1, TOKENS, TEXT_WIDTH, seed=1),
        "negative_prompt_embeds": noise(1, TOKENS, TEXT_WIDTH, seed=2),
        "attention_mask": mask,
        "negative_attention_mask": mask,
        "audio_end_in_s": 2.0,
        "generator": generator(),
    }


PORTRAITS = Subject(
    "PixArt, trained",
    lambda: load_miniature("transformer"),
    portraits_call,
    steps=50,
    extrapolated=(r"transformer_blocks\.\d+\.(attn1|attn2|ff)",),
    calibration=portraits_calibration,
    contexts=False,
)
FLUX = Subject(
    "Flux, random",
    flux,
    flux_call,
    steps=28,
    extrapolated=(
        r"transformer_blocks\.\d+\.(attn|ff|ff_context)",
        r"single_transformer_blocks\.\d+\.(attn|proj_mlp|proj_out)",
    ),
)
WAN = Subject(
    "Wan, random",
    wan,
    wan_call,
    steps=28,
    extrapolated=(r"blocks\.\d+\.(attn1|attn2|ffn)",),
    output="frames",
    calls=2,
)
AUDIO = Subject("Stable Audio, random", stable_audio, stable_audio_call, steps=50, output="audios")
SUBJECTS_BY_NAME = {"portraits": PORTRAITS, "flux": FLUX, "wan": WAN, "audio": AUDIO}
