"""`sardino composite`: real files in, a stack that `segment` reads; bad input, cancelling, a full disk."""

import json
import subprocess
import sys
import textwrap
import tracemalloc

import numpy as np
import pytest
import rasterio
from affine import Affine

from sardino_core.composite import composite
from sardino_core.contract.errors import Cancelled
from sardino_core.contract.jobs import CompositeJob, SimulateJob
from sardino_core.contract.listener import Listener
from sardino_core.contract.model_spec import BandSpec, InputSpec
from sardino_core.simulate import simulate_scene
from tests.cli.conftest import UTM_10M, speckled, write_raster
from tests.cli.test_bad_input import refuse

DAYS = ("20240105", "20240117", "20240704", "20240716")


def dated(folder, day, values, **options):
    """A VV/VH raster whose name tells the day."""
    folder.mkdir(parents=True, exist_ok=True)
    return write_raster(folder / f"a_{day}.tif", values, **options)


@pytest.fixture
def dates(tmp_path):
    """Four dates of one place; a corner of the first has no data."""
    found = [speckled(70, 80, seed) for seed in range(4)]
    found[0][:, :20, :30] = np.nan
    return [dated(tmp_path / "in", day, values) for day, values in zip(DAYS, found, strict=True)]


def read(path):
    with rasterio.open(path) as dataset:
        return dataset.read(), dataset.descriptions, dataset.tags()


def power_of(path):
    return 10 ** (read(path)[0].astype(np.float64) / 10)


def test_the_mean_is_that_of_power_and_the_tags_tell_of_what(run, dates, tmp_path):
    output, quality = tmp_path / "c.tif", tmp_path / "q.tif"
    status, out, err = run("composite", *dates, "--output", output, "--quality", quality)
    assert status == 0, err
    assert "4 dates" in out and "tell no orbit" in err
    values, names, tags = read(output)
    assert names == ("VV", "VH") and values.dtype == np.float32
    expected = 10 * np.log10(np.nanmean([power_of(path) for path in dates], axis=0))
    np.testing.assert_allclose(values, expected, atol=1e-4)
    assert tags["SARDINO_UNITS"] == "dB" and tags["ACQUISITION_DATE"] == "2024-01-05/2024-07-16"
    assert json.loads(tags["SARDINO_DATES"]) == {
        "all dates, unknown orbit": ["2024-01-05", "2024-01-17", "2024-07-04", "2024-07-16"]
    }
    (count, *looks), names, _ = read(quality)
    assert names == ("count", "looks VV", "looks VH")
    assert (count[:20, :30] == 3).all() and (count[20:] == 4).all()
    assert 10 < np.nanmedian(looks[0]) < 25  # four dates of five looks


def test_the_order_of_the_inputs_does_not_matter(run, dates, tmp_path):
    for name, order in (("a.tif", dates), ("b.tif", [dates[2], dates[0], dates[3], dates[1]])):
        assert run("composite", *order, "--output", tmp_path / name)[0] == 0
    np.testing.assert_array_equal(read(tmp_path / "a.tif")[0], read(tmp_path / "b.tif")[0])


@pytest.mark.parametrize("units", ["dB", "power"])
def test_a_composite_of_one_date_is_that_date(run, tmp_path, units):
    db = speckled(70, 80)
    db[:, 3, 4] = np.nan
    source = dated(tmp_path, "20240105", db if units == "dB" else (10 ** (db / 10)).astype(np.float32))
    options = ["--units", "power"] if units == "power" else []
    assert run("composite", source, "--output", tmp_path / "c.tif", *options)[0] == 0
    np.testing.assert_allclose(read(tmp_path / "c.tif")[0], db, atol=2e-5)


def test_by_season_the_bands_are_what_a_model_of_seasons_reads(run, dates, tmp_path):
    output = tmp_path / "c.tif"
    assert run("composite", *dates, "--by", "season", "--output", output)[0] == 0
    values, names, _ = read(output)
    assert names == ("VV@winter", "VH@winter", "VV@summer", "VH@summer")
    expected = 10 * np.log10(np.mean([power_of(path) for path in dates[2:]], axis=0))
    np.testing.assert_allclose(values[2:], expected, atol=1e-4)


