"""`sardino change`: what has changed is marked, what has not is not; bad input, cancelling, a full disk."""

import json
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import rasterio
from affine import Affine

from sardino_core.change import change
from sardino_core.contract.errors import Cancelled
from sardino_core.contract.jobs import ChangeJob, RunOptions
from sardino_core.contract.listener import Listener
from tests.cli.conftest import UTM_10M, speckled, write_raster
from tests.cli.test_bad_input import refuse

SIDE = 96


def dated(folder, day, values, **options):
    """A VV/VH raster whose name tells the day."""
    folder.mkdir(parents=True, exist_ok=True)
    return write_raster(folder / f"a_{day}.tif", values, **options)


@pytest.fixture
def before(tmp_path):
    """Three dates, speckle apart the same."""
    return [dated(tmp_path / "in", f"2024010{day}", speckled(SIDE, SIDE, day)) for day in (1, 2, 3)]


@pytest.fixture
def after(tmp_path):
    """A fourth, with a strip without data."""
    values = speckled(SIDE, SIDE, 9)
    values[:, :, :16] = np.nan
    return dated(tmp_path / "in", "20240109", values)


def read(path):
    with rasterio.open(path) as dataset:
        return dataset.read(), dataset.descriptions, dataset.tags()


def test_a_change_is_marked_with_its_chance(run, model, before, after, tmp_path):
    output = tmp_path / "change.tif"
    command = ["change", "--before", *before, "--after", after, "--model", model, "--output", output]
    status, out, err = run(*command, "--false-alarm", 0.05)
    assert status == 0, err
    (distance, p_value, marked), names, tags = read(output)
    assert names == ("distance", "p-value", "change") and distance.shape == (12, 12)
    empty = np.zeros((12, 12), bool)
    empty[:, :2] = True
    for band in (distance, p_value, marked):
        np.testing.assert_array_equal(np.isnan(band), empty)
    np.testing.assert_array_equal(marked[~empty], p_value[~empty] <= 0.05)
    assert np.nanmin(distance) >= 0 and np.nanmin(p_value) > 0 and np.nanmax(p_value) <= 1
    order = np.argsort(distance[~empty])
    assert (np.diff(p_value[~empty][order]) <= 0).all()
    assert tags["SARDINO_REFERENCES"] == "3" and tags["SARDINO_NULL_DISTANCES"] == "360"
    assert tags["SARDINO_FALSE_ALARM"] == "0.05" and "leave-one-out" in tags["SARDINO_NULL"]
    assert json.loads(tags["SARDINO_BEFORE"]) == ["2024-01-01", "2024-01-02", "2024-01-03"]
    assert (tags["SARDINO_AFTER"], tags["ACQUISITION_DATE"]) == ("2024-01-09", "2024-01-01/2024-01-09")
    assert f"{int(np.nansum(marked))} of 120 patches changed" in out
    assert "360 distances of 3 reference dates" in out and "leave-one-out" in err and "no orbit" in err


def test_new_water_is_marked_and_stands_out(run, tmp_path):
    """By the starter, which knows water."""
    dates = [dated(tmp_path / "in", f"2024010{day}", speckled(224, 224, day)) for day in (1, 2, 3)]
    values = speckled(224, 224, 9)
    values[:, 64:112, 32:80] -= 12
    later = dated(tmp_path / "in", "20240109", values)
    output = tmp_path / "change.tif"
    assert run("change", "--before", *dates, "--after", later, "--model", "starter", "--output", output)[0] == 0
    distance, _, marked = read(output)[0]
    water = np.zeros((28, 28), bool)
    water[8:14, 4:10] = True
    assert marked[water].mean() > 0.8 > 2 * marked[~water].mean()
    assert np.median(distance[water]) > 3 * np.median(distance[~water])


def test_the_marks_are_those_of_the_p_values_at_every_rate(run, model, before, after, tmp_path):
    command = ["change", "--before", *before, "--after", after, "--model", model, "--output"]
    found = {}
    for rate in (0.01, 0.3):
        assert run(*command, tmp_path / f"{rate}.tif", "--false-alarm", rate)[0] == 0
        found[rate] = read(tmp_path / f"{rate}.tif")[0]
    np.testing.assert_array_equal(found[0.01][:2], found[0.3][:2])
    for rate, (_, p_value, marked) in found.items():
        assert np.nansum(marked) == (p_value <= rate).sum()


def test_the_order_of_the_reference_dates_does_not_matter(run, model, before, after, tmp_path):
    for name, dates in (("a.tif", before), ("b.tif", before[::-1])):
        command = ["change", "--before", *dates, "--after", after, "--model", model, "--output", tmp_path / name]
        assert run(*command)[0] == 0
    np.testing.assert_array_equal(read(tmp_path / "a.tif")[0], read(tmp_path / "b.tif")[0])


