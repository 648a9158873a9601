"""What an error of a pipeline's call means for its item and for its worker."""

import gc


def out_of_memory(error: BaseException) -> bool:
    words = str(error).lower()
    return isinstance(error, MemoryError) or "out of memory" in words or "can't allocate memory" in words


def is_broken(error: BaseException) -> bool:
    """Whether every further call in this process would fail: errors of CUDA stay, but for full memory."""
    if out_of_memory(error):
        return False
    kinds = {kind.__name__ for kind in type(error).__mro__}
    words = str(error)
    signs = ("CUDA error", "HIP error", "CUBLAS_STATUS", "device-side assert", "cudaError")
    return "AcceleratorError" in kinds or any(sign in words for sign in signs)


def words_of(error: BaseException) -> str:
    words = " ".join(str(error).split())[:400]
    return f"{type(error).__name__}: {words}" if words else type(error).__name__


def free_memory() -> None:
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
