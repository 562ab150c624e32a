"""The two probes: multinomial logistic regression and a random forest, each fitted on one fold and asked about another.

A linear probe reads what lies open in the features, a forest also what is bent; the same probes for every feature set.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

from sardino_core.analysis.probe.config import ProbeConfig
from sardino_core.analysis.probe.folds import Split
from sardino_core.analysis.probe.scores import confusion, mean_iou

Array = NDArray[np.float32]
Ints = NDArray[np.int64]
KINDS = ("linear", "forest")
_LOOSEST = 1.0
_STRENGTHS = (1e-4, 1e-3, 0.03, _LOOSEST)  # inverse, of the L2 penalty on standardised features
_COARSEST = 1 / 64
_LEAVES = (
    0.0,
    _COARSEST,
)  # smallest share of the patches in a leaf: with few or noisy columns larger leaves carry over
_LEAF = 3  # patches at least: labels are noisy
_ITERATIONS = 300
_TOLERANCE = 1e-3
_TRIAL_TREES = 8  # where leaves are chosen
_QUICK_PATCHES = 3000
Predict = Callable[[Array, Ints, Array], Ints]  # from x (n, D), its classes and z (m, D) to the classes of z


@dataclass(frozen=True)
class Prober:
    """Fits probes by one set of settings."""

    config: ProbeConfig
    classes: int

    def predict(self, kind: str, x: Array, label: Ints, inner: Sequence[Split], z: Array) -> Ints:
        """The classes of z (m, D), by a probe fitted on x (n, D).

        How smooth it is, by its penalty or its leaves, is chosen on the inner splits of x.
        """
        if kind == "forest":
            leaves = [self._with_leaf(share, _TRIAL_TREES) for share in _LEAVES]
            return self._with_leaf(_LEAVES[self._best(leaves, x, label, inner)], self.config.trees)(x, label, z)
        strengths = [self._with_strength(value) for value in _STRENGTHS]
        return strengths[self._best(strengths, x, label, inner)](x, label, z)

    def quick(self, kind: str, x: Array, label: Ints, z: Array) -> Ints:
        """The same for a single column, by a smaller probe: there are a hundred heads to try.

        Of one column a forest is little more than one tree with large leaves.
        """
        if len(x) > _QUICK_PATCHES:
            chosen = np.random.default_rng([self.config.seed, 3]).choice(len(x), _QUICK_PATCHES, replace=False)
            x, label = x[chosen], label[chosen]
        if kind == "forest":
            weight, leaf = "balanced" if self.config.balance else None, _leaf(_COARSEST, len(x))
            tree = DecisionTreeClassifier(min_samples_leaf=leaf, class_weight=weight, random_state=self.config.seed)
            found: Ints = tree.fit(x, label).predict(z)
            return found
        return self._linear(x, label, z, _LOOSEST)

    def best_column(self, kind: str, x: Array, label: Ints, inner: Sequence[Split]) -> int:
        """The column of x (n, D) that by itself gives the highest mIoU over the inner splits; the first of equals."""

        def predict(x: Array, label: Ints, z: Array) -> Ints:
            return self.quick(kind, x, label, z)

        columns = range(x.shape[1])
        return int(np.argmax([self._inner_score(predict, x[:, [index]], label, inner) for index in columns]))

    def _with_strength(self, value: float) -> Predict:
        return lambda x, label, z: self._linear(x, label, z, value)

    def _with_leaf(self, share: float, trees: int) -> Predict:
        return lambda x, label, z: self._forest(x, label, z, share, trees)

    def _best(self, probes: Sequence[Predict], x: Array, label: Ints, inner: Sequence[Split]) -> int:
        """The one with the highest inner score; the first, which is the smoothest or the usual one, of equals."""
        return int(np.argmax([self._inner_score(probe, x, label, inner) for probe in probes]))

    def _inner_score(self, predict: Predict, x: Array, label: Ints, inner: Sequence[Split]) -> float:
        """mIoU of one confusion matrix over all inner splits."""
        total = np.zeros((self.classes, self.classes), np.int64)
        for fit, scored in inner:
            total += confusion(label[scored], predict(x[fit], label[fit], x[scored]), self.classes)
        return float(mean_iou(total))

    def _linear(self, x: Array, label: Ints, z: Array, strength: float) -> Ints:
        if len(np.unique(label)) < 2:
            return np.full(len(z), label[0])
        x, z = standardised(x, z)
        weight = "balanced" if self.config.balance else None
        model = LogisticRegression(C=strength, class_weight=weight, max_iter=_ITERATIONS, tol=_TOLERANCE)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # a few more digits would change no comparison
            found: Ints = model.fit(x, label).predict(z)
        return found

    def _forest(self, x: Array, label: Ints, z: Array, share: float, trees: int) -> Ints:
        model = RandomForestClassifier(
            trees,
            min_samples_leaf=_leaf(share, len(x)),
            class_weight="balanced_subsample" if self.config.balance else None,
            random_state=self.config.seed,
            n_jobs=self.config.jobs,
        )
        model.fit(x, label)
        model.n_jobs = 1  # threads add up votes in any order, and ties would depend on it
        found: Ints = model.predict(z)
        return found


def _leaf(share: float, patches: int) -> int:
    """Patches in a leaf at least."""
    return max(_LEAF, int(share * patches))


def standardised(x: Array, z: Array) -> tuple[Array, Array]:
    """Both by mean and deviation of x; a constant column becomes 0."""
    mean, deviation = x.mean(axis=0, dtype=np.float64), x.std(axis=0, dtype=np.float64)
    scale = np.where(deviation > 1e-12, deviation, 1.0)
    return ((x - mean) / scale).astype(np.float32), ((z - mean) / scale).astype(np.float32)


def reduced(parts: Sequence[tuple[Array, Array]], dims: int, seed: int) -> tuple[Array, Array]:
    """Feature sets side by side, (n, D) that fit and (m, D) that are asked about, on the first `dims` components of x.

    Columns are standardised, and each of several sets has the same part of the variance however many columns it has
    (as in multiple factor analysis; Escofier & Pages 1994, Comput. Stat. Data Anal. 18): one head beside 192 dimensions
    of tokens would otherwise be lost. Nothing is learnt from z.
    """
    scaled = [standardised(x, z) for x, z in parts]
    x, z = (np.hstack([pair[side] / np.sqrt(pair[side].shape[1]) for pair in scaled]) for side in (0, 1))
    model = PCA(min(dims, *x.shape), svd_solver="full" if x.shape[1] <= 512 else "randomized", random_state=seed)
    return model.fit_transform(x).astype(np.float32), model.transform(z).astype(np.float32)
