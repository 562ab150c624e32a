"""A kept classifier, NAME.skops: a fitted estimator with the description of what it takes and gives. No pickle.

skops names every type of the file before anything is built, and only those listed here are. Trees are the one type that
skops itself distrusts, since scikit-learn follows their indices unchecked: they are checked here.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import sklearn
import skops.io
from numpy.typing import NDArray

from sardino_core.contract.class_table import require_different_names
from sardino_core.contract.errors import InputMissing, ModelInvalid, SettingInvalid
from sardino_core.contract.jobs import FeatureSet, Method
from sardino_core.contract.model_spec import ClassSpec
from sardino_core.contract.serial import dumps, from_dict

SCHEMA = 1
_TREE = "sklearn.tree._tree.Tree"
_TRUSTED = {
    "builtins.dict", "builtins.list", "builtins.str", "builtins.tuple",
    "numpy.ndarray", "numpy.int64", "numpy.float64",
    "sklearn.ensemble._forest.RandomForestClassifier", "sklearn.tree._classes.DecisionTreeClassifier", _TREE,
    "sklearn.linear_model._logistic.LogisticRegression",
    "sklearn.neighbors._classification.KNeighborsClassifier",
    "sklearn.pipeline.Pipeline", "sklearn.preprocessing._data.StandardScaler",
}  # fmt: skip
_LARGEST_BYTES = 1 << 30  # unpacked; a forest of 100 trees takes some ten million
_TRAIN_AGAIN = "Train the classifier again."


@dataclass(frozen=True)
class Description:
    """What a classifier takes, gives, and came from."""

    features: tuple[FeatureSet, ...]
    method: Method
    bands: tuple[str, ...]  # keys, in order
    clip_db: tuple[float, float]
    classes: tuple[ClassSpec, ...]  # in the order of the estimator's 0..K-1
    areas: tuple[int, ...]  # training polygons or points of each class
    pixels: tuple[int, ...]  # training pixels of each class
    counts: tuple[tuple[int, ...], ...]  # (K, K) of the cross-validation: said, then true
    folds: int
    groups: int
    kind: str  # polygons or points
    scene: str  # name of the first raster that it was trained on
    spacing_m: float | None = None
    model: str = ""  # the network whose features it takes; empty where it takes none
    model_sha256: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    schema: int = SCHEMA


@dataclass(frozen=True)
class Classifier:
    """A fitted estimator, its description, and the principal components of the tokens where it takes them."""

    description: Description
    estimator: Any
    mean: NDArray[np.float32]  # (D,), or (0,)
    basis: NDArray[np.float32]  # (D, N), or (0, 0)


def save_classifier(path: Path, classifier: Classifier) -> None:
    """Write the file."""
    parts = {"mean": classifier.mean, "basis": classifier.basis, "estimator": classifier.estimator}
    content = {"description": dumps(classifier.description), **parts}
    skops.io.dump(content, path, compression=zipfile.ZIP_DEFLATED)


def load_classifier(path: str) -> Classifier:
    """Read a file of `save_classifier`. Raises InputMissing, or ModelInvalid for anything else."""
    name = Path(path).name
    if not Path(path).is_file():
        raise InputMissing(f"The classifier {path} does not exist.", "Check the path.")
    try:
        _require_trusted(path, name)
        content = skops.io.load(path, trusted=[_TREE])
        description = _description(json.loads(content["description"]), name)
        found = Classifier(description, content["estimator"], content["mean"], content["basis"])
        _require_sound(found)
    except ModelInvalid:
        raise
    except Exception as error:  # a stranger's file may fail in any way
        raise ModelInvalid(
            f"{name} is no classifier that `sardino classify` saved, or it is damaged ({type(error).__name__}).",
            _TRAIN_AGAIN,
        ) from error
    return found


def _require_trusted(path: str, name: str) -> None:
    with zipfile.ZipFile(path) as archive:
        if sum(entry.file_size for entry in archive.infolist()) > _LARGEST_BYTES:
            raise ModelInvalid(f"{name} unpacks to more than a gigabyte; no classifier of ours does.", _TRAIN_AGAIN)
        schema = json.loads(archive.read("schema.json"))
    strangers = sorted(set(_types(schema)) - _TRUSTED)
    if strangers:
        raise ModelInvalid(
            f"{name} holds objects of the type {strangers[0]}, which no classifier of ours needs.",
            "Do not use it, and train your own.",
        )


def _types(schema: Any) -> Iterator[str]:
    """Every type that a skops file names."""
    pending = [schema]
    while pending:
        item = pending.pop()
        if isinstance(item, dict):
            if "__class__" in item or "__module__" in item:
                yield f"{item.get('__module__')}.{item.get('__class__')}"
            pending += item.values()
        elif isinstance(item, list):
            pending += item


def _description(data: Any, name: str) -> Description:
    schema = data.get("schema") if isinstance(data, dict) else None
    if schema != SCHEMA:
        raise ModelInvalid(f"{name} has schema {schema!r}; this version reads schema {SCHEMA}.", _TRAIN_AGAIN)
    versions = data.get("versions") or {}
    saved_with = str(versions.get("scikit-learn"))
    if saved_with.split(".")[:2] != sklearn.__version__.split(".")[:2]:
        raise ModelInvalid(
            f"{name} was saved with scikit-learn {saved_with}; this is {sklearn.__version__}, which may read it "
            f"wrongly.",
            "Install that version, or train the classifier again.",
        )
    try:
        return from_dict(Description, data)
    except SettingInvalid as error:
        raise ModelInvalid(f"The description of {name} is invalid: {error}") from error


def _require_sound(found: Classifier) -> None:
    """Raises ValueError where estimator and description do not belong together, or an index leads nowhere."""
    said, estimator = found.description, found.estimator
    require_different_names([(item.name, item.value) for item in said.classes])
    values = [item.value for item in said.classes]
    size = len(values)
    square = len(said.counts) == size and all(len(row) == size for row in said.counts)
    if values != sorted(set(values)) or not 1 <= values[0] <= values[-1] <= 253 or not square:
        raise ValueError("classes")
    if found.mean.ndim != 1 or found.basis.shape[:1] != found.mean.shape or found.basis.ndim != 2:
        raise ValueError("components")
    if list(estimator.classes_) != list(range(size)) or len(said.areas) != size or len(said.pixels) != size:
        raise ValueError("classes of the estimator")
    for tree in (item.tree_ for item in getattr(estimator, "estimators_", ())):
        nodes = np.arange(tree.node_count)
        inner = tree.children_left != -1
        children = np.stack([tree.children_left, tree.children_right])[:, inner]
        if not ((children > nodes[inner]) & (children < tree.node_count)).all():
            raise ValueError("children of a tree")
        if tree.n_classes.tolist() != [size] or tree.value.shape != (tree.node_count, 1, size):
            raise ValueError("classes of a tree")
        used = tree.feature[inner]
        if tree.n_features != estimator.n_features_in_ or not ((used >= 0) & (used < tree.n_features)).all():
            raise ValueError("features of a tree")
