"""Options that several commands share, described once: a dataclass whose fields are options."""

import functools
import inspect
from collections.abc import Callable
from dataclasses import fields
from typing import Any, get_type_hints


def with_options_of(shared: type, argument: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command every field of a dataclass as an option.

    The options stand where the argument stands in the command's signature, which gets them as one object:

        @with_options_of(GenerationRequest, "request")
        def compare(prompt: str, request: GenerationRequest, seed: int = 0) -> None: ...

    Args:
        shared: the dataclass; its fields are annotated as typer wants options to be.
        argument: of the command, that is an instance of it.
    """
    hints = get_type_hints(shared, include_extras=True)
    options = [
        inspect.Parameter(
            field.name,
            inspect.Parameter.POSITIONAL_OR_KEYWORD,
            default=field.default,
            annotation=hints[field.name],
        )
        for field in fields(shared)
    ]

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        own = inspect.signature(command, eval_str=True).parameters.values()
        merged = [option for one in own for option in (options if one.name == argument else [one])]

        @functools.wraps(command)
        def run(**values: Any) -> None:
            instance = shared(**{field.name: values.pop(field.name) for field in fields(shared)})
            command(**values, **{argument: instance})

        run.__signature__ = inspect.Signature(merged)  # type: ignore[attr-defined]  # what typer reads
        run.__annotations__ = {one.name: one.annotation for one in merged}
        return run

    return decorate
