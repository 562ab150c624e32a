"""What is made of finished rows on their way to a file: classes, nodata, fewer bits. Arrays in, arrays out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sardino_core.contract.model_spec import UNSURE_VALUE, ModelSpec
from sardino_core.raster.blending import Rows
from sardino_core.raster.writing.class_legend import NODATA


@dataclass(frozen=True)
class ClassRows:
    """Rows of the class map and of its confidence."""

    classes: NDArray[np.uint8]  # (1, rows, width)
    confidence: NDArray[np.float32]  # (1, rows, width), NaN without data


def decide(rows: Rows, spec: ModelSpec, abstain: bool) -> ClassRows:
    """The most probable class where it is probable enough, `unsure` where it is not, nodata where there is no input."""
    values = np.array([item.value for item in spec.classes], np.uint8)
    confidence = rows.values.max(axis=0)
    classes = values[rows.values.argmax(axis=0)]
    if abstain:
        classes[confidence < spec.calibration.unsure_below] = UNSURE_VALUE
    classes[~rows.valid] = NODATA
    return ClassRows(classes[None], np.where(rows.valid, confidence, np.nan).astype(np.float32)[None])


def with_nodata(rows: Rows) -> NDArray[np.float32]:
    """The rows' values (C, rows, width) with NaN where there is no input."""
    return np.where(rows.valid, rows.values, np.float32("nan"))


@dataclass(frozen=True)
class Int8Scale:
    """Linear quantisation per band: physical = stored * scale + offset, stored -127..127, -128 is nodata."""

    scale: NDArray[np.float32]  # (C,)
    offset: NDArray[np.float32]  # (C,)

    @staticmethod
    def fit(values: NDArray[np.float32]) -> Int8Scale:
        """From (samples, C): the range of the samples with a tenth to spare; what lies beyond is clipped."""
        low, high = values.min(axis=0), values.max(axis=0)
        half = np.maximum((high - low) * 0.55, 1e-6)
        return Int8Scale((half / 127).astype(np.float32), ((low + high) / 2).astype(np.float32))

    def store(self, rows: Rows) -> NDArray[np.int8]:
        """Rows (C, rows, width) as int8."""
        steps = np.rint((rows.values - self.offset[:, None, None]) / self.scale[:, None, None])
        return np.where(rows.valid, np.clip(steps, -127, 127), -128).astype(np.int8)
