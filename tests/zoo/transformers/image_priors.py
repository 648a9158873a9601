"""The priors of unCLIP and of Kandinsky, with enough layers that some can be left out."""

from typing import Any

from diffusers import PriorTransformer

from tests.zoo import kandinsky_parts, parts, unclip
from tests.zoo.random_weights import lively
from tests.zoo.transformers.parts import case

SHAPE = {
    "num_attention_heads": 2,
    "attention_head_dim": 8,
    "num_layers": 6,
    "embedding_dim": parts.EMBEDDING,
    "num_embeddings": parts.TOKENS,
    "additional_embeddings": 4,
}


def prior() -> PriorTransformer:
    return lively(4, lambda: PriorTransformer(**SHAPE))


def build(cls: Any) -> Any:
    return parts.quiet(cls(**kandinsky_parts.prior_parts() | {"prior": prior()}))


def build_combined(cls: Any) -> Any:
    """Prior and decoder in one pipeline, which holds a pipeline of each inside."""
    of_prior = kandinsky_parts.prior_parts() | {"prior": prior()}
    of_prior = {f"prior_{name}": part for name, part in of_prior.items()}
    return parts.quiet(cls(**kandinsky_parts.decoder_parts(kandinsky_parts.OF_IMAGE), **of_prior))


def build_unclip(cls: Any) -> Any:
    """Prior, decoder and two enlargers in one pipeline with three schedulers."""
    scheduler = kandinsky_parts.prior_parts()["scheduler"]
    return parts.quiet(cls(**unclip.parts(), prior=prior(), prior_scheduler=scheduler))


def on_picture() -> dict[str, Any]:
    return {"image": parts.picture(), "strength": 1.0}


CASES = [
    case("KandinskyPriorPipeline (six layers)", "other", build, kandinsky_parts.run_prior),
    case("KandinskyV22PriorPipeline (six layers)", "other", build, kandinsky_parts.run_prior),
    case(
        "KandinskyV22PriorEmb2EmbPipeline (six layers)", "other", build, kandinsky_parts.run_prior, on_picture
    ),
    case(
        "KandinskyV22CombinedPipeline (prior of six layers)",
        "image",
        build_combined,
        kandinsky_parts.run_combined,
    ),
    case("UnCLIPPipeline (prior of six layers)", "image", build_unclip, unclip.run_from_text),
]
