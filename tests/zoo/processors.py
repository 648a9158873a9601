"""Image processors that need no torchvision, in every version of transformers."""

from typing import Any

import transformers


def by_pillow(name: str, **settings: Any) -> Any:
    """An image processor by its class's name, without the `Pil` that transformers 5 puts behind it.

    Before version 5 there was one class of a kind, and it used Pillow.
    """
    kind = getattr(transformers, f"{name}Pil", None) or getattr(transformers, name)
    return kind(**settings)
