"""Where a progress bar is shown: in a terminal and in a notebook, and nowhere that it would fill a file."""

import sys


def hidden(progress: bool) -> bool | None:
    """What tqdm's `disable` is to be.

    Args:
        progress: whether somebody wants a bar.

    Returns:
        None where tqdm is to look whether stderr is a terminal.
    """
    if not progress:
        return True
    return False if "ipykernel" in sys.modules else None
