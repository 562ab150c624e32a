"""A run that waited for its files says so, with the remedy that fits them; one that did not keeps quiet."""

import subprocess

import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st

from sardino_core.raster.block_cache import bounded_cache
from sardino_core.raster.grid import PixelWindow
from sardino_core.raster.reading.file_layout import FileLayout, is_remote
from sardino_core.raster.reading.sources import Source
from sardino_core.slow_reading import slow_reading

SECONDS = st.floats(0, 1e6)
PLAIN = FileLayout("scene.tif", False, "", False, 4000)


@given(waited_s=SECONDS, predicted_s=SECONDS)
def test_it_complains_of_a_third_of_the_time_and_never_of_seconds(waited_s, predicted_s):
    said = slow_reading(waited_s, predicted_s, [PLAIN], 4000)
    assert (said is not None) == (waited_s >= 5 and waited_s >= (waited_s + predicted_s) / 3)


@pytest.mark.parametrize(
    ("layout", "width_px", "remedy"),
    [
        (FileLayout("a.tif", True, "deflate", True, 4000), 100, "a.tif is remote; copy it to a local disk"),
        (FileLayout("a.tif", False, "deflate", True, 4000), 1999, "a.tif has no tiles"),
        (FileLayout("a.tif", False, "deflate", True, 4000), 4000, "a.tif is compressed by DEFLATE"),
        (FileLayout("a.tif", False, "lzw", False, 4000), 100, "a.tif is compressed by LZW"),
        (FileLayout("a.tif", False, "zstd", False, 4000), 4000, "a faster disk"),
    ],
)
def test_the_remedy_fits_the_file(layout, width_px, remedy):
    said = slow_reading(40, 20, [PLAIN, layout], width_px)
    assert said.startswith("The network waited for the files for 40 s of 60 s: ") and remedy in said
    assert ("gdal_translate" in said) == ("tiles" in remedy or "compressed" in remedy)


@pytest.mark.parametrize(
    ("path", "remote"),
    [("https://host/a.tif", True), ("s3://bucket/a.tif", True), ("/vsicurl/https://host/a.tif", True),
     ("/vsizip/scenes.zip/a.tif", False), ("file:///a.tif", False), ("C:\\scenes\\a.tif", False), ("a.tif", False)],
)  # fmt: skip
def test_what_lies_beyond_a_network(path, remote):
    assert is_remote(path) == remote


def write(path, **creation):
    """Two float32 bands of noise, 700 columns."""
    pixels = np.random.default_rng(0).normal(-12, 3, (2, 600, 700)).astype(np.float32)
    profile = {"driver": "GTiff", "count": 2, "dtype": "float32", "width": 700, "height": 600, **creation}
    with rasterio.open(
        path, "w", crs="EPSG:32633", transform=rasterio.Affine(10, 0, 5e5, 0, -10, 5e6), **profile
    ) as out:
        out.write(pixels)
    return str(path)


def test_a_layout_is_read_from_the_file_and_the_remedy_mends_it(tmp_path):
    source = Source(write(tmp_path / "strips.tif", compress="deflate"))
    assert source.layout == FileLayout("strips.tif", False, "deflate", True, 700)
    source.close()
    said = slow_reading(60, 30, [source_layout(tmp_path / "strips.tif")], 100)
    command = said.partition("once: ")[2].rstrip(".").split()
    paths = {"IN.tif": str(tmp_path / "strips.tif"), "OUT.tif": str(tmp_path / "better.tif")}
    try:
        subprocess.run([paths.get(word, word) for word in command], check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("gdal_translate is not here")
    assert source_layout(tmp_path / "better.tif") == FileLayout("better.tif", False, "zstd", False, 700)
    assert slow_reading(60, 30, [source_layout(tmp_path / "better.tif")], 100).endswith("a faster disk would help.")


def source_layout(path):
    """As the reader sees it."""
    source = Source(str(path))
    try:
        return source.layout
    finally:
        source.close()


def test_the_cache_holds_a_row_of_tiles(tmp_path):
    """Megabytes taken for bytes let every tile be decoded anew for each strip that crosses it."""
    path = write(tmp_path / "tiles.tif", tiled=True, blockxsize=256, blockysize=256)
    with bounded_cache():
        source = Source(path)
        before = source.read([1, 2], PixelWindow(0, 0, 96, 700))
        content = (tmp_path / "tiles.tif").read_bytes()
        (tmp_path / "tiles.tif").write_bytes(content[:2000] + bytes(len(content) - 2000))  # the disk has nothing now
        again = source.read([1, 2], PixelWindow(0, 0, 96, 700))
        source.close()
    assert np.isfinite(before).all() and before.std() > 1
    np.testing.assert_array_equal(again, before)
