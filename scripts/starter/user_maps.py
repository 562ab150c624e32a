"""The map that a user gets of a labelled scene: the library's own inference, its windows blended."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import rasterio
from numpy.typing import NDArray

from sardino_core.contract.jobs import RunOptions, SceneOptions, SegmentJob
from sardino_core.inference import segment
from sardino_core.models.model_file import read_spec
from sardino_core.training.windows.sources import LabelledScene


@dataclass(frozen=True)
class UserMap:
    """Of a whole scene, wherever it has data; each (h, w)."""

    given: NDArray[np.int64]  # indices of classes, -1 without data
    confidence: NDArray[np.float32]  # NaN without data
    sure: NDArray[np.bool_]  # by the model's own threshold; False without data


def user_map(model: Path, scene: LabelledScene) -> UserMap:
    """With the defaults of `sardino segment`. Raises SardinoError."""
    spec = read_spec(model)
    options = SceneOptions(tuple(map(str, scene.images)), dict(scene.source.bands), scene.source.units)
    with TemporaryDirectory() as folder:
        classes, confidence = (Path(folder) / f"{name}.tif" for name in ("classes", "confidence"))
        segment(SegmentJob(options, RunOptions(str(model)), str(classes), str(confidence), abstain=False))
        values, p = _band(classes), _band(confidence).astype(np.float32)
    numbers = np.full(256, -1, np.int64)
    numbers[[item.value for item in spec.classes]] = np.arange(len(spec.classes))
    return UserMap(numbers[values], p, np.nan_to_num(p, nan=-1.0) >= spec.calibration.unsure_below)


def _band(path: Path) -> NDArray[np.generic]:
    with rasterio.open(path) as dataset:
        return np.asarray(dataset.read(1))
