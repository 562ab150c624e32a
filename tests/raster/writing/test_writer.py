"""The streamed GeoTIFF: what was written is what is read, whatever the portions; a full disk is an error."""

import subprocess
import sys
import textwrap

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.crs import CRS

from sardino_core.raster.grid import RasterGrid
from sardino_core.raster.writing.writer import RasterLayout, RasterWriter, add_overviews, to_cog

GRID = RasterGrid(301, 517, Affine(10, 0, 500_000, 0, -10, 5_000_000), CRS.from_epsg(32633))


def write(path, values, layout, portions=(517,), grid=GRID):
    with RasterWriter(path, grid, layout) as writer:
        row = 0
        for portion in portions:
            writer.write(values[:, row : row + portion])
            row += portion


@settings(max_examples=10)
@given(cuts=st.lists(st.integers(1, 516), max_size=8))
def test_the_file_does_not_depend_on_the_portions(tmp_path_factory, cuts):
    folder = tmp_path_factory.mktemp("portions")
    values = np.random.default_rng(1).normal(size=(2, 517, 301)).astype(np.float32)
    edges = [0, *sorted(set(cuts)), 517]
    layout = RasterLayout("float32", ["a", "b"], np.nan)
    write(folder / "once.tif", values, layout)
    write(folder / "many.tif", values, layout, np.diff(edges))
    assert (folder / "once.tif").read_bytes() == (folder / "many.tif").read_bytes()
    with rasterio.open(folder / "many.tif") as dataset:
        np.testing.assert_array_equal(dataset.read(), values)


def test_layout(tmp_path):
    layout = RasterLayout("uint8", ["land cover"], 0, {"SARDINO_MODEL": "m"}, {80: (0, 100, 200, 255)})
    write(tmp_path / "a.tif", np.full((1, 517, 301), 80, np.uint8), layout)
    with rasterio.open(tmp_path / "a.tif") as dataset:
        assert dataset.crs == GRID.crs and dataset.transform == GRID.transform
        assert dataset.nodata == 0 and dataset.descriptions == ("land cover",)
        assert dataset.tags()["SARDINO_MODEL"] == "m"
        assert dataset.colormap(1)[80] == (0, 100, 200, 255)
        assert dataset.profile["tiled"] and dataset.profile["compress"] == "deflate"


def test_float16_keeps_eleven_bits_and_reads_as_float32_everywhere(tmp_path):
    values = np.random.default_rng(1).normal(size=(1, 517, 301)).astype(np.float32)
    values[0, 0, 0] = np.nan
    write(tmp_path / "a.tif", values, RasterLayout("float16", ["a"], np.nan))
    with rasterio.open(tmp_path / "a.tif") as dataset:
        read = dataset.read()
    assert read.dtype == np.float32
    np.testing.assert_allclose(read, values.astype(np.float16), rtol=2e-3, atol=1e-6)


def test_scales_and_offsets_are_in_the_file(tmp_path):
    layout = RasterLayout("int8", ["a"], -128, scales=[0.5], offsets=[2.0])
    write(tmp_path / "a.tif", np.full((1, 517, 301), 4, np.int8), layout)
    with rasterio.open(tmp_path / "a.tif") as dataset:
        assert (dataset.scales, dataset.offsets) == ((0.5,), (2.0,))


def test_many_bands_use_small_blocks_and_are_written_whole(tmp_path):
    values = np.arange(40 * 100 * 90, dtype=np.float32).reshape(40, 100, 90)
    grid = RasterGrid(90, 100, GRID.transform, GRID.crs)
    write(tmp_path / "a.tif", values, RasterLayout("float32", [str(i) for i in range(40)], np.nan), [33, 67], grid)
    with rasterio.open(tmp_path / "a.tif") as dataset:
        np.testing.assert_array_equal(dataset.read(), values)
        assert dataset.block_shapes[0] == (64, 64)


