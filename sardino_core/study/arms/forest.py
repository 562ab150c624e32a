"""A random forest on the backscatter of a pixel and its neighbourhoods: what no network is needed for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sardino_core.contract.errors import DependencyMissing
from sardino_core.contract.listener import Listener
from sardino_core.study.arms.asking import Ask, Judged
from sardino_core.study.cells import CellJob
from sardino_core.training.landcover.baselines import box_mean, to_db
from sardino_core.training.landcover.plan import Material
from sardino_core.training.settings.finetune_config import FinetuneConfig
from sardino_core.training.windows.sources import SceneStore

BOXES = (1, 3, 7, 15)  # sides of the neighbourhoods, in pixels
_ROUGH = 7  # the one whose coefficient of variation is a feature
_ROWS = 500_000  # pixels that are classified at a time


def fit_forest(job: CellJob, found: Material, listener: Listener) -> Ask:
    """Fitted to labelled pixels of the chosen blocks, drawn at random; `job.value` is the smallest leaf."""
    try:
        from sklearn.ensemble import RandomForestClassifier
    except ImportError as error:
        raise DependencyMissing(
            "The random forest needs scikit-learn.", "Install the extra `sardino[explore]`."
        ) from error
    x, y = samples(found, job.forest.samples)
    forest = RandomForestClassifier(
        job.forest.trees, min_samples_leaf=max(1, round(job.value)), random_state=job.config.seed, n_jobs=1
    ).fit(x, y)

    def ask(store: SceneStore, config: FinetuneConfig) -> Iterator[Judged]:
        for scene in store.scenes:
            listener.raise_if_cancelled()
            db, valid, target = store.read(scene, scene.grid.full)
            target = target * scene.split.validates(scene.grid.full)
            yield Judged(scene, 0, 0, target, _classify(forest, features(db, valid)))

    return ask


def samples(found: Material, limit: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Features (n, F) and class indices (n,) of training pixels whose label is one class."""
    store = found.store
    of_set = np.full(len(store.sets.members), -1)
    for index, kind in enumerate(store.sets.classes):
        of_set[store.sets.number([kind.value])] = index
    rng = np.random.default_rng(found.config.seed)
    pixels = sum(int(item.counts[item.chosen].sum()) for item in found.census.training)
    xs, ys = [], []
    for item in (item for item in found.census.training if item.chosen.any()):
        whole = item.scene.grid.full
        db, valid, target = store.read(item.scene, whole)
        classes = of_set[target * item.scene.split.trains(whole) * item.used(whole)]
        taken = (classes >= 0) & (rng.random(classes.shape) < limit / pixels)
        xs.append(features(db, valid)[:, taken].T)
        ys.append(classes[taken])
    return np.concatenate(xs), np.concatenate(ys)


def features(db: NDArray[np.float32], valid: NDArray[np.bool_]) -> NDArray[np.float32]:
    """(B, h, w) dB to (F, h, w): mean power in dB per band and neighbourhood, band differences, roughness."""
    power = np.power(10.0, db.astype(np.float64) / 10) * valid
    means = {side: box_mean(power, valid, side) for side in BOXES}
    levels = [to_db(mean) for mean in means.values()]
    differences = [level[:1] - level[1:] for level in levels]
    spread = np.maximum(box_mean(power**2, valid, _ROUGH) - means[_ROUGH] ** 2, 0)
    roughness = np.sqrt(spread) / np.maximum(means[_ROUGH], 1e-9)
    return np.concatenate([*levels, *differences, roughness]).astype(np.float32)


def _classify(forest: Any, found: NDArray[np.float32]) -> NDArray[np.int64]:
    """(F, h, w) to class indices (h, w), in pieces that fit into memory."""
    table = found.reshape(len(found), -1).T
    pieces = [forest.predict(table[start : start + _ROWS]) for start in range(0, len(table), _ROWS)]
    return np.concatenate(pieces).astype(np.int64).reshape(found.shape[1:])
