"""Tests share the cores between processes, not between threads of one: tiny models gain nothing there."""

import torch

torch.set_num_threads(1)
