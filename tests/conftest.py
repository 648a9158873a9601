"""Tests share the cores between processes, not between threads of one.

Tiny models are slower on several threads, much slower if other programs run.
"""

import torch

torch.set_num_threads(1)
