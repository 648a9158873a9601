"""Tests share the cores between processes, not between threads of one.

Tiny models are slower on several threads, much slower if other programs run.
"""

import torch

from tests.pipelines_table import pytest_addoption, pytest_configure  # noqa: F401  # a plugin

torch.set_num_threads(1)