def test_the_same_pixels_again_are_no_change(run, model, before, tmp_path):
    again = dated(tmp_path / "in", "20240110", read(before[0])[0])
    output = tmp_path / "change.tif"
    assert run("change", "--before", *before, "--after", again, "--model", model, "--output", output)[0] == 0
    assert read(output)[0][2].mean() <= 0.02


def test_bad_input_is_one_line(run, model, before, after, tmp_path):
    def refused(*command, output="change.tif"):
        return refuse(run, tmp_path, "change", *command, "--model", model, "--output", tmp_path / output)

    assert "--before holds 2 dates; 3 or more" in refused("--before", *before[:2], "--after", after)
    assert "--before holds 1 date; 3" in refused("--before", before[0], before[0], before[0], "--after", after)
    assert "--after holds 2 dates" in refused("--before", *before, "--after", after, before[0])
    assert "both before and after" in refused("--before", *before, "--after", before[1])
    shifted = dated(
        tmp_path / "shifted", "20240120", speckled(SIDE, SIDE), transform=UTM_10M @ Affine.translation(1, 0)
    )
    line = refused("--before", *before, "--after", shifted)
    assert "other pixels" in line and "sardino composite" in line
    no_crs = dated(tmp_path / "bare", "20240120", speckled(SIDE, SIDE), crs=None)
    assert "has no CRS" in refused("--before", *before, "--after", no_crs)
    one = dated(tmp_path / "one", "20240120", speckled(SIDE, SIDE)[:1], names=("VV",))
    assert "needs VV and VH" in refused("--before", *before, "--after", one)
    undated = write_raster(tmp_path / "in" / "undated.tif", speckled(SIDE, SIDE))
    assert "--dates" in refused("--before", *before, "--after", undated)
    empty = dated(tmp_path / "empty", "20240120", np.full((2, SIDE, SIDE), np.nan, np.float32))
    assert "Not every date holds data" in refused("--before", *before, "--after", empty)
    assert "out of range" in refused("--before", *before, "--after", after, "--false-alarm", 0)
    assert "too few for a false-alarm rate" in refused("--before", *before, "--after", after, "--false-alarm", 1e-4)
    assert "also read" in refused("--before", *before, "--after", after, output="in/a_20240101.tif")


def test_other_orbits_are_refused(run, model, tmp_path):
    days = (f"S1A__IW___{way}_2024010{day}T053000_db.tif" for day, way in enumerate("DDDA", 1))
    *earlier, later = [write_raster(tmp_path / name, speckled(SIDE, SIDE)) for name in days]
    command = ["change", "--before", *earlier, "--after", later, "--model", model, "--output", tmp_path / "c.tif"]
    line = refuse(run, tmp_path, *command)
    assert "descending" in line and "ascending" in line and "one relative orbit" in line


class StopsLater(Listener):
    """Wants to stop once comparing has begun."""

    begun = False

    def progress(self, fraction, message):
        self.begun |= message.startswith("comparing")

    def cancelled(self):
        return self.begun


def test_cancelling_leaves_nothing(model, before, after, tmp_path):
    found = sorted(tmp_path.rglob("*"))
    run = RunOptions(str(model), batch_size=1)
    with pytest.raises(Cancelled):
        change(ChangeJob(tuple(map(str, before)), (str(after),), run, str(tmp_path / "c.tif")), StopsLater())
    assert sorted(tmp_path.rglob("*")) == found


@pytest.mark.skipif(sys.platform == "win32", reason="file size limits")
def test_a_full_disk_leaves_nothing(model, before, after, tmp_path):
    found = sorted(tmp_path.rglob("*"))
    script = """
        import resource, signal, sys
        from sardino_core.cli import main
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (300, 300))
        *before, after, model, output = sys.argv[1:]
        command = ["change", "--before", *before, "--after", after, "--model", model, "--output", output]
        sys.exit(main(command))
    """
    words = [*before, after, model, tmp_path / "c.tif"]
    process = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), *map(str, words)], capture_output=True, text=True
    )
    assert process.returncode == 1, process.stderr
    assert "could not be written completely" in process.stderr.splitlines()[-1]
    assert sorted(tmp_path.rglob("*")) == found


def test_real_dates_of_one_track(run, data_folder, tmp_path):
    files = sorted((data_folder / "opera_rtc_10SGD").glob("20*/*T137-292321*.tif"))
    output = tmp_path / "change.tif"
    command = ["change", "--before", *files[:-2], "--after", *files[-2:], "--model", "starter", "--output", output]
    status, _, err = run(*command)
    assert status == 0 and "no orbit" not in err, err
    assert read(output)[2]["RELATIVE_ORBIT"] == "137" and read(output)[2]["SARDINO_REFERENCES"] == "5"
