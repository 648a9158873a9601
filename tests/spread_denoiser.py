"""What each of several processes does with a denoiser that is spread over them; `run` starts them by gloo.

diffusers asks torch for the number of accelerators, and lists the devices for tensor parallelism. A CPU is
none of them, so both are told otherwise in these processes. A ring needs attention that gives its sums, which
diffusers has none of for a CPU. All else is diffusers' and torch's own.
"""

import socket
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from torch import distributed

from mmcache import Adaptive, Hold, Plan, Taylor, Uniform, UnsupportedPipelineError, accelerate
from tests.tiny import steps_of

PROCESSES = 2
PATIENCE = timedelta(minutes=1)  # for one that waits for another, before it fails
STEPS = 9
PLANS = {
    "hold": Plan(Uniform(3), Hold()),
    "taylor": Plan(Uniform(2), Taylor(1)),
    "checked": Plan(Uniform(2), Taylor(1, checked=True)),
    "output": Plan(Uniform(3), Taylor(1), branch="none"),
}


def denoiser() -> Any:
    """A tiny Flux; the same weights each time."""
    from diffusers import FluxTransformer2DModel

    torch.manual_seed(0)
    return FluxTransformer2DModel(
        patch_size=1,
        in_channels=8,
        num_layers=3,
        num_single_layers=3,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=16,
        pooled_projection_dim=16,
        axes_dims_rope=(4, 4, 8),
        guidance_embeds=False,
    ).eval()


def scheduler() -> Any:
    from diffusers import FlowMatchEulerDiscreteScheduler

    return FlowMatchEulerDiscreteScheduler()