@pytest.fixture(scope="module")
def seasonal_model(tmp_path_factory):
    """A model of VV and VH in winter and summer."""
    from dataclasses import replace

    from sardino_core.models.export import export_onnx
    from sardino_core.models.model_file import save_model
    from tests.models.networks import lively_network
    from tests.models.specs import make_spec

    plain = make_spec()
    bands = tuple(
        BandSpec(name, level, 5.0, season)
        for season in ("winter", "summer")
        for name, level in (("VV", -11.0), ("VH", -18.0))
    )
    spec = replace(plain, inputs=InputSpec(bands, composite=True))
    path = tmp_path_factory.mktemp("model") / "seasons.safetensors"
    save_model(path, spec, lively_network(spec).state_dict())
    export_onnx(path)
    return path


def test_segment_reads_composites_without_asking(run, model, seasonal_model, dates, tmp_path):
    for by, used in (("all", model), ("season", seasonal_model)):
        stack, output = tmp_path / f"{by}.tif", tmp_path / f"{by}_map.tif"
        assert run("composite", *dates, "--by", by, "--output", stack)[0] == 0
        status, _, err = run("segment", stack, "--model", used, "--output", output)
        assert status == 0 and "warning" not in err, err
        classes, _, tags = read(output)
        assert (classes > 0).all()
        assert tags["ACQUISITION_DATE"] == "2024-01-05/2024-07-16"


def test_two_orbits_have_bands_of_their_own_and_segment_takes_one(run, model, tmp_path):
    passes = [
        write_raster(tmp_path / f"S1A__IW___{way}_202401{day}T053000_db.tif", speckled(50, 60, seed))
        for seed, (way, day) in enumerate([("A", "05"), ("A", "17"), ("D", "06")])
    ]
    output = tmp_path / "c.tif"
    status, _, err = run("composite", *passes, "--output", output)
    assert status == 0 and "2 orbits" in err
    values, names, _ = read(output)
    assert names == ("VV ascending", "VH ascending", "VV descending", "VH descending")
    np.testing.assert_allclose(values[2:], read(passes[2])[0], atol=2e-5)
    assert run("segment", output, "--model", model, "--output", tmp_path / "map.tif")[0] == 0
    assert run("composite", *passes, "--orbit", "descending", "--output", output)[0] == 0
    assert read(output)[1] == ("VV", "VH") and read(output)[2]["ORBIT"] == "descending"


def test_shifted_dates_are_laid_over_each_other_and_the_grid_holds_all(run, tmp_path):
    whole = speckled(60, 70)
    first = dated(tmp_path / "1", "20240105", whole[:, :50, :60])
    second = dated(tmp_path / "2", "20240117", whole[:, 10:, 10:], transform=UTM_10M @ Affine.translation(10, 10))
    output, quality = tmp_path / "c.tif", tmp_path / "q.tif"
    assert run("composite", first, second, "--output", output, "--quality", quality)[0] == 0
    values, count = read(output)[0], read(quality)[0][0]
    assert values.shape == (2, 60, 70)
    np.testing.assert_allclose(values[:, count > 0], whole[:, count > 0], atol=2e-5)
    assert (count[10:50, 10:60] == 2).all() and (count[:10, 60:] == 0).all() and np.isnan(values[:, :10, 60:]).all()


def test_another_grid_is_resampled_in_power_and_said(run, dates, tmp_path):
    grid = write_raster(tmp_path / "grid.tif", speckled(30, 35), UTM_10M @ Affine.translation(1, 1) @ Affine.scale(2))
    output = tmp_path / "c.tif"
    status, _, err = run("composite", dates[3], "--grid", grid, "--output", output)
    assert status == 0 and "resampled (bilinear, in power)" in err
    with rasterio.open(output) as found, rasterio.open(grid) as wanted:
        assert (found.shape, found.transform) == (wanted.shape, wanted.transform)
        assert found.tags()["SARDINO_RESAMPLED"].startswith("1 of 1 dates, bilinear")
        level = np.mean(10 ** (found.read().astype(np.float64) / 10), axis=(1, 2))
    np.testing.assert_allclose(level, power_of(dates[3]).mean(axis=(1, 2)), rtol=0.1)


