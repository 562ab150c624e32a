"""Specifications of small networks for the tests of this folder."""

from __future__ import annotations

from typing import Any

from sardino_core.contract.model_spec import BackboneSpec, BandSpec, ClassSpec, InputSpec, ModelSpec

CLASSES = (ClassSpec(80, "water", "#0064c8"), ClassSpec(10, "trees", "#006400"), ClassSpec(50, "built-up", "#fa0000"))


def make_spec(
    window: int = 32,
    patch: int = 8,
    depth: int = 2,
    width: int = 48,
    heads: int = 3,
    registers: int = 0,
    head: str = "decoder",
    bands: tuple[str, ...] = ("VV", "VH"),
    architecture: str = "vit_tiny",
    **more: Any,
) -> ModelSpec:
    return ModelSpec(
        name="small",
        task="pretrained" if head == "none" else "segmentation",
        window=window,
        backbone=BackboneSpec(architecture, patch, width, depth, heads, registers),
        inputs=InputSpec(tuple(BandSpec(band, -12.0, 5.0) for band in bands)),
        head=head,
        classes=() if head == "none" else CLASSES,
        **more,
    )
