"""Heads give full-resolution logits; the decoder's detail comes from the full-resolution input."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from sardino_core.contract.errors import ModelInvalid
from sardino_core.models.heads import token_grid
from sardino_core.models.network import Network, random_network
from tests.models.networks import lively_network, noise
from tests.models.specs import make_spec


@pytest.mark.parametrize("head", ["linear", "decoder"])
@pytest.mark.parametrize(
    "patch, window, bands",
    [
        (8, 32, ("VV", "VH")),
        (16, 64, ("VV",)),
        (14, 56, ("VV", "VH", "VV-VH")),
        (14, 28, ("HH",)),
        (2, 8, ("VV", "VH")),
    ],
)
def test_logits_are_full_resolution(head: str, patch: int, window: int, bands: tuple[str, ...]) -> None:
    network = lively_network(make_spec(window=window, patch=patch, head=head, bands=bands))
    with torch.inference_mode():
        logits = network(torch.from_numpy(noise(network.spec)))
    assert logits.shape == (2, 3, window, window)
    assert logits.isfinite().all()


@pytest.mark.parametrize("row, col", [(0, 0), (13, 21), (31, 31)])
def test_an_impulse_changes_its_own_pixel_most(row: int, col: int) -> None:
    network = lively_network(make_spec())
    tokens = network.features(torch.from_numpy(noise(network.spec, batch=1)), ()).tokens  # held fixed: the head alone
    quiet = torch.zeros(1, 2, 32, 32)
    loud = quiet.clone()
    loud[:, :, row, col] = 3.0
    with torch.inference_mode():
        change = (network.classify(loud, tokens) - network.classify(quiet, tokens)).abs().sum(dim=1)[0]
    near = change[max(0, row - 2) : row + 3, max(0, col - 2) : col + 3]
    assert change.max() == near.max(), "the largest change must be within the receptive field of the stem"
    assert near.mean() > 5 * change.mean()


def test_the_decoder_costs_at_most_a_fifth_of_the_smallest_backbone() -> None:
    with torch.device("meta"):
        network = Network(make_spec(window=128, depth=12, width=192))
        window = torch.zeros(1, 2, 128, 128)
    with FlopCounterMode(display=False) as counter:
        tokens = network.features(window, ()).tokens
    backbone = counter.get_total_flops()
    with FlopCounterMode(display=False) as counter:
        network.classify(window, tokens)
    assert 0.02 < counter.get_total_flops() / backbone < 0.2


@pytest.mark.parametrize("head", ["linear", "decoder"])
def test_a_window_does_not_depend_on_its_batch(head: str) -> None:
    network = lively_network(make_spec(head=head))
    x = torch.from_numpy(noise(network.spec, batch=5))
    with torch.inference_mode():
        torch.testing.assert_close(network(x)[3:4], network(x[3:4]), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("head", ["linear", "decoder"])
def test_gradients_reach_every_weight(head: str) -> None:
    network = lively_network(make_spec(head=head, registers=2)).train()
    x = torch.from_numpy(noise(network.spec))
    torch.nn.functional.cross_entropy(network(x), torch.randint(0, 3, (2, 32, 32))).backward()
    silent = [name for name, value in network.named_parameters() if value.grad is None or not value.grad.any()]
    assert silent == []


def test_the_decoder_learns_detail_finer_than_a_patch() -> None:
    """Stripes three pixels wide, seen through noise: tokens of eight pixels cannot draw them, the decoder can."""
    assert _accuracy_on_stripes("decoder") > 0.9
    assert _accuracy_on_stripes("linear") < 0.6


def _accuracy_on_stripes(head: str) -> float:
    network = random_network(make_spec(head=head), seed=1).train()
    columns = (torch.arange(32) // 3) % 3  # (S,) class per column
    target = columns.expand(2, 32, 32)
    generator = torch.Generator().manual_seed(0)
    optimiser = torch.optim.AdamW(network.parameters(), lr=3e-3)
    for _ in range(40):
        x = (target[:, None] - 1.0).repeat(1, 2, 1, 1) + 0.2 * torch.randn(2, 2, 32, 32, generator=generator)
        loss = torch.nn.functional.cross_entropy(network(x), target)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    with torch.inference_mode():
        return float((network(x).argmax(1) == target).float().mean())


def test_the_decoder_needs_a_window_of_a_multiple_of_four() -> None:
    with pytest.raises(ModelInvalid, match="window is 42; allowed with the decoder head: a multiple of 4"):
        Network(make_spec(window=42, patch=14))
    Network(make_spec(window=42, patch=14, head="linear"))


def test_token_grid_is_row_major() -> None:
    tokens = torch.arange(12.0).reshape(1, 4, 3)  # four tokens of width three
    grid = token_grid(tokens)
    assert grid.shape == (1, 3, 2, 2)
    np.testing.assert_array_equal(grid[0, 0], [[0, 3], [6, 9]])
