"""A diffusers scheduler that tells when a run starts and when a step ends."""

import functools
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

# What ends a step, by the names that samplers give it; score-SDE's predictor calls it `step_pred`.
STEP_NAMES = ("step", "step_pred")


def is_scheduler(thing: Any) -> bool:
    """Whether this is a sampler whose runs and steps can be watched; its class tells."""
    return hasattr(type(thing), "set_timesteps") and step_name(type(thing)) is not None


def step_name(cls: type) -> str | None:
    return next((name for name in STEP_NAMES if hasattr(cls, name)), None)


def plain_class(scheduler: Any) -> Any:
    """The class of a scheduler, watched or not."""
    kind = type(scheduler)
    return kind.__base__ if hasattr(kind, "mmcache_listeners") else kind


class Listener(NamedTuple):
    """Who is told when a run of a scheduler starts and when a step ends."""

    on_run: Callable[[], None]
    on_step: Callable[[Any, Any, Any], None]  # with the timestep and sample of the step, and its result


def watch(scheduler: Any, listener: Listener) -> Callable[[], None]:
    """Let a listener hear of a scheduler's runs and steps; returns the undo.

    The instance is given a subclass of its own class, one for all listeners. A method shadowed on the
    instance would be copied along by pipelines that deep-copy their scheduler, and would then step the
    original. Copies and instances made from the subclass are of the plain class.
    """
    if not hasattr(type(scheduler), "mmcache_listeners"):
        scheduler.__class__ = watched_class(type(scheduler))
    watched = type(scheduler)
    watched.mmcache_listeners.append(listener)

    def undo() -> None:
        watched.mmcache_listeners.remove(listener)
        if not watched.mmcache_listeners:
            scheduler.__class__ = watched.__base__

    return undo


def instance_of(cls: Any) -> Any:
    return cls.__new__(cls)


def watched_class(plain: Any) -> Any:
    """A subclass of a scheduler's class, for one instance, that tells its listeners."""
    name_of_step = step_name(plain) or "step"
    plain_step = getattr(plain, name_of_step)

    class Watched(plain):  # type: ignore[misc]  # a class that is known only now
        mmcache_listeners: ClassVar[list[Listener]] = []

        def __reduce_ex__(self, protocol: Any) -> Any:
            return instance_of, (plain,), self.__dict__

        @functools.wraps(plain.set_timesteps)
        def set_timesteps(self, *args: Any, **kwargs: Any) -> Any:
            result = plain.set_timesteps(self, *args, **kwargs)
            for listener in list(self.mmcache_listeners):
                listener.on_run()
            return result

        if not hasattr(plain, "scale_model_input"):

            def scale_model_input(self, sample: Any, *args: Any, **kwargs: Any) -> Any:
                """Called by BriaPipeline on all samplers that are not exactly of the class that has none."""
                return sample

    @functools.wraps(plain_step)
    def step(self: Any, *args: Any, **kwargs: Any) -> Any:
        result = getattr(plain, name_of_step)(self, *args, **kwargs)  # that of now: somebody may replace it
        _, timestep, sample, *_ = (*args, None, None, None)
        for listener in list(self.mmcache_listeners):
            listener.on_step(kwargs.get("timestep", timestep), kwargs.get("sample", sample), result)
        return result

    @functools.wraps(plain.__init__)
    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        self.__class__ = plain  # made by `type(scheduler).from_config(...)`
        plain.__init__(self, *args, **kwargs)

    Watched.__init__ = init  # type: ignore[method-assign]
    setattr(Watched, name_of_step, step)
    # Pipelines look at the name and the signatures of their scheduler.
    for name in ("__module__", "__name__", "__qualname__", "__doc__"):
        setattr(Watched, name, getattr(plain, name))
    return Watched