def test_extent_and_dates(run, dates, tmp_path):
    output = tmp_path / "c.tif"
    extent = "--extent=500100,4999500,500400,4999800"
    assert run("composite", *dates, extent, "--output", output)[0] == 0
    with rasterio.open(output) as found:
        assert found.bounds == (500_100, 4_999_500, 500_400, 4_999_800)
    undated = write_raster(tmp_path / "b.tif", speckled(50, 60))
    command = [
        "composite",
        undated,
        dates[0],
        "--output",
        output,
        "--dates",
        "2024-03-01",
        "2024-03-13",
        "--by",
        "month",
    ]
    assert run(*command)[0] == 0
    assert read(output)[1] == ("VV 2024-03", "VH 2024-03")


def test_looks_grow_with_independent_takes(tmp_path):
    """Of two composites of the same ground, whose difference is speckle alone."""
    paths = []
    for take in range(8):
        simulate_scene(SimulateJob(str(tmp_path / str(take)), 96, 7, take=take))
        paths.append(str(tmp_path / str(take) / "scene.tif"))

    def looks(count):
        pair = []
        for takes in (paths[:count], paths[4 : 4 + count]):
            days = tuple(f"2024-01-{day:02d}" for day in range(1, count + 1))
            composite(CompositeJob(tuple(takes), str(tmp_path / "c.tif"), dates=days))
            pair.append(power_of(tmp_path / "c.tif"))
        return 2 / np.mean(((pair[0] - pair[1]) / np.mean(pair, axis=0)) ** 2)

    assert looks(4) / looks(1) == pytest.approx(4, rel=0.15)


def test_memory_grows_neither_with_the_dates_nor_with_the_height(tmp_path, monkeypatch):
    monkeypatch.setattr("sardino_core.composite._STRIP_ROWS", 128)

    def peak(count, height):
        days = [f"202401{day:02d}" for day in range(1, count + 1)]
        paths = [str(dated(tmp_path / f"{height}", day, speckled(height, 256))) for day in days]
        tracemalloc.start()
        composite(CompositeJob(tuple(paths), str(tmp_path / "c.tif"), quality=str(tmp_path / "q.tif")))
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    few = peak(3, 640)
    assert peak(9, 640) < 1.2 * few
    assert peak(3, 1280) < 1.2 * few


@pytest.mark.parametrize("options", [[], ["--filter", "quegan"]])
def test_strips_leave_no_seams(run, dates, tmp_path, monkeypatch, options):
    command = ["composite", *dates, "--quality", tmp_path / "q.tif", *options, "--output"]
    assert run(*command, tmp_path / "whole.tif")[0] == 0
    quality = read(tmp_path / "q.tif")[0]
    monkeypatch.setattr("sardino_core.composite._STRIP_ROWS", 11)
    assert run(*command, tmp_path / "strips.tif")[0] == 0
    np.testing.assert_array_equal(read(tmp_path / "whole.tif")[0], read(tmp_path / "strips.tif")[0])
    np.testing.assert_array_equal(quality, read(tmp_path / "q.tif")[0])


def test_a_date_without_data_is_left_out_and_told(run, dates, tmp_path):
    empty = dated(tmp_path / "in", "20240801", np.full((2, 70, 80), np.nan, np.float32))
    status, out, err = run("composite", *dates, empty, "--output", tmp_path / "c.tif")
    assert status == 0 and "4 dates" in out
    assert "2024-08-01 (a_20240801.tif) is left out" in err


