"""Kept classifiers: they come back as they were, and a stranger's file is refused before anything is built."""

import io
import zipfile
from dataclasses import replace

import numpy as np
import pytest
import sklearn
import skops.io
from sklearn.naive_bayes import GaussianNB
from sklearn.preprocessing import FunctionTransformer

from sardino_core.analysis.classify.classifier_file import Classifier, Description, load_classifier, save_classifier
from sardino_core.analysis.classify.estimators import fitted, probabilities
from sardino_core.contract.errors import InputMissing, ModelInvalid
from sardino_core.contract.jobs import METHODS
from tests.analysis.classify.test_estimators import table
from tests.analysis.maps import TREES, WATER

X, LABEL, _ = table(4.0)
SAID = Description(
    ("bands",), "forest", ("VV", "VH", "VV-VH"), (-50.0, 30.0), (TREES, WATER), (4, 4), (120, 120),
    ((120, 0), (0, 120)), 4, 8, "polygons", "scene.tif", 10.0, versions={"scikit-learn": sklearn.__version__},
)  # fmt: skip
NOTHING = np.empty(0, np.float32), np.empty((0, 0), np.float32)


def kept(path, estimator=None, said=SAID):
    save_classifier(path, Classifier(said, fitted("forest", X, LABEL, 0) if estimator is None else estimator, *NOTHING))
    return str(path)


@pytest.mark.parametrize("method", METHODS)
def test_it_comes_back_as_it_was(method, tmp_path):
    model, said = fitted(method, X, LABEL, 0), replace(SAID, method=method)
    found = load_classifier(kept(tmp_path / "a.skops", model, said))
    assert found.description == said and found.mean.shape == (0,)
    np.testing.assert_array_equal(probabilities(found.estimator, X), probabilities(model, X))


def test_what_is_not_there(tmp_path):
    with pytest.raises(InputMissing, match="does not exist"):
        load_classifier(str(tmp_path / "no.skops"))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x80\x04K\x01."])
def test_what_is_no_skops_file(content, tmp_path):
    (tmp_path / "a.skops").write_bytes(content)
    with pytest.raises(ModelInvalid, match="no classifier that `sardino classify` saved"):
        load_classifier(str(tmp_path / "a.skops"))


def test_other_types_are_refused_even_if_skops_trusts_them(tmp_path):
    stranger = GaussianNB().fit(X, LABEL)
    with pytest.raises(ModelInvalid, match="which no classifier of ours needs"):
        load_classifier(kept(tmp_path / "a.skops", stranger))
    with pytest.raises(ModelInvalid, match="which no classifier of ours needs"):
        load_classifier(kept(tmp_path / "b.skops", FunctionTransformer(np.log)))


def test_a_file_of_another_program(tmp_path):
    skops.io.dump({"estimator": 1}, tmp_path / "a.skops")
    with pytest.raises(ModelInvalid, match=r"a\.skops is no classifier"):
        load_classifier(str(tmp_path / "a.skops"))


def test_a_tree_that_points_beyond_itself(tmp_path):
    """scikit-learn would follow such an index out of its memory."""
    path = tmp_path / "a.skops"
    model = fitted("forest", X, LABEL, 0)
    state = model.estimators_[3].tree_.__getstate__()
    state["nodes"]["left_child"][0] = 10**6
    model.estimators_[3].tree_.__setstate__(state)
    with pytest.raises(ModelInvalid, match="damaged"):
        load_classifier(kept(path, model))


def test_a_feature_that_is_not_there(tmp_path):
    model = fitted("forest", X, LABEL, 0)
    state = model.estimators_[0].tree_.__getstate__()
    state["nodes"]["feature"][0] = 3
    model.estimators_[0].tree_.__setstate__(state)
    with pytest.raises(ModelInvalid, match="damaged"):
        load_classifier(kept(tmp_path / "a.skops", model))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"schema": 99}, "schema 99"),
        ({"classes": (TREES, WATER, replace(WATER, value=3, name="c"))}, "damaged"),
        ({"classes": (TREES, replace(WATER, name="trees"))}, "damaged"),
        ({"versions": {"scikit-learn": "0.1.2"}}, r"saved with scikit-learn 0\.1\.2"),
    ],
)
def test_a_description_that_does_not_fit(change, reason, tmp_path):
    with pytest.raises(ModelInvalid, match=reason):
        load_classifier(kept(tmp_path / "a.skops", said=replace(SAID, **change)))


def test_an_archive_that_unpacks_to_too_much(tmp_path, monkeypatch):
    monkeypatch.setattr("sardino_core.analysis.classify.classifier_file._LARGEST_BYTES", 100)
    with pytest.raises(ModelInvalid, match="unpacks to more"):
        load_classifier(kept(tmp_path / "a.skops"))


def test_it_holds_no_pickle(tmp_path):
    with zipfile.ZipFile(kept(tmp_path / "a.skops")) as archive:
        arrays = [name for name in archive.namelist() if name != "schema.json"]
        assert arrays
        for name in arrays:
            np.load(io.BytesIO(archive.read(name)), allow_pickle=False)  # raises for an array of objects
