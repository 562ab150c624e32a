"""What a run leaves behind: config.yaml, metrics.csv, checkpoint.pt, model.safetensors and its export."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from sardino_core.contract.errors import OutputUnwritable
from sardino_core.models.model_file import write_aside
from sardino_core.training.config import FinetuneConfig
from sardino_core.training.yaml_config import dump_config

COLUMNS = ("step", "loss", "lr", "gradient_norm", "windows_per_s", "skipped", "val_accuracy", "val_miou")


class RunFolder:
    """Writes each file whole or not at all."""

    def __init__(self, path: str | Path, config: FinetuneConfig) -> None:
        """Create the folder and write the configuration. Raises OutputUnwritable."""
        self.path = Path(path)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            problem = f"The folder {path} cannot be made ({error.strerror})."
            raise OutputUnwritable(problem, "Choose another.") from error
        self._rows: list[dict[str, Any]] = []
        write_aside(self.path / "config.yaml", dump_config(config).encode())

    @property
    def model(self) -> Path:
        """The product of the run."""
        return self.path / "model.safetensors"

    @property
    def checkpoint(self) -> Path:
        """Everything that training holds, loadable with weights_only."""
        return self.path / "checkpoint.pt"

    def log(self, row: Mapping[str, float]) -> None:
        """Add a line to metrics.csv; columns without a value stay empty."""
        self._rows.append({key: f"{row[key]:.6g}" for key in COLUMNS if key in row})
        text = io.StringIO()
        writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self._rows)
        write_aside(self.path / "metrics.csv", text.getvalue().encode())

    def save_checkpoint(self, state: Mapping[str, Any]) -> None:
        """Tensors, numbers and text alone, so that `torch.load(..., weights_only=True)` reads it."""
        aside = self.checkpoint.with_name(f".sardino-part-{self.checkpoint.name}")
        try:
            torch.save(dict(state), aside)
            os.replace(aside, self.checkpoint)
        except (OSError, RuntimeError) as error:
            aside.unlink(missing_ok=True)
            raise OutputUnwritable(f"{self.checkpoint} cannot be written ({error}).", "Free some space.") from error
