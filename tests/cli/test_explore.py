"""`sardino explore`: what a place attends to and resembles, and that nothing is computed twice."""

import numpy as np
import pytest
import rasterio

from sardino_core import explorations
from sardino_core.contract.jobs import ExploreJob, RunOptions, SceneOptions
from sardino_core.contract.listener import Listener
from sardino_core.explore import explore
from sardino_core.models.outputs import attention_maps, attention_of
from sardino_core.models.predictor import load_predictor
from sardino_core.raster.scaling import standardise
from tests.cli.conftest import UTM_10M, speckled, write_raster

SIDE, CELL = 4, 8  # patches of a window, pixels of a patch


def at(row, col):
    """A place in a patch, in map coordinates; the last row and column of patches are partial."""
    return UTM_10M @ ((col + 0.2) * CELL, (row + 0.2) * CELL)


@pytest.fixture(autouse=True)
def nothing_kept():
    explorations._kept.clear()


@pytest.fixture
def ask(model, scene, tmp_path):
    """Ask for a place: (values, the dataset's profile, the result)."""

    def ask_for(place, mode="attention", inputs=scene, **options):
        extent = options.pop("extent", None)
        output = tmp_path / "answer.tif"
        job = ExploreJob(
            SceneOptions((str(inputs),), extent=extent), RunOptions(str(model)), str(output), place, mode, **options
        )
        result = explore(job)
        with rasterio.open(output) as dataset:
            return dataset.read(1), dataset, result

    return ask_for


@pytest.mark.parametrize(("cell", "first"), [((5, 6), (3, 4)), ((0, 0), (0, 0)), ((11, 12), (8, 9)), ((1, 12), (0, 9))])
@pytest.mark.parametrize(("head", "choose"), [("2", lambda maps: maps[1]), ("mean", lambda maps: maps.mean(axis=0))])
def test_it_is_the_networks_attention_in_the_window_around_the_place(ask, model, scene, cell, first, head, choose):
    values, dataset, _ = ask(at(*cell), layer=0, head=head)
    assert values.shape == (SIDE, SIDE)
    assert dataset.transform.almost_equals(UTM_10M @ UTM_10M.scale(CELL) @ UTM_10M.translation(first[1], first[0]))
    predictor = load_predictor(model)
    with rasterio.open(scene) as source:
        pixels = np.pad(source.read(), ((0, 0), (0, 6), (0, 4)), mode="symmetric")  # to whole patches
    rows, cols = (slice(start * CELL, (start + SIDE) * CELL) for start in first)
    inputs = predictor.spec.inputs
    window = standardise(pixels[:, rows, cols], np.ones((32, 32), bool), inputs.bands, inputs.clip_db)
    pairs = predictor.queries_keys(window[None])[0, 0]
    token = 1 + (cell[0] - first[0]) * SIDE + cell[1] - first[1]
    expected = choose(attention_maps(attention_of(pairs, token)[None, :, 1:], SIDE)[0])
    np.testing.assert_allclose(values, expected, rtol=1e-3)


def test_the_class_tokens_attention_is_that_of_the_attention_maps(ask, run, model, tmp_path):
    source = write_raster(tmp_path / "one.tif", speckled(32, 32))
    assert run("attention", source, "--model", model, "--output", tmp_path / "a.tif", "--resolution", "patch")[0] == 0
    values, dataset, _ = ask(at(0, 3), "class", source, head="3")
    with rasterio.open(tmp_path / "a.tif") as maps:
        np.testing.assert_allclose(values, maps.read(3), rtol=1e-4)
        assert dataset.transform == maps.transform and dataset.crs == maps.crs


def test_a_place_is_most_similar_to_itself_and_similarity_goes_both_ways(ask, model, run, scene, tmp_path):
    one, dataset, _ = ask(at(2, 3), "similarity")
    other, _, _ = ask(at(9, 11), "similarity")
    assert one.shape == (12, 13) and dataset.transform == UTM_10M @ UTM_10M.scale(CELL)
    assert one[2, 3] == pytest.approx(1, abs=1e-3) and one.max() == one[2, 3]
    assert one[9, 11] == pytest.approx(other[2, 3], abs=1e-3)
    command = ["embed", scene, "--model", model, "--output", tmp_path / "tokens.tif", "--dtype", "float32"]
    assert run(*command, "--overlap", 0.25)[0] == 0
    with rasterio.open(tmp_path / "tokens.tif") as tokens:
        values = tokens.read()
    lengths = np.linalg.norm(values, axis=0)
    cosines = np.einsum("dhw,d->hw", values, values[:, 2, 3]) / lengths / lengths[2, 3]
    np.testing.assert_allclose(one, cosines, atol=2e-3)


def test_similarity_keeps_to_the_extent(ask):
    left, top = UTM_10M @ (16, 16)
    values, dataset, _ = ask(at(3, 4), "similarity", extent=(left, top - 400, left + 480, top))
    assert values.shape == (5, 6) and (dataset.transform.c, dataset.transform.f) == (left, top)
    assert np.unravel_index(values.argmax(), values.shape) == (1, 2)


