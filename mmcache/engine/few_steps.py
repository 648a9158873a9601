"""The warnings of a run: that it has little to reuse, or that every step is full."""

from mmcache.caller import warn

FEW_STEPS = 8


def few_steps(total: int | None) -> str:
    """What there is to say of a run of so many steps; "" if it has enough, or nobody knows how many."""
    if total is None or total > FEW_STEPS:
        return ""
    if total == 1:
        return "a run of one step has nothing to reuse: nothing is saved"
    return (
        f"{total} steps leave little to reuse: neighbouring steps differ much, so cached steps "
        f"change the image visibly. Take interval=2 or no cache to be safe."
    )


class FewSteps:
    """Warns of a run of few steps, once for each denoiser."""

    def __init__(self) -> None:
        self._warned = False

    def warn(self, total: int | None) -> None:
        """Warn if a run of so many steps has little to reuse; None: nobody knows how many."""
        message = few_steps(total)
        if message and not self._warned:
            self._warned = True
            warn(message)


class Once:
    """Warns of each thing once: that every step is full, and why; what of a plan has no effect."""

    def __init__(self) -> None:
        self._said: set[str] = set()

    def warn(self, why: str) -> None:
        """Warn that every step is full."""
        self.say(f"every step is full: {why}")

    def say(self, what: str) -> None:
        if what not in self._said:
            self._said.add(what)
            warn(what)
