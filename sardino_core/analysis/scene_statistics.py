"""What a few windows tell about a scene: valid share, backscatter per band, looks; and whether that fits a model.

Windows in, numbers out: the memory is that of the homogeneous squares kept for the looks, a few megabytes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sardino_core.contract.model_spec import InputSpec
from sardino_core.simulate.speckle_statistics import SQUARE_PX, measure

FAR_OFF = 1.5  # model's standard deviations between the means; land, city or sea alone stay below
NARROW = 0.15  # of the model's standard deviation: constant or rescaled values
CLIPPED = 0.02  # share of the values outside the model's clip range
_FEW = 1000  # valid pixels, below which means tell nothing


@dataclass(frozen=True)
class BandSummary:
    """Valid pixels of one band, in dB."""

    name: str
    mean_db: float
    std_db: float
    clipped: float  # share outside the model's range


@dataclass(frozen=True)
class SceneSummary:
    """What was seen; `looks` is None where too few squares of 16 pixels are whole."""

    valid_share: float
    valid_pixels: int
    bands: tuple[BandSummary, ...]
    looks: float | None


class SceneSample:
    """Takes windows one by one."""

    def __init__(self, inputs: InputSpec) -> None:
        """`inputs`: bands in the order of the windows' channels, and the clip range."""
        self._inputs = inputs
        self._valid, self._seen = 0, 0
        self._sums = np.zeros((3, len(inputs.bands)))  # of dB, of its square, of clipped values
        self._squares: list[NDArray[np.float64]] = []

    def add(self, backscatter_db: NDArray[np.float32], valid: NDArray[np.bool_]) -> None:
        """One window: (B, h, w) dB and (h, w)."""
        self._seen += valid.size
        self._valid += int(valid.sum())
        values = backscatter_db[:, valid].astype(np.float64)  # (B, n)
        low, high = self._inputs.clip_db
        clipped = ((values < low) | (values > high)).sum(axis=1)
        self._sums += np.stack([values.sum(axis=1), (values**2).sum(axis=1), clipped])
        rows, cols = valid.shape[0] // SQUARE_PX, valid.shape[1] // SQUARE_PX
        cut = np.where(valid, 10.0 ** (backscatter_db[0].astype(np.float64) / 10.0), np.nan)
        cut = cut[: rows * SQUARE_PX, : cols * SQUARE_PX].reshape(rows, SQUARE_PX, cols, SQUARE_PX)
        squares = cut.transpose(0, 2, 1, 3).reshape(-1, SQUARE_PX, SQUARE_PX)
        self._squares.append(squares[np.isfinite(squares).all(axis=(1, 2))])

    def summary(self) -> SceneSummary:
        """All windows together."""
        count = max(self._valid, 1)
        mean = self._sums[0] / count
        std = np.sqrt(np.maximum(self._sums[1] / count - mean**2, 0.0))
        bands = [
            BandSummary(band.key, float(mean[i]), float(std[i]), float(self._sums[2, i] / count))
            for i, band in enumerate(self._inputs.bands)
        ]
        return SceneSummary(self._valid / max(self._seen, 1), self._valid, tuple(bands), self._looks())

    def _looks(self) -> float | None:
        """Of the first band, as `measure` estimates it from the most homogeneous fifth of the squares."""
        if self._inputs.bands[0].name.count("-"):
            return None  # a ratio has no looks
        squares = np.concatenate(self._squares) if self._squares else np.empty((0, SQUARE_PX, SQUARE_PX))
        try:
            return measure(squares.reshape(-1, SQUARE_PX)).enl
        except ValueError:
            return None


def misfits(found: SceneSummary, inputs: InputSpec) -> list[str]:
    """What of the values does not look like what the model was trained on; empty when all does."""
    if found.valid_pixels < _FEW:
        return []
    told = []
    for band, expected in zip(found.bands, inputs.bands, strict=True):
        away = (band.mean_db - expected.mean_db) / expected.std_db
        if abs(away) > FAR_OFF:
            told.append(
                f"{band.name} has a mean of {band.mean_db:.1f} dB, {abs(away):.1f} standard deviations "
                f"{'above' if away > 0 else 'below'} the model's {expected.mean_db:.1f} dB: check the units"
            )
        elif band.std_db < NARROW * expected.std_db:
            told.append(
                f"{band.name} varies by {band.std_db:.2f} dB only, where the model knows {expected.std_db:.1f} dB: "
                f"check that it is backscatter"
            )
        if band.clipped > CLIPPED:
            low, high = inputs.clip_db
            told.append(f"{band.clipped:.1%} of {band.name} lie outside the model's {low:g} to {high:g} dB")
    return told
