"""How far a denoiser has moved since its last full step: what the policy `Adaptive` decides by."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch


@dataclass
class DenoiserChange:
    """Input and output of the last full step, and the output of the last step, of a run's first lane.

    Holds three tensors of the latent's size.

    Attributes:
        steps: how many steps ago the last full one was.
        given: the input of the step that is being decided.
    """

    steps: int = 0
    given: torch.Tensor | None = None
    full_input: torch.Tensor | None = None
    full_output: torch.Tensor | None = None
    last_output: torch.Tensor | None = None

    def seen(self, full: bool, given: torch.Tensor, returned: torch.Tensor) -> None:
        """Remember a call of the first lane."""
        self.last_output = returned.clone()
        if full:
            self.full_input, self.full_output = given.clone(), self.last_output

    def change(self) -> float:
        """The larger of the two relative changes; infinite where there is nothing to compare with."""
        if self.given is None or self.full_input is None or self.full_input.shape != self.given.shape:
            return float("inf")
        of_input = relative_change(self.given, self.full_input)
        of_output = relative_change(self.last_output, self.full_output)  # type: ignore[arg-type]
        return torch.maximum(of_input, of_output).item()

    def tensors(self) -> Iterator[torch.Tensor]:
        distinct = {id(t): t for t in (self.full_input, self.full_output, self.last_output) if t is not None}
        yield from distinct.values()


def relative_change(now: torch.Tensor, then: torch.Tensor) -> torch.Tensor:
    """L2 norm of the difference over the norm of what was: 0-d float32."""
    change: torch.Tensor = (now.float() - then.float()).norm() / then.float().norm().clamp_min(1e-12)
    return change