def test_nothing_is_computed_twice(ask):
    windows = [
        ask(at(5, 6))[2].values["windows"],
        ask(at(5, 6), layer=0, head="1")[2].values["windows"],
        ask(at(5, 6), "class")[2].values["windows"],
        ask(at(5, 7))[2].values["windows"],
        ask(at(5, 6))[2].values["windows"],
        ask(at(0, 0))[2].values["windows"],
        ask(at(1, 1))[2].values["windows"],  # in the corner it is the same window
    ]
    assert windows == [1, 0, 0, 1, 0, 1, 0]
    tokens = [ask(at(row, 3), "similarity")[2].values["windows"] for row in (2, 9)]
    assert tokens[0] > 1 and tokens[1] == 0


def test_what_is_kept_is_that_of_the_file_as_it_is_now(ask, scene):
    before, _, _ = ask(at(5, 6))
    write_raster(scene, speckled(90, 100, seed=5))
    after, _, result = ask(at(5, 6))
    assert result.values["windows"] == 1 and not np.array_equal(before, after)


def test_what_is_kept_is_bounded(ask, model, tmp_path, monkeypatch):
    pair = 2 * 2 * 3 * 17 * 16 * 4  # bytes of a window's queries and keys
    monkeypatch.setattr(explorations, "_WINDOW_BYTES", 3 * pair)
    for col in range(3, 9):
        ask(at(5, col))
    (kept,) = explorations._kept.values()
    assert [first.col for first in kept._windows] == [4, 5, 6]
    for number in range(4):
        ask(at(1, 1), inputs=write_raster(tmp_path / f"{number}.tif", speckled(40, 40)))
    assert len(explorations._kept) == 2
    monkeypatch.setattr(explorations, "_TOKEN_BYTES", 24 * 2 * 48)
    assert ask(at(1, 1), "similarity", inputs=write_raster(tmp_path / "4.tif", speckled(32, 48)))[0].shape == (4, 6)


def test_nodata_is_nan_and_nothing_to_ask_about(run, model, tmp_path):
    values = speckled(64, 64)
    values[:, :, :24] = np.nan
    source, output = write_raster(tmp_path / "scene.tif", values), tmp_path / "answer.tif"
    x, y = at(4, 3)
    for mode in ("attention", "similarity"):
        command = ["explore", source, "--model", model, "--output", output, "--mode", mode]
        assert run(*command, "--at", f"{x},{y}")[0] == 0
        with rasterio.open(output) as dataset:
            missing = np.isnan(dataset.read(1))
            begins = round((dataset.transform.c - UTM_10M.c) / 80)
        assert missing[:, : 3 - begins].all() and not missing[:, 3 - begins :].any()
        for row, col in ((4, 1), (0, 0)):
            x1, y1 = at(row, col)
            status, _, err = run(*command, "--at", f"{x1},{y1}")
            assert status == 1 and "has no valid pixel" in err and "Choose a place" in err


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--at", "0,0"], "The place 0,0 lies outside the scene, which covers 500000,4999100,501000,5000000"),
        (["--at=500100,4999900", "--layer", "2"], "Layer 2 does not exist"),
        (["--at=500100,4999900", "--head", "4"], "Head 4 does not exist; the model has 1 to 3"),
        (["--at=500100,4999900", "--head", "best"], "allowed are mean, max, or a number from 1"),
        (["--at=nan,4999900"], "endless"),
        (
            ["--at=500100,4999900", "--extent=500500,4999200,500900,4999500"],
            "lies outside the scene, which covers 5005",
        ),
    ],
)
def test_bad_input_is_told_in_one_line_and_leaves_nothing(run, model, scene, tmp_path, options, text):
    status, _, err = run("explore", scene, "--model", model, "--output", tmp_path / "answer.tif", *options)
    *_, last = err.splitlines()
    assert status == 1 and last.startswith("error: ") and text in last and "Traceback" not in err
    assert [path.name for path in tmp_path.iterdir()] == ["scene.tif"]


def test_too_large_an_area_says_so(run, model, scene, tmp_path, monkeypatch):
    monkeypatch.setattr(explorations, "_TOKEN_BYTES", 1000)
    command = ["explore", scene, "--model", model, "--output", tmp_path / "a.tif", "--mode", "similarity"]
    status, _, err = run(*command, "--at=500100,4999900")
    assert status == 1 and "The area has 156 patches; similarity keeps the tokens of up to 10. Zoom in" in err


def test_a_cancelled_question_leaves_nothing_and_can_be_asked_again(model, scene, tmp_path):
    class Impatient(Listener):
        def __init__(self):
            self.heard = []

        def progress(self, fraction, message):
            self.heard.append(message)

        def cancelled(self):
            return any("window" in message for message in self.heard)

    job = ExploreJob(
        SceneOptions((str(scene),)),
        RunOptions(str(model), batch_size=1),
        str(tmp_path / "a.tif"),
        at(5, 6),
        "similarity",
    )
    with pytest.raises(Exception, match="stopped") as raised:
        explore(job, Impatient())
    assert raised.value.code == "cancelled"
    assert [path.name for path in tmp_path.iterdir()] == ["scene.tif"]
    assert explore(job).values["windows"] > 1
