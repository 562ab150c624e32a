"""What a model has to beat: rules on the backscatter of a pixel's neighbourhood, fitted on the same training labels.

A Gaussian maximum-likelihood classifier per class on VV and VH (the classical supervised map), one threshold on VH for
water, and the commonest class for everything. They see the mean power of 5 x 5 pixels, or speckle alone would decide.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sardino_core.training.landcover.scores import Confusion, majority_accuracy
from sardino_core.training.windows.sources import LabelledScene, SceneStore

_BOX = 5
_EVERY = 7  # pixel of the training labels is used
Features = NDArray[np.float64]


@dataclass(frozen=True)
class GaussianClassifier:
    """Means (K, B), inverse covariances (K, B, B) and log-determinants (K,); equal priors."""

    mean: Features
    inverse: Features
    log_determinant: Features

    @staticmethod
    def fit(samples: list[Features]) -> GaussianClassifier:
        """`samples` holds (B, n) for each class; a class without enough of them is never predicted."""
        bands = samples[0].shape[0]
        enough = [item.shape[1] > 10 * bands for item in samples]
        covariance = [np.cov(item) if some else np.eye(bands) for item, some in zip(samples, enough, strict=True)]
        return GaussianClassifier(
            np.stack(
                [item.mean(axis=1) if some else np.zeros(bands) for item, some in zip(samples, enough, strict=True)]
            ),
            np.linalg.inv(np.stack(covariance)),
            np.where(enough, np.linalg.slogdet(np.stack(covariance))[1], np.inf),
        )

    def predict(self, features: Features) -> NDArray[np.int64]:
        """(B, h, w) to class indices (h, w)."""
        away = features[None] - self.mean[:, :, None, None]  # (K, B, h, w)
        distance = np.einsum("kbhw,kbc,kchw->khw", away, self.inverse, away)
        found: NDArray[np.int64] = (distance + self.log_determinant[:, None, None]).argmin(axis=0)
        return found


@dataclass(frozen=True)
class Rules:
    """What the training labels alone teach: indices of classes, and a threshold on VH."""

    gaussian: GaussianClassifier
    threshold_db: float  # of VH; below it is water
    water: int
    commonest: int  # class of the training labels
    other: int  # commonest class that is not water

    @staticmethod
    def fit(store: SceneStore, water: int) -> Rules:
        """On what of the store's labels trains; `water` is the value of that class."""
        samples, vh_water, vh_other = _collect(store, water)
        index = [item.value for item in store.sets.classes].index(water)
        order = sorted(range(len(samples)), key=lambda number: -samples[number].shape[1])
        other = next(number for number in order if number != index)
        threshold_db = best_threshold(vh_water, vh_other)
        return Rules(GaussianClassifier.fit(samples), threshold_db, index, order[0], other)

    def predict(self, features: Features) -> dict[str, NDArray[np.int64]]:
        """What each rule takes the pixels (B, h, w) of `neighbourhood` for: indices of classes (h, w)."""
        return {
            "majority": np.full(features.shape[1:], self.commonest),
            "threshold": np.where(features[-1] < self.threshold_db, self.water, self.other),
            "gaussian": self.gaussian.predict(features),
        }


def baselines(store: SceneStore, water: int) -> dict[str, float]:
    """Metrics of the rules and of each source's own commonest class; `water` is the value of that class."""
    rules = Rules.fit(store, water)
    found: dict[str, float] = {"VH threshold for water in dB": rules.threshold_db}
    by_source: dict[str, dict[str, Confusion]] = {}
    for scene in store.scenes:
        features, target = neighbourhood(store, scene)
        target = target * scene.split.validates(scene.grid.full)
        if not target.any():
            continue
        confusions = by_source.setdefault(scene.source.name, {})
        for name, predicted in rules.predict(features).items():
            confusions.setdefault(name, Confusion.empty(store.sets)).add(target, predicted)
    for source, confusions in by_source.items():
        gaussian, dark = confusions["gaussian"].metrics(), confusions["threshold"].metrics()
        found[f"{source}: majority"] = majority_accuracy(confusions["gaussian"])
        found |= {f"{source}: gaussian {name}": value for name, value in gaussian.items() if name != "pixels"}
        name = f"binary_f1 {store.sets.classes[rules.water].name}"
        if name in dark:
            found[f"{source}: threshold {name}"] = dark[name]
    return found


def best_threshold(below: Features, above: Features) -> float:
    """The value that separates two samples with the fewest errors, each sample weighing the same."""
    candidates = np.linspace(min(below.min(), above.min()), max(below.max(), above.max()), 200)
    errors = [(below >= value).mean() + (above < value).mean() for value in candidates]
    return float(candidates[int(np.argmin(errors))])


def _collect(store: SceneStore, water: int) -> tuple[list[Features], Features, Features]:
    classes = [item.value for item in store.sets.classes]
    samples: list[list[Features]] = [[] for _ in classes]
    vh_water, vh_other = [], []
    for scene in store.scenes:
        features, target = neighbourhood(store, scene)
        target = target * scene.split.trains(scene.grid.full)
        for index, value in enumerate(classes):
            samples[index].append(features[:, target == store.sets.number([value])][:, ::_EVERY])
        excludes = np.array([bool(members) and water not in members for members in store.sets.members])
        vh_water.append(features[-1][target == store.sets.number([water])][::_EVERY])
        vh_other.append(features[-1][excludes[target]][::_EVERY])
    return [np.concatenate(item, axis=1) for item in samples], np.concatenate(vh_water), np.concatenate(vh_other)


def neighbourhood(store: SceneStore, scene: LabelledScene) -> tuple[Features, NDArray[np.int64]]:
    """(B, h, w) mean power of the neighbourhood in dB, and the target (h, w)."""
    db, valid, target = store.read(scene, scene.grid.full)
    power = np.power(10.0, db.astype(np.float64) / 10) * valid
    return to_db(box_mean(power, valid, _BOX)), target


def to_db(power: Features) -> Features:
    """dB of power, not below -50."""
    result: Features = 10 * np.log10(np.maximum(power, 1e-5))
    return result


def box_mean(values: Features, valid: NDArray[np.bool_], side: int) -> Features:
    """(B, h, w): the mean over the valid pixels of each side x side neighbourhood; `values` are 0 where not valid."""
    return box_sum(values, side) / np.maximum(box_sum(valid[None].astype(np.float64), side), 1)


def box_sum(values: Features, side: int) -> Features:
    """(B, h, w): the sum over the side x side neighbourhood (odd), less at the border."""
    reach = side // 2
    total = np.pad(values, ((0, 0), (reach + 1, reach), (reach + 1, reach))).cumsum(axis=1).cumsum(axis=2)
    result: Features = (
        total[:, side:, side:] - total[:, :-side, side:] - total[:, side:, :-side] + total[:, :-side, :-side]
    )
    return result
