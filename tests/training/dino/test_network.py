from __future__ import annotations

import pytest
import torch

from sardino_core.contract.model_spec import BackboneSpec
from sardino_core.models.dino_head import DinoHead
from sardino_core.training.dino.network import DinoNetwork, draw_masks, encode, student_and_teacher
from sardino_core.training.settings.pretrain_config import HeadConfig
from tests.training.rasters import pretrain_config

HEAD = HeadConfig(prototypes=16, hidden=32, bottleneck=8)


def network(architecture: str = "vit_tiny", registers: int = 1) -> DinoNetwork:
    config = pretrain_config("x", backbone=BackboneSpec(architecture, 8, 24, 2, 2, registers))
    torch.manual_seed(0)
    return DinoNetwork(config.spec(), HEAD, masked=True).eval()


@pytest.mark.parametrize("architecture", ["vit_tiny", "vit_tiny_dinov2", "vit_tiny_dinov3"])
def test_crops_of_several_sizes_in_one_pass_equal_one_by_one(architecture):
    net = network(architecture)
    crops = [torch.randn(3, 2, 32, 32), torch.randn(5, 2, 16, 16)]
    together = net(crops, [None, None])
    for crop, found in zip(crops, together, strict=True):
        assert torch.allclose(found, net.network.backbone.forward_features(crop), atol=1e-5)


def test_a_masked_patch_is_not_seen_and_others_are():
    net = network()
    mask = torch.zeros(1, 16, dtype=torch.bool)
    mask[0, 5] = True  # rows 8-15, columns 8-15
    one = torch.randn(1, 2, 32, 32)
    other, elsewhere = one.clone(), one.clone()
    other[..., 8:16, 8:16] += 3
    elsewhere[..., 0:8, 0:8] += 3
    with torch.no_grad():
        found = [net([item], [mask])[0] for item in (one, other, elsewhere)]
    assert torch.equal(found[0], found[1])
    assert not torch.allclose(found[0], found[2])


def test_drop_path_drops_whole_crops_and_only_in_training():
    config = pretrain_config("x")
    student, _ = student_and_teacher(config.spec(), HEAD, False, 0.9, 0)
    crops = [torch.randn(4, 2, 32, 32), torch.randn(4, 2, 16, 16)]
    student.eval()
    assert torch.equal(student(crops, [None, None])[1], student(crops, [None, None])[1])
    student.train()
    assert not torch.equal(student(crops, [None, None])[1], student(crops, [None, None])[1])


def test_the_teacher_starts_as_the_student_and_learns_nothing_by_itself():
    student, teacher = student_and_teacher(pretrain_config("x").spec(), HEAD, True, 0.1, 3)
    again, _ = student_and_teacher(pretrain_config("x").spec(), HEAD, True, 0.1, 3)
    for name, value in teacher.state_dict().items():
        assert torch.equal(value, student.state_dict()[name])
        assert torch.equal(value, again.state_dict()[name])
    assert not any(parameter.requires_grad for parameter in teacher.parameters())


def test_the_head_gives_cosines_with_unit_prototypes():
    head = DinoHead(24, 16, hidden=32, bottleneck=8)
    tokens = torch.randn(7, 24)
    found = head(tokens)
    assert found.shape == (7, 16)
    assert found.abs().max() <= 1 + 1e-5
    with torch.no_grad():
        head.prototypes *= 5  # lengths say nothing
    assert torch.allclose(head(tokens), found, atol=1e-6)


@pytest.mark.parametrize("share", [(0.1, 0.5), (0.3, 0.3)])
def test_masks_hide_the_share_asked_for_in_some_of_the_images(share):
    masks = draw_masks(400, 8, 0.5, share, torch.Generator().manual_seed(0))
    masked = masks.any(dim=1)
    assert masked.sum() == 200
    found = masks[masked].float().mean(dim=1)
    assert share[0] - 0.01 <= found.min()
    assert found.max() <= share[1] + 0.01
    again = draw_masks(400, 8, 0.5, share, torch.Generator().manual_seed(1))
    assert not torch.equal(masks, again)
    assert masks.sum() == again.sum()  # shapes do not change from step to step
    assert not draw_masks(5, 8, 0.0, share, torch.Generator()).any()


def test_one_small_crop_size_needs_no_other():
    net = network(registers=0)
    (found,) = encode(net.network.backbone, [torch.randn(2, 2, 32, 32)], [None])
    assert found.shape == (2, 17, 24)
