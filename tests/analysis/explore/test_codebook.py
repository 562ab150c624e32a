"""A codebook comes back as it was, belongs to one model, and tells its clusters apart."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sardino_core.analysis.explore.codebook import Codebook, read_codebook
from sardino_core.analysis.explore.colours import cluster_colours
from sardino_core.contract.errors import InputMissing, SettingInvalid
from sardino_core.contract.jobs import MOST_CLUSTERS
from sardino_core.raster.writing.class_legend import rgb


def codebook(clusters=3, width=6):
    random = np.random.default_rng(0)
    tables = {name: random.normal(size=shape).astype(np.float32)
              for name, shape in (("mean", width), ("basis", (width, 2)), ("centres", (clusters, 2)))}  # fmt: skip
    db = np.sort(random.uniform(-25, 0, (clusters, 2)), axis=0).astype(np.float32).round(2)
    return Codebook("small", "abc", ("VV", "VH"), db, **tables, variance=0.7)


def test_it_comes_back_to_the_last_bit(tmp_path):
    made = codebook()
    (tmp_path / "c.json").write_text(made.to_json(), encoding="utf-8")
    found = read_codebook(str(tmp_path / "c.json"), "small", "abc", 6)
    for name in ("mean", "basis", "centres"):
        np.testing.assert_array_equal(getattr(found, name), getattr(made, name))
    assert found.classes == made.classes and found.variance == made.variance
    tokens = np.random.default_rng(1).normal(size=(4, 6)).astype(np.float32)
    np.testing.assert_array_equal(found.shares(tokens), made.shares(tokens))


def test_shares_sum_to_one_and_the_nearest_centre_has_most():
    made = codebook(5)
    tokens = np.random.default_rng(2).normal(0, 50, size=(7, 3, 6)).astype(np.float32)
    shares = made.shares(tokens)
    np.testing.assert_allclose(shares.sum(axis=-1), 1, rtol=1e-5)
    points = (tokens - made.mean) @ made.basis
    distances = ((points[..., None, :] - made.centres) ** 2).sum(axis=-1)
    np.testing.assert_array_equal(shares.argmax(axis=-1), distances.argmin(axis=-1))


def test_names_tell_number_and_backscatter():
    made = codebook()
    assert [item.value for item in made.classes] == [1, 2, 3]
    vv, vh = made.backscatter_db[0]
    assert made.classes[0].name == f"cluster 1 (VV {vv:.1f}, VH {vh:.1f} dB)"


def test_another_model_is_refused(tmp_path):
    path = tmp_path / "c.json"
    path.write_text(codebook().to_json(), encoding="utf-8")
    with pytest.raises(SettingInvalid, match="made with the model small; this run uses starter"):
        read_codebook(str(path), "starter", "other", 6)
    with pytest.raises(SettingInvalid, match="other weights of the same name"):
        read_codebook(str(path), "small", "other", 6)


@pytest.mark.parametrize(
    "change",
    [
        {"schema": 2}, {"centres": []}, {"centres": [[1.0]]}, {"mean": [0.0]}, {"basis": [[1.0, 2.0]]},
        {"backscatter_db": []}, {"variance": "wide"}, {"extra": 1}, {"bands": ["VV"]},
    ],
    ids=lambda change: next(iter(change)),
)  # fmt: skip
def test_what_is_no_codebook_is_refused_in_one_line(tmp_path, change):
    path = tmp_path / "c.json"
    path.write_text(json.dumps({**json.loads(codebook().to_json()), **change}), encoding="utf-8")
    with pytest.raises(SettingInvalid, match="no codebook"):
        read_codebook(str(path), "small", "abc", 6)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"[1]", b"{", b"[" * 100_000, b'{"schema": NaN}'])
def test_strange_files_are_refused(tmp_path, content):
    (tmp_path / "c.json").write_bytes(content)
    with pytest.raises(SettingInvalid, match="no codebook"):
        read_codebook(str(tmp_path / "c.json"), "small", "abc", 6)
    with pytest.raises(InputMissing):
        read_codebook(str(tmp_path / "other.json"), "small", "abc", 6)


@given(st.integers(1, MOST_CLUSTERS))
def test_colours_grow_lighter_and_no_two_are_alike(count):
    colours = np.array([rgb(colour) for colour in cluster_colours(count)], float)
    luminance = ((colours / 255) ** 2.2) @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(luminance) > -0.05).all()
    apart = np.abs(colours[:, None] - colours[None]).sum(axis=2) + 1000 * np.eye(count)
    assert apart.min() > 20
