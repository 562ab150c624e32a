"""Small checkpoints in the layouts that others publish, made from timm's own networks, which say what is right."""

from __future__ import annotations

import argparse
from functools import partial
from typing import Any

import numpy as np
import torch
from timm.layers import LayerNorm
from timm.models import eva, vision_transformer
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

State = dict[str, Tensor]
WIDTH, HEADS, DEPTH = 192, 3, 2


def vit(channels: int, patch: int = 16, side: int = 4, seed: int = 0, **more: Any) -> VisionTransformer:
    """A ViT-Tiny of two blocks for windows of `side` patches."""
    network = VisionTransformer(
        img_size=patch * side,
        patch_size=patch,
        in_chans=channels,
        embed_dim=WIDTH,
        depth=DEPTH,
        num_heads=HEADS,
        num_classes=0,
        **more,
    )
    return lively(network, seed)


def lively(network: nn.Module, seed: int) -> Any:
    """Every weight far from its start, so that nothing can be lost unseen; activations stay near 1."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in network.named_parameters():
            noise = torch.randn(value.shape, generator=generator)
            if value.ndim >= 2 and not name.endswith(("token", "pos_embed")):
                noise *= 1.5 / value[0].numel() ** 0.5
            elif name.endswith("norm.weight") or "norm1.weight" in name or "norm2.weight" in name or "gamma" in name:
                noise = 1 + 0.2 * noise
            value.copy_(noise)
    return network.eval()


def state_of(network: nn.Module) -> State:
    return {name: value.clone() for name, value in network.state_dict().items()}


def dino_head(seed: int = 0) -> State:
    generator = torch.Generator().manual_seed(seed)
    names = [f"mlp.{layer}.{kind}" for layer in (0, 2, 4) for kind in ("weight", "bias")]
    names += ["last_layer.weight_g", "last_layer.weight_v"]
    return {f"head.{name}": torch.randn(8, 8, generator=generator) for name in names}


def dino_checkpoint(teacher: State, student: State) -> dict[str, Any]:
    """What DINO's training saves: both networks, the optimiser with numpy's numbers in it, and the command line."""
    weight = nn.Parameter(torch.ones(3))
    optimizer = torch.optim.AdamW([weight], lr=1e-3)
    weight.sum().backward()
    optimizer.step()
    optimizer.param_groups[0]["lr"] = np.linspace(0, 1, 5)[2]
    return {
        "student": {f"module.backbone.{k}": v for k, v in student.items()}
        | {f"module.{k}": v for k, v in dino_head().items()},
        "teacher": {f"backbone.{k}": v for k, v in teacher.items()} | dino_head(),
        "optimizer": optimizer.state_dict(),
        "epoch": 100,
        "args": argparse.Namespace(arch="vit_tiny", patch_size=16, momentum=np.arange(3.0), seed=np.int64(3)),
        "dino_loss": {"center": torch.zeros(1, 8)},
        "fp16_scaler": {"scale": 65536.0},
    }


def dinov2_with_registers(seed: int = 0) -> tuple[VisionTransformer, State]:
    """The network as timm reads this layout, and the layout: registers have no position, the class token has."""
    network = vit(3, 14, seed=seed, init_values=1e-5, reg_tokens=4, no_embed_class=True)
    generator = torch.Generator().manual_seed(seed + 1)
    state = state_of(vit(3, 14, seed=seed, init_values=1e-5))
    state["register_tokens"] = torch.randn(1, 4, WIDTH, generator=generator)
    state["mask_token"] = torch.randn(1, WIDTH, generator=generator)
    network.load_state_dict(vision_transformer.checkpoint_filter_fn(dict(state), network))
    return network, state


def dinov3(seed: int = 0, qkv_bias: bool = True) -> tuple[eva.Eva, State]:
    """The network as timm reads DINOv3's own layout, and the layout, with a key bias that its mask switches off."""
    network = lively(_eva(qkv_bias), seed)
    state: State = {}
    for name, value in state_of(network).items():
        if name.endswith((".q_bias", ".v_bias")):
            continue
        theirs = name.replace("gamma_1", "ls1.gamma").replace("gamma_2", "ls2.gamma")
        state[theirs.replace("reg_token", "storage_tokens")] = value
    generator = torch.Generator().manual_seed(seed + 1)
    for index in range(DEPTH):
        state[f"blocks.{index}.attn.qkv.bias"] = torch.randn(3 * WIDTH, generator=generator)
        mask = torch.ones(3, WIDTH)
        mask[1] = 0
        state[f"blocks.{index}.attn.qkv.bias_mask"] = mask.flatten()
    periods = 100 ** (torch.arange(16) / 16)
    state |= {"mask_token": torch.randn(1, WIDTH), "rope_embed.periods": periods.bfloat16()}
    state |= {"local_cls_norm.weight": torch.ones(WIDTH), "local_cls_norm.bias": torch.zeros(WIDTH)}
    network.load_state_dict(eva.checkpoint_filter_fn(dict(state), network))
    return network, state


def dinov3_of_timm(seed: int = 0, qkv_bias: bool = False) -> tuple[eva.Eva, State]:
    """timm's own layout of DINOv3: gamma_1, reg_token, and either no biases or those of query and value apart."""
    network = lively(_eva(qkv_bias), seed)
    return network, state_of(network)


def _eva(qkv_bias: bool) -> eva.Eva:
    return eva.Eva(
        img_size=64,
        patch_size=16,
        in_chans=3,
        num_classes=0,
        embed_dim=WIDTH,
        depth=DEPTH,
        num_heads=HEADS,
        qkv_bias=qkv_bias,
        init_values=1e-5,
        rope_type="dinov3",
        rope_temperature=100,
        rope_rotate_half=True,
        use_rot_pos_emb=True,
        use_abs_pos_emb=False,
        num_reg_tokens=4,
        use_fc_norm=False,
        norm_layer=partial(LayerNorm, eps=1e-5),
    )
