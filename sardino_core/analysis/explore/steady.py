"""What of a token belongs to its place: the directions of token space that stay when the window is moved.

A transformer's token tells of its patch and of the whole window; with the windows, a map of plain tokens shows their
outlines. A patch that several windows show tells the two apart: what differs between its tokens is the windows'. The
directions are those with the most variance for each unit of that (linear discriminants whose classes are the places).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_FLOOR = 1e-4  # of the mean variance: no direction counts as steadier than that


@dataclass(frozen=True)
class SteadySpace:
    """project(token) = (token - mean) @ basis, in units of what changes from window to window."""

    mean: NDArray[np.float32]  # (D,)
    basis: NDArray[np.float32]  # (D, N), the steadiest direction first
    moved: float  # share of the tokens' variance that is the windows'

    @staticmethod
    def fit(tokens: NDArray[np.float32], components: int) -> SteadySpace:
        """From tokens (places, windows, D). One window alone cannot be told from its places: principal components."""
        places, windows, width = tokens.shape
        mean = tokens.mean(axis=(0, 1), dtype=np.float64)
        apart = (tokens - tokens.mean(axis=1, keepdims=True)).reshape(-1, width).astype(np.float64)
        centred = tokens.reshape(-1, width) - mean
        total = centred.T @ centred / len(centred)
        within = apart.T @ apart / max(1, places * (windows - 1))
        spread = max(float(np.trace(total)) / width, 1e-12)
        changes, axes = np.linalg.eigh(within + _FLOOR * spread * np.eye(width))
        whitened = axes / np.sqrt(changes)  # (D, D): changes from window to window have unit variance
        steadiness, turn = np.linalg.eigh(whitened.T @ total @ whitened)
        basis = whitened @ turn[:, np.argsort(steadiness)[::-1][:components]]
        share = float(np.trace(within)) / (spread * width)
        return SteadySpace(mean.astype(np.float32), basis.astype(np.float32), share)

    def apply(self, tokens: NDArray[np.float32]) -> NDArray[np.float32]:
        """(..., D) to (..., N)."""
        return np.asarray((tokens - self.mean) @ self.basis, np.float32)
