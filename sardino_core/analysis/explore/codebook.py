"""Clusters of token space that outlive their scene: made once, applied anywhere with the same model.

A codebook is a JSON file: readable, without pickle, and bound to its model by the hash of the weights.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sardino_core.analysis.explore.colours import cluster_colours
from sardino_core.contract.errors import InputMissing, SettingInvalid
from sardino_core.contract.jobs import MOST_CLUSTERS
from sardino_core.contract.model_spec import ClassSpec
from sardino_core.contract.serial import dumps, from_dict

_SCHEMA = 1
_LARGEST_BYTES = 64 << 20  # the largest transformers' codebooks are a hundredth of that
_NAMED_BANDS = 2  # in a cluster's name


@dataclass(frozen=True)
class Codebook:
    """Clusters in a projection of token space, from dark to bright."""

    model: str
    model_sha256: str
    bands: tuple[str, ...]  # B: measured ones, such as VV and VH
    backscatter_db: NDArray[np.float32]  # (K, B) mean over the clusters' patches where they were made
    mean: NDArray[np.float32]  # (D,) project(token) = (token - mean) @ basis
    basis: NDArray[np.float32]  # (D, N)
    centres: NDArray[np.float32]  # (K, N)
    variance: float  # of the patches around their centres, per dimension

    @property
    def count(self) -> int:
        """Number of clusters."""
        return len(self.centres)

    @property
    def classes(self) -> tuple[ClassSpec, ...]:
        """Values from 1, names that tell the backscatter, and colours."""
        colours = cluster_colours(self.count)
        named = self.bands[:_NAMED_BANDS]
        told = [", ".join(f"{name} {db:.1f}" for name, db in zip(named, row, strict=False)) for row in self._rows()]
        return tuple(
            ClassSpec(index + 1, f"cluster {index + 1} ({told[index]} dB)", colours[index])
            for index in range(self.count)
        )

    def shares(self, tokens: NDArray[np.float32]) -> NDArray[np.float32]:
        """Tokens (..., D) to how much they belong to each cluster, (..., K), summing to 1.

        The posterior of equally frequent Gaussians of one variance, of which k-means is the limit; the largest share is
        the nearest centre's.
        """
        points = (tokens - self.mean) @ self.basis
        scores = (points @ self.centres.T - (self.centres**2).sum(axis=-1) / 2) / max(self.variance, 1e-9)
        scores -= scores.max(axis=-1, keepdims=True)
        shares = np.exp(scores)
        return np.asarray(shares / shares.sum(axis=-1, keepdims=True), np.float32)

    def to_json(self) -> str:
        """As it is written to a file."""
        return dumps(
            _Stored(
                schema=_SCHEMA,
                model=self.model,
                model_sha256=self.model_sha256,
                bands=self.bands,
                backscatter_db=self._rows(),
                mean=tuple(self.mean.tolist()),
                basis=tuple(map(tuple, self.basis.tolist())),
                centres=tuple(map(tuple, self.centres.tolist())),
                variance=self.variance,
            )
        )

    def _rows(self) -> tuple[tuple[float, ...], ...]:
        return tuple(tuple(round(value, 2) for value in row) for row in self.backscatter_db.tolist())


@dataclass(frozen=True)
class _Stored:
    schema: int
    model: str
    model_sha256: str
    bands: tuple[str, ...]
    backscatter_db: tuple[tuple[float, ...], ...]
    mean: tuple[float, ...]
    basis: tuple[tuple[float, ...], ...]
    centres: tuple[tuple[float, ...], ...]
    variance: float


def read_codebook(path: str, model: str, model_sha256: str, width: int) -> Codebook:
    """The codebook of a file, for that model, whose tokens have `width` dimensions.

    Raises InputMissing, or SettingInvalid for another model's or a broken one.
    """
    stored = _read(path)
    if stored.model_sha256 != model_sha256:
        other = "other weights of the same name" if stored.model == model else f"the model {stored.model}"
        raise SettingInvalid(
            f"The codebook {path} was made with {other}; this run uses {model}, whose tokens mean something else.",
            "Use the model that it was made with, or make another codebook with --save-codebook.",
        )
    return Codebook(
        model=stored.model,
        model_sha256=stored.model_sha256,
        bands=stored.bands,
        backscatter_db=_table(path, stored.backscatter_db, len(stored.centres), len(stored.bands)),
        mean=_table(path, (stored.mean,), 1, width)[0],
        basis=_table(path, stored.basis, width, len(stored.centres[0])),
        centres=_table(path, stored.centres, len(stored.centres), len(stored.centres[0])),
        variance=stored.variance,
    )


def _read(path: str) -> _Stored:
    file = Path(path)
    if not file.is_file():
        raise InputMissing(f"The codebook {path} does not exist.", "Check the path.")
    try:
        if file.stat().st_size > _LARGEST_BYTES:
            raise ValueError("it is too large")
        stored = from_dict(_Stored, json.loads(file.read_text(encoding="utf-8")), "codebook")
    except UnicodeDecodeError as error:
        raise _broken(path, "it is no text") from error
    except (OSError, ValueError, RecursionError, SettingInvalid) as error:
        raise _broken(path, str(error)) from error
    if stored.schema != _SCHEMA or not 1 <= len(stored.centres) <= MOST_CLUSTERS:
        raise _broken(path, f"schema {stored.schema} with {len(stored.centres)} clusters")
    return stored


def _table(path: str, rows: tuple[tuple[float, ...], ...], height: int, width: int) -> NDArray[np.float32]:
    if not width or len(rows) != height or any(len(row) != width for row in rows):
        raise _broken(path, "its tables do not go together")
    return np.array(rows, np.float32)


def _broken(path: str, reason: str) -> SettingInvalid:
    return SettingInvalid(
        f"{path} is no codebook of this version ({reason}).", "Make one with `sardino cluster --save-codebook`."
    )
