"""Principal components of token space: the directions in which the tokens of one scene differ most."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Projection:
    """Principal components of token space: project(token) = (token - mean) @ basis."""

    mean: NDArray[np.float32]  # (D,)
    basis: NDArray[np.float32]  # (D, N), orthonormal columns by falling variance
    explained: NDArray[np.float32]  # (N,) share of the variance

    @staticmethod
    def fit(tokens: NDArray[np.float32], components: int) -> Projection:
        """From (samples, D) tokens. The sign of a component is fixed so that reruns and scenes agree."""
        mean = tokens.mean(axis=0, dtype=np.float64)
        centred = tokens - mean
        variance, vectors = np.linalg.eigh(centred.T @ centred / max(1, len(tokens) - 1))
        order = np.argsort(variance)[::-1][:components]
        basis = vectors[:, order]
        basis = basis * np.sign(basis[np.abs(basis).argmax(axis=0), np.arange(basis.shape[1])])
        explained = np.clip(variance[order], 0, None) / max(float(variance.clip(0).sum()), 1e-12)
        return Projection(mean.astype(np.float32), basis.astype(np.float32), explained.astype(np.float32))

    def apply(self, tokens: NDArray[np.float32]) -> NDArray[np.float32]:
        """(..., D) to (..., N)."""
        return np.asarray((tokens - self.mean) @ self.basis, np.float32)


NO_PROJECTION = Projection(np.empty(0, np.float32), np.empty((0, 0), np.float32), np.empty(0, np.float32))
