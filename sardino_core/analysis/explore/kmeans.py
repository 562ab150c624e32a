"""Clusters of points: mini-batch k-means (scikit-learn), and how many clusters to ask for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import MiniBatchKMeans
from sklearn.metrics import adjusted_rand_score
from threadpoolctl import threadpool_limits

from sardino_core.contract.errors import SettingInvalid

Points = NDArray[np.float32]  # (samples, N)
CHOICES = range(2, 13)  # numbers of clusters that are tried
AGREEMENT = 0.8  # adjusted Rand index from which two halves of the sample are taken to agree
_SPLITS = 3  # into halves, over which the index is averaged
_STARTS = 4
_BATCH = 2048


@dataclass(frozen=True)
class Choice:
    """A number of clusters, and what speaks for it."""

    clusters: int
    agreement: dict[int, float]  # number of clusters -> mean adjusted Rand index between halves

    @property
    def reason(self) -> str:
        """For the log: the criterion, the range, what was found."""
        found, tried = self.agreement[self.clusters], f"{min(self.agreement)} to {max(self.agreement)}"
        if found >= AGREEMENT:
            return (
                f"{self.clusters} clusters were chosen: of {tried}, the most on which two random halves of the sample "
                f"agree (adjusted Rand index {found:.2f}; {AGREEMENT:g} is asked)."
            )
        return (
            f"{self.clusters} clusters were chosen: of {tried}, no number has two random halves of the sample agree "
            f"(adjusted Rand index of {AGREEMENT:g}); with this one they agree best ({found:.2f})."
        )


@dataclass(frozen=True)
class Clusters:
    """Clusters from dark to bright."""

    centres: Points  # (K, N)
    backscatter_db: NDArray[np.float32]  # (K, B) mean of their points
    variance: float  # of the points around their centres, per dimension


def fit_clusters(points: Points, clusters: int, seed: int = 0) -> Points:
    """Centres (clusters, N), in no particular order; the same for the same points. Raises SettingInvalid."""
    distinct = len(np.unique(points, axis=0))
    if clusters > distinct:
        raise SettingInvalid(
            f"{clusters} clusters are more than the {distinct} distinct patches of the sample.",
            "Ask for fewer with --clusters, or give a larger scene.",
        )
    with threadpool_limits(1):  # the sums of several threads differ in the last digits
        found = MiniBatchKMeans(clusters, random_state=seed, n_init=_STARTS, batch_size=_BATCH).fit(points)
    return np.asarray(found.cluster_centers_, np.float32)


def nearest(points: Points, centres: Points) -> NDArray[np.int64]:
    """Index (samples,) of the nearest centre (K, N)."""
    return np.asarray(squared_distances(points, centres).argmin(axis=-1), np.int64)


def ordered(points: Points, centres: Points, backscatter_db: NDArray[np.float32]) -> Clusters:
    """The clusters by the mean backscatter, over all bands (samples, B), of their points; those without any go."""
    names = nearest(points, centres)
    members = [names == index for index in np.unique(names)]
    db = np.array([backscatter_db[member].mean(axis=0) for member in members])
    order = np.argsort(db.mean(axis=1), kind="stable")
    spread = float(squared_distances(points, centres).min(axis=1).mean()) / points.shape[1]
    return Clusters(centres[np.unique(names)][order], db[order].astype(np.float32), spread)


def squared_distances(points: Points, centres: Points) -> Points:
    """(..., K) squared distances of points (..., N) from centres (K, N)."""
    ahead = (points**2).sum(axis=-1, keepdims=True) - 2 * points @ centres.T + (centres**2).sum(axis=-1)
    return np.asarray(np.maximum(ahead, 0), np.float32)


def choose_clusters(points: Points, report: Callable[[float, str], None]) -> Choice:
    """The most clusters of CHOICES on which halves of the points agree; where none agree, those that agree best.

    Agreement: centres of either half name all points, and the adjusted Rand index (Hubert and Arabie 1985) compares the
    names; chance gives 0. `report` hears a fraction and a text. Raises SettingInvalid for too few points.
    """
    most = min(CHOICES[-1], len(np.unique(points, axis=0)) // 4)  # a half must have more points than clusters
    if most < CHOICES[0]:
        raise SettingInvalid(
            f"The sample has {len(points)} patches: too few to choose a number of clusters from.",
            "Name the number with --clusters, or give a larger scene.",
        )
    tried = range(CHOICES[0], most + 1)
    agreement = {}
    for clusters in tried:
        report((clusters - tried[0]) / len(tried), f"trying {clusters} clusters")
        agreement[clusters] = float(np.mean([_agreement(points, clusters, split) for split in range(_SPLITS)]))
    agreeing = [clusters for clusters in tried if agreement[clusters] >= AGREEMENT]
    best = max(agreeing) if agreeing else max(tried, key=agreement.__getitem__)
    return Choice(best, agreement)


def _agreement(points: Points, clusters: int, split: int) -> float:
    order = np.random.default_rng(split).permutation(len(points))
    halves = np.array_split(points[order], 2)
    names = [nearest(points, fit_clusters(half, clusters, split)) for half in halves]
    return float(adjusted_rand_score(*names))