def test_cog_and_overviews_keep_pixels_names_and_colours(tmp_path):
    values = np.random.default_rng(1).integers(1, 9, (1, 517, 301)).astype(np.uint8)
    layout = RasterLayout("uint8", ["land cover"], 0, {"SARDINO_MODEL": "m"}, {1: (9, 8, 7, 255)})
    for name, finish in [("cog.tif", lambda path: to_cog(path, layout)), ("overviews.tif", add_overviews)]:
        write(tmp_path / name, values, layout)
        finish(tmp_path / name)
        with rasterio.open(tmp_path / name) as dataset:
            np.testing.assert_array_equal(dataset.read(), values)
            assert dataset.colormap(1)[1] == (9, 8, 7, 255)
            assert dataset.tags()["SARDINO_MODEL"] == "m"
            assert dataset.overviews(1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cog.tif", "overviews.tif"]


def test_a_cog_of_half_precision_stays_as_small_and_as_precise(tmp_path):
    values = np.random.default_rng(1).normal(size=(20, 512, 512)).astype(np.float32)
    grid = RasterGrid(512, 512, GRID.transform, GRID.crs)
    layout = RasterLayout("float16", [str(i) for i in range(20)], np.nan)
    write(tmp_path / "a.tif", values, layout, [512], grid)
    plain = (tmp_path / "a.tif").stat().st_size
    to_cog(tmp_path / "a.tif", layout)
    with rasterio.open(tmp_path / "a.tif") as dataset:
        np.testing.assert_allclose(dataset.read(), values.astype(np.float16), rtol=2e-3, atol=1e-6)
    assert (tmp_path / "a.tif").stat().st_size < 1.6 * plain  # whole blocks; the overviews add a third


@pytest.mark.skipif(sys.platform == "win32", reason="file size limits")
@pytest.mark.parametrize("finish", ["add_overviews(path)", "to_cog(path, layout)"])
@pytest.mark.parametrize("spare_kb", [1, 30, 150])
def test_a_disk_that_fills_up_while_overviews_or_a_cog_are_made_is_an_error(tmp_path, finish, spare_kb):
    script = f"""
        import resource, signal, sys
        import numpy as np
        from affine import Affine
        from pathlib import Path
        from sardino_core.contract.errors import OutputUnwritable
        from sardino_core.raster.grid import RasterGrid
        from sardino_core.raster.writing.writer import RasterLayout, RasterWriter, add_overviews, to_cog
        import logging; logging.basicConfig(handlers=[logging.NullHandler()])
        path, layout = Path(sys.argv[1]), RasterLayout("uint8", ["a"], 0)
        values = np.random.default_rng(0).integers(1, 255, (1, 900, 900)).astype(np.uint8)
        with RasterWriter(path, RasterGrid(900, 900, Affine.identity(), None), layout) as writer:
            writer.write(values)
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        limit = path.stat().st_size + ({spare_kb} << 10)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        try:
            {finish}
        except OutputUnwritable as error:
            print(error)
            sys.exit(7)
    """
    process = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), str(tmp_path / "a.tif")], capture_output=True, text=True
    )
    assert process.returncode == 7, process.stderr
    assert "could not be written completely" in process.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="file size limits")
@pytest.mark.parametrize("limit_kb", [1, 100, 900])
def test_a_full_disk_is_an_error(tmp_path, limit_kb):
    """A limit on the file's size takes GDAL through the same failing writes as a full disk."""
    script = f"""
        import resource, signal, sys
        import numpy as np
        from affine import Affine
        from sardino_core.contract.errors import OutputUnwritable
        from sardino_core.raster.grid import RasterGrid
        from sardino_core.raster.writing.writer import RasterLayout, RasterWriter
        from pathlib import Path
        import logging; logging.basicConfig(handlers=[logging.NullHandler()])
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, ({limit_kb} << 10, {limit_kb} << 10))
        grid = RasterGrid(512, 512, Affine.identity(), None)
        try:
            with RasterWriter(Path(sys.argv[1]), grid, RasterLayout("float32", ["a"], np.nan)) as writer:
                writer.write(np.random.default_rng(0).normal(size=(1, 512, 512)).astype(np.float32))
        except OutputUnwritable as error:
            print(error)
            sys.exit(7)
    """
    process = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), str(tmp_path / "a.tif")], capture_output=True, text=True
    )
    assert process.returncode == 7, process.stderr
    assert "could not be written completely" in process.stdout
    assert "Free disk space" in process.stdout
