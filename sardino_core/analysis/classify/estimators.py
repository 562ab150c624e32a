"""The classifiers and what is known of them: fitted on training pixels, cross-validated by areas, asked in threads."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sardino_core.contract.errors import NoValidData, SettingInvalid
from sardino_core.contract.jobs import Method

Array = NDArray[np.float32]
Ints = NDArray[np.int64]
FOLDS = 5
NEIGHBOURS = 15
_TREES = 100
_LEAF = 3  # pixels at least: speckle and edges are noise
_AT_A_TIME = 1 << 14  # pixels that one thread is asked about


@dataclass(frozen=True)
class CrossValidation:
    """What the classifier says of areas that it was not trained on; every training pixel scores once."""

    counts: Ints  # (K, K) pixels: what was said in the rows, the areas' classes in the columns
    folds: int
    groups: int


def fitted(method: Method, x: Array, label: Ints, seed: int) -> Any:
    """A classifier of classes 0..K-1, fitted on x (n, F)."""
    if method == "forest":
        model: Any = RandomForestClassifier(
            _TREES, min_samples_leaf=_LEAF, class_weight="balanced_subsample", random_state=seed, n_jobs=-1
        )
        model.fit(x, label).n_jobs = 1  # threads add up votes in any order; see `probabilities`
        return model
    if method == "logistic":
        model = make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced", max_iter=2000))
    else:
        model = make_pipeline(StandardScaler(), KNeighborsClassifier(NEIGHBOURS, algorithm="brute"))
    return model.fit(x, label)


def probabilities(model: Any, x: Array, check: Callable[[], None] = lambda: None) -> NDArray[np.float32]:
    """(n, K) of x (n, F), in threads over the pixels: the same whatever the number of threads.

    `check` is asked between portions, and may raise.
    """
    threads = os.cpu_count() or 1
    found: list[NDArray[np.float64]] = []
    with ThreadPoolExecutor(threads) as pool:
        for start in range(0, len(x), threads * _AT_A_TIME):
            check()
            portion = x[start : start + threads * _AT_A_TIME]
            parts = [portion[first : first + _AT_A_TIME] for first in range(0, len(portion), _AT_A_TIME)]
            found += pool.map(model.predict_proba, parts)
    return np.concatenate(found).astype(np.float32)


def require_enough(label: Ints, group: Ints, names: Sequence[str], method: Method, kind: str) -> None:
    """Raises NoValidData for a class without pixels, SettingInvalid where a class cannot be held out, or is too small.

    `label` and `group` (n,) of every training pixel; `kind` is polygons or points.
    """
    for index, name in enumerate(names):
        mine = np.unique(group[label == index])
        if not mine.size:
            raise NoValidData(
                f"No valid pixel lies in the training {kind} of {name}.",
                "Draw them where the scene has data, and larger than a pixel.",
            )
        if mine.size < 2:
            has = "one training polygon" if kind == "polygons" else "training points in one square of 32 pixels only"
            raise SettingInvalid(
                f"The class {name} has {has}; cross-validation holds such groups out and needs two or more "
                f"of every class.",
                "Draw another one elsewhere.",
            )
    if method == "knn" and len(label) < 2 * NEIGHBOURS:
        raise SettingInvalid(
            f"There are {len(label)} training pixels; k-nearest neighbours need {2 * NEIGHBOURS} or more.",
            "Draw more, or use another --method.",
        )


def cross_validated(
    method: Method, x: Array, label: Ints, group: Ints, seed: int, report: Callable[[float], None]
) -> CrossValidation:
    """Hold out groups (n,), never single pixels: neighbours are alike (Roberts et al. 2017, Ecography 40, 913-929).

    As many folds as the rarest class has groups, up to five.
    """
    classes = int(label.max()) + 1
    folds = min(FOLDS, *(len(np.unique(group[label == index])) for index in range(classes)))
    counts = np.zeros((classes, classes), np.int64)
    splits = StratifiedGroupKFold(folds, shuffle=True, random_state=seed).split(x, label, group)
    for number, (fit, held_out) in enumerate(splits):
        report(number / folds)
        if not len(fit) or not len(held_out):
            continue
        model = fitted(method, x[fit], label[fit], seed)
        said = model.classes_[probabilities(model, x[held_out]).argmax(axis=1)]
        np.add.at(counts, (said, label[held_out]), 1)
    return CrossValidation(counts, folds, len(np.unique(group)))
