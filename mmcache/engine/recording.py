"""Around a denoiser call: what is noted of it for the report."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from mmcache.engine.call_macs import CallMacs
from mmcache.engine.record import CallRecord, Stopwatch
from mmcache.engine.run import Call, Run


@contextmanager
def recorded(macs: CallMacs, run: Run, call: Call, sample: torch.Tensor) -> Iterator[None]:
    """Around a call: its time and multiply-adds, for the report."""
    watch = Stopwatch(sample)
    with macs.counting(call.form, call.branch):
        yield
    run.calls.append(
        CallRecord(
            clock=call.step.clock,
            lane=len(call.step.lanes) - 1,
            branch=call.branch,
            cache_miss=call.branch is None and call.planned is not None,
            signature=call.form,
            measured=watch.stop(),
            bytes_held=run.bytes_held(),
            missing=call.missing,
        )
    )