def prompt(seed: int) -> dict[str, torch.Tensor]:
    draw = torch.Generator().manual_seed(seed)
    return {
        "encoder_hidden_states": torch.randn(1, 4, 16, generator=draw),
        "pooled_projections": torch.randn(1, 16, generator=draw),
        "txt_ids": torch.zeros(4, 3),
        "img_ids": torch.stack([torch.zeros(16), torch.arange(16) // 4, torch.arange(16) % 4], dim=1).float(),
    }


Guide = Callable[[Callable[[int], torch.Tensor]], torch.Tensor]
"""From a function that gives the denoiser's output for a prompt, by its seed, to what the sampler takes."""


def one_prompt(output: Callable[[int], torch.Tensor]) -> torch.Tensor:
    return output(7)


@torch.no_grad()
def sample(model: Any, steps: Any, guide: Guide = one_prompt, noise: float = 0.0) -> torch.Tensor:
    """Latents (1, 16, 8), with so much fresh noise at each step."""
    steps.set_timesteps(STEPS)
    draw = torch.Generator().manual_seed(1)
    latent = torch.randn(1, 16, 8, generator=draw)
    prompts = {seed: prompt(seed) for seed in (7, 8, 9)}
    for time in steps.timesteps:

        def output(seed: int, latent: torch.Tensor = latent, time: torch.Tensor = time) -> torch.Tensor:
            moment = time.expand(1) / 1000
            return model(latent, timestep=moment, **prompts[seed], return_dict=False)[0]

        latent = steps.step(guide(output), time, latent, return_dict=False)[0]
        latent = latent + noise * torch.randn(latent.shape, generator=draw)
    return latent


def two_prompts(output: Callable[[int], torch.Tensor]) -> torch.Tensor:
    """Guidance in one process."""
    with_prompt, without = output(7), output(8)
    return without + 3 * (with_prompt - without)


def a_prompt_each(output: Callable[[int], torch.Tensor]) -> torch.Tensor:
    """Guidance with a prompt in each process: CFG parallelism, which diffusers 0.42 has not."""
    mine = output(7 + distributed.get_rank()).contiguous()
    outputs = [torch.empty_like(mine) for _ in range(PROCESSES)]
    distributed.all_gather(outputs, mine)
    return outputs[1] + 3 * (outputs[0] - outputs[1])


def cached(model: Any, plan: Plan, **options: Any) -> dict[str, Any]:
    """A run by a plan: latents, what ran at each step and, in the first process alone, multiply-adds."""
    steps = scheduler()
    with accelerate(model, plan, scheduler=steps) as session:
        latent = sample(model, steps, **options)
        ran = steps_of(session)
        # Nobody waits for the other processes there.
        macs = session.report().denoisers[0].macs if distributed.get_rank() == 0 else None
    return {"latent": latent, "ran": ran, "macs": macs}


def runs_of(model: Any) -> dict[str, dict[str, Any]]:
    """Plain runs before and after, and one by each plan."""
    found = {"plain": {"latent": sample(model, scheduler())}}
    found |= {name: cached(model, plan) for name, plan in PLANS.items()}
    found["noisy"] = cached(model, PLANS["checked"], noise=0.6)
    found["two prompts"] = cached(model, PLANS["taylor"], guide=two_prompts)
    found["every step"] = cached(model, Plan(Uniform(1), Hold()))
    found["restored"] = {"latent": sample(model, scheduler())}
    return found


def attention_with_sums(ctx: Any, query: Any, key: Any, value: Any, *rest: Any, **more: Any) -> Any:
    """Attention of (batch, tokens, heads, features), with the logarithm of its sums if it is asked for."""
    query, key, value = (given.transpose(1, 2) for given in (query, key, value))
    scores = query @ key.transpose(2, 3) / query.shape[-1] ** 0.5
    out = (scores.softmax(-1) @ value).transpose(1, 2)
    wanted = rest[5] if len(rest) > 5 else more.get("return_lse", False)
    return (out, scores.logsumexp(-1).transpose(1, 2)) if wanted else out


def refusal(model: Any) -> str:
    """The error where data would decide; "" if there is none."""
    try:
        accelerate(model, Plan(Adaptive(0.1), Hold()), scheduler=scheduler()).restore()
    except UnsupportedPipelineError as error:
        return str(error)
    return ""


def spread_by(config: Any, model: Any) -> Any:
    model.enable_parallelism(config=config)
    return model


def sharded(reshard: bool = True) -> Any:
    """By FSDP; a block's weights are whole while it runs or, without `reshard`, from its first call on."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    model, mesh = denoiser(), init_device_mesh("cpu", (PROCESSES,))
    for block in (*model.transformer_blocks, *model.single_transformer_blocks, model):
        fully_shard(block, mesh=mesh, reshard_after_forward=reshard)
    return model


def wrapped() -> Any:
    """By the FSDP of before, whose wrappers stand where the blocks were."""
    from torch.distributed.fsdp import FullyShardedDataParallel

    model = denoiser()
    for place, block in enumerate(model.transformer_blocks):
        model.transformer_blocks[place] = FullyShardedDataParallel(block, device_id=torch.device("cpu"))
    return model


def spread_late(config: Any, plan: Plan) -> dict[str, Any]:
    """A run of a denoiser that is spread after it was accelerated, or the error."""
    model, steps = denoiser(), scheduler()
    with accelerate(model, plan, scheduler=steps):
        spread_by(config, model)
        try:
            return {"latent": sample(model, steps)}
        except UnsupportedPipelineError as error:
            return {"error": str(error)}


def disagreement(config: Any) -> dict[str, Any]:
    """A run in which one process is given another prompt at the fifth step, and another does not know."""
    model, steps = spread_by(config, denoiser()), scheduler()
    calls: list[int] = []
    with accelerate(model, PLANS["hold"], scheduler=steps) as session:

        def another_once(output: Callable[[int], torch.Tensor]) -> torch.Tensor:
            calls.append(len(calls))
            return output(9 if len(calls) == 5 and distributed.get_rank() == 1 else 7)

        latent = sample(model, steps, another_once)
        ran = steps_of(session)
    return {"latent": latent, "ran": ran}


def work(rank: int, port: int, folder: str) -> None:
    """One process; it saves what it found."""
    import diffusers.hooks.tensor_parallel as tensor_parallel
    import diffusers.models.attention_dispatch as attention
    from diffusers import ContextParallelConfig, TensorParallelConfig

    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=PROCESSES, timeout=PATIENCE
    )
    torch.accelerator.device_count = lambda: 1
    tensor_parallel._SUPPORTED_TP_DEVICES = (*tensor_parallel._SUPPORTED_TP_DEVICES, "cpu")
    attention._native_attention_forward_op, by_torch = (
        attention_with_sums,
        attention._native_attention_forward_op,
    )
    tokens = ContextParallelConfig(ulysses_degree=PROCESSES)
    ways: dict[str, Callable[[], Any]] = {
        "ring": lambda: spread_by(ContextParallelConfig(ring_degree=PROCESSES), denoiser()),
        "tokens": lambda: spread_by(tokens, denoiser()),
        "any tokens": lambda: spread_by(
            ContextParallelConfig(ulysses_degree=PROCESSES, ulysses_anything=True), denoiser()
        ),
        "weights": lambda: spread_by(TensorParallelConfig(tp_degree=PROCESSES), denoiser()),
        "shards": sharded,
        "shards once": lambda: sharded(reshard=False),
    }
    found: dict[str, Any] = {"alone": runs_of(denoiser())}
    found["a prompt each"] = cached(denoiser(), PLANS["taylor"], guide=a_prompt_each)
    for name, spread in ways.items():
        model = spread()
        found[name] = runs_of(model) | {"refusal": refusal(model)}
        attention._native_attention_forward_op = by_torch  # but for a ring
        if name == "weights":
            model._parallel_config = None  # as after torch's own parallelize_module
            found["by torch"] = {"refusal": refusal(model)}
    found["wrapped"] = {"refusal": refusal(wrapped())}
    found["late"] = spread_late(tokens, PLANS["hold"])
    found["late, by data"] = spread_late(tokens, Plan(Adaptive(0.1), Hold()))
    found["disagreement"] = disagreement(tokens)
    torch.save(found, Path(folder) / f"{rank}.pt")
    distributed.destroy_process_group()


def run(folder: Path) -> list[dict[str, Any]]:
    """What each process has found."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torch.multiprocessing.spawn(work, (port, str(folder)), nprocs=PROCESSES)
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(PROCESSES)]