def test_bad_input_is_one_line(run, dates, tmp_path):
    def refused(*inputs, output="c.tif"):
        return refuse(run, tmp_path, "composite", *inputs, "--output", tmp_path / output)

    no_crs = dated(tmp_path / "other", "20240110", speckled(70, 80), crs=None)
    assert "a_20240110.tif) has no CRS" in refused(dates[0], no_crs)
    one = dated(tmp_path / "single", "20240110", speckled(70, 80)[:1], names=("VV",))
    assert "`composite` needs VV and VH" in refused(one)
    twice = dated(tmp_path / "twice", DAYS[0], speckled(70, 80))
    assert "2024-01-05 comes twice" in refused(*dates, twice)
    undated = write_raster(tmp_path / "other" / "b.tif", speckled(70, 80))
    assert "--dates" in refused(*dates, undated)
    assert "1 dates for 4 inputs" in refused(*dates, "--dates", "2024-01-01")
    assert "'2024-02-30' is not" in refused(dates[0], "--dates", "2024-02-30")
    assert "orbit 12" in refused(*dates, "--orbit", "12")
    far = dated(tmp_path / "far", "20240110", speckled(70, 80), transform=UTM_10M @ Affine.translation(9e5, 0))
    assert "pixels apart" in refused(dates[0], far)
    assert "also read" in refused(*dates, output="in/a_20240105.tif")
    assert "two outputs" in refused(*dates, "--quality", tmp_path / "c.tif")
    assert "outside the raster" in refused(*dates, "--extent=0,0,10,10")
    nothing = dated(tmp_path / "nothing", "20240110", np.full((2, 70, 80), np.nan, np.float32))
    assert "No date holds a valid pixel" in refused(nothing)


class StopsLater(Listener):
    """Wants to stop once averaging has begun."""

    def __init__(self):
        self.begun = False

    def progress(self, fraction, message):
        self.begun |= message == "averaging"

    def cancelled(self):
        return self.begun


def test_cancelling_leaves_nothing_and_the_old_result_stays(dates, tmp_path, monkeypatch):
    monkeypatch.setattr("sardino_core.composite._STRIP_ROWS", 16)
    output = tmp_path / "c.tif"
    output.write_bytes(b"an earlier result")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(Cancelled):
        composite(CompositeJob(tuple(map(str, dates)), str(output), quality=str(tmp_path / "q.tif")), StopsLater())
    assert sorted(tmp_path.rglob("*")) == before and output.read_bytes() == b"an earlier result"


@pytest.mark.skipif(sys.platform == "win32", reason="file size limits")
@pytest.mark.parametrize("limit_kb", [1, 60])
def test_a_full_disk_leaves_nothing(tmp_path, limit_kb):
    source = dated(tmp_path / "in", "20240105", speckled(300, 300))
    before = sorted(tmp_path.rglob("*"))
    script = f"""
        import resource, signal, sys
        from sardino_core.cli import main
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, ({limit_kb} << 10, {limit_kb} << 10))
        sys.exit(main(["composite", sys.argv[1], "--output", sys.argv[2]]))
    """
    process = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), str(source), str(tmp_path / "c.tif")],
        capture_output=True,
        text=True,
    )
    assert process.returncode == 1, process.stderr
    told = process.stderr.splitlines()[-1]
    assert told.startswith("error: ") and "could not be written completely" in told
    assert sorted(tmp_path.rglob("*")) == before


def test_real_dates_of_one_place(run, data_folder, tmp_path):
    files = sorted((data_folder / "opera_rtc_10SGD").glob("20*/*T137-292321*.tif"))
    output = tmp_path / "c.tif"
    assert run("composite", *files, "--by", "season", "--output", output)[0] == 0
    values, names, tags = read(output)
    assert names == ("VV@winter", "VH@winter", "VV@fall", "VH@fall") and tags["RELATIVE_ORBIT"] == "137"
    winter = [path for path in files if path.parent.name[5:7] in ("12", "01") and path.name.endswith("VV.tif")]
    with np.errstate(invalid="ignore"):
        expected = 10 * np.log10(np.nanmean([read(path)[0][0] for path in winter], axis=0))
    np.testing.assert_allclose(values[0], expected, atol=1e-3)
