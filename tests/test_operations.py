"""What operations on the meta device return is remembered, and counted as torch's own counter does."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from mmcache.macs import operations
from mmcache.macs.count import shapes_of, skeleton
from mmcache.macs.operations import ByShapes
from tests import tiny


@pytest.fixture(autouse=True)
def nothing_remembered(monkeypatch):
    monkeypatch.setattr(operations, "_returned", {})


def by_both(model, call):
    """Multiply-adds and shape of the output, by torch's counter and by ours."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        plain = model(**shapes_of(call))[0]
    with torch.no_grad(), ByShapes() as ours:
        given = model(**shapes_of(call))[0]
    form = plain.shape, plain.stride(), plain.dtype
    assert (given.shape, given.stride(), given.dtype) == form
    return counter.get_total_flops() // 2, ours.total


def test_counts_are_those_of_torch_the_first_time_and_again():
    bare = skeleton(tiny.unet())
    seen = []
    for batch in (1, 2, 1):
        call = {
            "sample": torch.zeros(batch, 4, 8, 8),
            "timestep": torch.tensor(5),
            "encoder_hidden_states": torch.zeros(batch, 5, 16),
        }
        theirs, ours = by_both(bare, call)
        assert ours == theirs
        seen.append(ours)
    assert seen[0] == seen[2] != seen[1]


def test_equal_numbers_of_other_types_are_told_apart():
    whole = torch.zeros(3, dtype=torch.int64, device="meta")
    with ByShapes():
        assert [(whole * factor).dtype for factor in (1, 1.0, True)] == [
            torch.int64,
            torch.float32,
            torch.int64,
        ]


def test_what_is_remembered_shares_no_tensor_and_views_stay_views():
    thing = torch.zeros(2, 3, device="meta")
    with ByShapes():
        one, other = thing + 1, thing + 1
        other.unsqueeze_(0)
        assert one.shape == (2, 3)
        for _ in range(2):
            assert thing.view(6)._base is thing
            assert thing.add_(1) is thing


def test_what_has_contents_is_computed():
    with ByShapes():
        assert [(torch.tensor([value]) + 1).item() for value in (1, 2)] == [2, 3]
    assert not operations._returned


def test_it_never_remembers_more_than_its_bound(monkeypatch):
    monkeypatch.setattr(operations, "MOST_REMEMBERED", 3)
    with ByShapes():
        for size in range(1, 9):
            assert (torch.zeros(size, device="meta") + 1).shape == (size,)
            assert len(operations._returned) <= 3
