"""Where sampling stands: what every policy, forecast and report is told about a step."""

from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True)
class StepClock:
    """One evaluation of the denoiser within one sampling run.

    Attributes:
        run: counts the sampling runs; a new run means new state.
        step: 0-based, counted from where this run starts (img2img starts in the middle of the sampler's
            timesteps). A second-order sampler (Heun, KDPM2) has two steps per sigma.
        total: how many steps this run has; None if nobody can know (a bare model in someone's own loop).
        time: the sampler's timestep, the time over which features are extrapolated.
        sure: False as long as nothing shows that this is a sampling run: then the step is full.
        own_code: whether somebody's own code (a loop, a callback, a hook, what was put around the denoiser)
            runs between the steps and may change the model.
        exchangeable: what a callback is given beside the latents, such as `prompt_embeds`, and may exchange.
    """

    run: int
    step: int
    total: int | None
    time: float
    sure: bool = True
    own_code: bool = False
    exchangeable: tuple[str, ...] = ()

    @property
    def is_last(self) -> bool:
        return self.total is not None and self.step >= self.total - 1


class Clock(Protocol):
    """Tells a denoiser call its step. The two kinds: a pipeline's scheduler, or the timesteps alone."""

    @property
    def runs_at_once(self) -> int:
        """How many runs of one thread may go on side by side."""

    def tick(self, timestep: Any, sample: Any, hooked: bool = False) -> StepClock | None:
        """The step of a denoiser call with these arguments; None if the call is not of this clock's run.

        Args:
            timestep: as the denoiser is given it; None for one that is not.
            sample: likewise: a tensor, or a list with one for each image (Z-Image).
            hooked: whether somebody's own hooks are called before the denoiser or behind it.
        """

    def is_handed_on(self) -> bool:
        """Whether the latent of the last call that was told a step is known to go on from the step before.

        Told without its values; False where only they tell.
        """

    def returned(self, result: Any) -> None:
        """What the denoiser has returned in the last call that was told a step."""

    @property
    def remark(self) -> str:
        """Why calls were no steps of a run, for the report; "" if there is nothing to say."""

    def release(self) -> None:
        """Stop watching; whatever was watched is as before."""
