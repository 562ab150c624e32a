"""Networks are built from the specification alone, and take only the weights that it calls for."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
import torch

from sardino_core.contract.errors import ModelInvalid
from sardino_core.models.network import adapt_to_window, build, initialise_from, random_network
from tests.models.networks import lively_network, noise
from tests.models.specs import CLASSES, make_spec


def test_a_seed_gives_one_network_and_leaves_torchs_generator_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    one = random_network(make_spec(), seed=3).state_dict()
    assert torch.equal(torch.rand(3), expected)
    same, other = random_network(make_spec(), seed=3).state_dict(), random_network(make_spec(), seed=4).state_dict()
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not all(torch.equal(one[name], other[name]) for name in one)


def test_building_with_weights_gives_that_network_exactly() -> None:
    network = lively_network(make_spec(registers=2))
    weights = {name: value.numpy() for name, value in network.state_dict().items()}
    rebuilt = build(network.spec, weights).eval()
    assert not any(value.is_meta for value in [*rebuilt.parameters(), *rebuilt.buffers()])
    x = torch.from_numpy(noise(network.spec))
    with torch.inference_mode():
        assert torch.equal(network(x), rebuilt(x))


def test_a_built_network_can_be_trained() -> None:
    spec = make_spec()
    network = build(spec, {name: value.numpy() for name, value in random_network(spec, 0).state_dict().items()})
    network(torch.from_numpy(noise(spec))).square().mean().backward()
    assert all(value.grad is not None for value in network.parameters())


def test_weights_that_do_not_fit_are_named() -> None:
    spec = make_spec()
    weights = {name: value.numpy() for name, value in random_network(spec, 0).state_dict().items()}
    name = "backbone.blocks.1.attn.qkv.weight"
    with pytest.raises(ModelInvalid, match=f"lack {name}"):
        build(spec, {key: value for key, value in weights.items() if key != name})
    with pytest.raises(ModelInvalid, match=rf"{name}.*\(7, 48\).*\(144, 48\)"):
        build(spec, {**weights, name: np.zeros((7, 48), np.float32)})
    with pytest.raises(ModelInvalid, match="hold surprise"):
        build(spec, {**weights, "surprise": np.zeros(3, np.float32)})


def test_a_hostile_specification_takes_neither_memory_nor_time() -> None:
    """Fifty gigabytes of weights, if they were made before being compared with what the file holds."""
    spec = make_spec(width=4096, heads=64, depth=64, window=1024)
    begun = time.perf_counter()
    with pytest.raises(ModelInvalid, match="lack backbone"):
        build(spec, {})
    assert time.perf_counter() - begun < 10


def test_a_pretrained_network_has_features_but_no_logits() -> None:
    network = random_network(make_spec(head="none"), 0)
    x = torch.from_numpy(noise(network.spec))
    assert network.features(x).tokens.shape == (2, 16, 48)
    assert network.features(x).attention.shape == (2, 1, 3, 16)
    assert network.features(x, ()).attention.shape == (2, 0, 3, 16)
    with pytest.raises(ModelInvalid, match="pretrained: it has no classes"):
        network(x)


def test_features_and_logits_share_their_tokens() -> None:
    network = lively_network(make_spec(registers=4))
    x = torch.from_numpy(noise(network.spec))
    with torch.inference_mode():
        torch.testing.assert_close(network.classify(x, network.features(x, (0, 1)).tokens), network(x))


@pytest.mark.parametrize("window", [16, 32, 64])
def test_another_window_resamples_position_embeddings_alone(window: int) -> None:
    network = lively_network(make_spec(window=32))
    spec = replace(network.spec, window=window)
    adapted = adapt_to_window(network.state_dict(), spec)
    build(spec, adapted)
    before = network.state_dict()
    for name, value in adapted.items():
        if name != "backbone.pos_embed" or window == 32:
            assert torch.equal(value, before[name])
    assert adapted["backbone.pos_embed"].shape == (1, (window // 8) ** 2, 48)


def test_resampled_positions_of_a_constant_are_that_constant() -> None:
    weights = {"backbone.pos_embed": torch.full((1, 16, 48), 0.7)}
    resampled = adapt_to_window(weights, make_spec(window=72))["backbone.pos_embed"]
    torch.testing.assert_close(resampled, torch.full((1, 81, 48), 0.7))


def test_fine_tuning_starts_from_a_pretrained_backbone_at_another_window() -> None:
    pretrained = lively_network(make_spec(head="none", window=64, registers=1))
    network = random_network(make_spec(window=32, registers=1), 9)
    left = initialise_from(network, pretrained.state_dict())
    assert left and all(name.startswith("head.") for name in left)
    own, theirs = network.state_dict(), pretrained.state_dict()
    assert torch.equal(own["backbone.blocks.0.mlp.fc1.weight"], theirs["backbone.blocks.0.mlp.fc1.weight"])


def test_a_head_is_taken_over_only_with_the_same_classes() -> None:
    other = lively_network(make_spec())
    assert initialise_from(random_network(other.spec, 9), other.state_dict()) == []
    fewer = random_network(replace(other.spec, classes=CLASSES[:2]), 9)
    left = initialise_from(fewer, other.state_dict())
    assert "head.classify.weight" in left and "head.stem.0.weight" in left


def test_fine_tuning_refuses_a_backbone_of_another_size() -> None:
    with pytest.raises(ModelInvalid, match="description calls for"):
        initialise_from(random_network(make_spec(width=96), 0), random_network(make_spec(), 0).state_dict())
