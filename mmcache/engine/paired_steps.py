"""Full steps in pairs, in runs whose callback is given the prompt and may exchange it.

Such a run may turn to another image behind any step, and an error that it has made before the turn grows
there by 10 to 30 dB. Most of it is made early, where features bend most. So each full step of the first third
is followed by a second one, which also tells their slope. Measured on the text-to-image miniature, 30 DDIM
steps, the prompt exchanged at nine places: PSNR to the full run 54.3 dB, 40.1 in the worst image, with 2.7
more full steps; 47.0 and 19.5 without (python -m mmcache_demos.benchmarks.prompt_change). Where features are
held it is 43.4 and 30.5 dB with pairs, 37.3 and 19.5 without, at four of these places.
"""

from mmcache.clocks.clock import StepClock

PAIRED = 1 / 3  # of a run, from its beginning


class PairedSteps:
    """Decides which steps are full beside those that a policy chooses.

    Attributes:
        added: how many there were.
    """

    def __init__(self) -> None:
        self.added = 0
        self._before = self._two_before = False

    def is_full(self, clock: StepClock, chosen: bool) -> bool:
        """Whether a step is full; asked once for each step.

        Args:
            chosen: whether the policy has chosen it.
        """
        alone = self._before and not self._two_before
        early = clock.total is not None and clock.step < clock.total * PAIRED
        added = not chosen and alone and early and bool(clock.exchangeable)
        self.added += added
        self._before, self._two_before = chosen or added, self._before
        return chosen or added
