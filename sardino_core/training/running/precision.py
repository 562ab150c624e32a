"""Mixed precision: which parts of a step run in half the bits, and the loss scale that fp16 needs.

bf16 has the range of fp32 and needs no scale; fp16 underflows without one (Micikevicius et al. 2018, arXiv 1710.03740).
"""

from __future__ import annotations

import torch

from sardino_core.training.settings.run_config import Precision

_TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def autocast(device: torch.device, precision: Precision) -> torch.autocast:
    """The context for forward passes; does nothing for fp32."""
    kind = _TYPES.get(precision)
    return torch.autocast(device.type, kind, enabled=kind is not None)


def grad_scaler(device: torch.device, precision: Precision) -> torch.amp.GradScaler:
    """Scales losses for fp16, and skips steps whose gradients overflow; passes everything through otherwise."""
    return torch.amp.GradScaler(device.type, enabled=precision == "fp16")
