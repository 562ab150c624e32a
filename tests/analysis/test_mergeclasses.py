"""Maps in, maps out: pixels, legend, tags; a stranger's map; what is refused; a full disk."""

import json
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st

from sardino_core.analysis import class_map
from sardino_core.analysis.mergeclasses import mergeclasses
from sardino_core.contract.errors import (
    Cancelled,
    InputMissing,
    NotARaster,
    NoValidData,
    OutputUnwritable,
    SettingInvalid,
)
from sardino_core.contract.jobs import MergeClassesJob
from sardino_core.contract.listener import Listener
from sardino_core.contract.model_spec import ClassSpec
from sardino_core.raster.writing.class_legend import read_aux_xml
from sardino_core.raster.writing.writer import add_overviews
from tests.analysis.maps import LEGEND, TREES, WATER, patchwork, write_map


class Heard(Listener):
    """Keeps what it hears; cancels at a share of the work."""

    def __init__(self, cancel_at=2.0):
        self.cancel_at, self.fractions, self.logs = cancel_at, [0.0], []

    def progress(self, fraction, message):
        self.fractions.append(fraction)

    def log(self, level, message):
        self.logs.append((level, message))

    def cancelled(self):
        return self.fractions[-1] >= self.cancel_at


def merge(source, target, *classes, listener=None, **settings):
    """Run it; the result's pixels by class, and the pixels (h, w)."""
    result = mergeclasses(MergeClassesJob(str(source), str(target), classes, **settings), listener)
    with rasterio.open(target) as dataset:
        return result.values["pixels"], dataset.read(1)


def replaced(values, **table):
    """The values with some of them replaced, `v10=1`."""
    found = values.astype(int)
    for old, new in table.items():
        found[values == int(old[1:])] = new
    return found


def test_classes_are_merged_and_the_rest_stays(tmp_path):
    values = patchwork()
    pixels, found = merge(write_map(tmp_path / "a.tif", values), tmp_path / "b.tif", "10,30=1:green:#1b7837", "254=0")
    expected = replaced(values, v10=1, v30=1, v254=0)
    assert (found == expected).all()
    assert pixels == {"green": int((expected == 1).sum()), "water": int((expected == 80).sum())}
    assert read_aux_xml(tmp_path / "b.tif.aux.xml")[1:] == (ClassSpec(1, "green", "#1b7837"), WATER)
    with rasterio.open(tmp_path / "a.tif") as before, rasterio.open(tmp_path / "b.tif") as after:
        assert (after.transform, after.crs, after.dtypes, after.nodata) == (
            before.transform, before.crs, ("uint8",), 0
        )  # fmt: skip
        assert after.colormap(1)[1] == (0x1B, 0x78, 0x37, 255) and after.colormap(1)[0][3] == 0
    style = (tmp_path / "b.qml").read_text(encoding="utf-8")
    assert 'label="green"' in style and 'label="nodata"' in style and "unsure" not in style
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tif", "a.tif.aux.xml", "b.qml", "b.tif",
                                                                "b.tif.aux.xml"]  # fmt: skip


def test_tags_are_kept_and_say_what_was_merged(tmp_path):
    first = write_map(tmp_path / "a.tif", patchwork())
    kept = {"SARDINO_MODEL": "starter", "ACQUISITION_DATE": "2020-11-05", "SARDINO_SIMULATED": "YES"}
    with rasterio.open(first, "r+") as dataset:
        dataset.update_tags(SARDINO_RUN_ID="1", SARDINO_SOURCE_ID="2", AREA_OR_POINT="Point", **kept)
    merge(first, tmp_path / "b.tif", "10,30=1:grün")
    merge(tmp_path / "b.tif", tmp_path / "c.tif", "254=80")
    with rasterio.open(tmp_path / "c.tif") as dataset, rasterio.open(first) as before:
        tags = dataset.tags()
        assert dataset.transform == before.transform
    assert {key: tags[key] for key in kept} == kept
    assert json.loads(tags["SARDINO_MERGED"]) == [["10,30=1:grün"], ["254=80"]]
    assert not {"SARDINO_RUN_ID", "SARDINO_SOURCE_ID"} & set(tags)  # `segment --each` shall not take it for its own


@settings(max_examples=15)
@given(values=st.lists(st.integers(0, 255), min_size=12, max_size=12), moved=st.data())
def test_an_identity_keeps_the_pixels_and_no_pixel_is_lost(tmp_path_factory, values, moved):
    folder = tmp_path_factory.mktemp("maps")
    pixels = np.array(values, np.uint8).reshape(3, 4)
    present = sorted(set(values) - {0})
    source = write_map(folder / "a.tif", pixels, ())
    if not present:
        with pytest.raises(NoValidData):
            merge(source, folder / "b.tif", "1=1:one")
        return
    _, same = merge(source, folder / "b.tif", *(f"{value}={value}:class {value}" for value in present))
    assert (same == pixels).all()
    target = moved.draw(st.sampled_from(present))
    old = moved.draw(st.sets(st.sampled_from(present), min_size=1))
    counts, merged = merge(source, folder / "c.tif", f"{','.join(map(str, old))}={target}:here")
    assert sum(counts.values()) == (pixels != 0).sum() == (merged != 0).sum()
    assert counts["here"] == np.isin(pixels, [*old, target]).sum() == (merged == target).sum()


@pytest.mark.parametrize(
    "profile",
    [{}, {"tiled": True, "blockxsize": 128, "blockysize": 64}, {"blockysize": 7}, {"compress": "lzw"}],
)
def test_the_result_does_not_depend_on_the_strips(tmp_path, monkeypatch, profile):
    values = patchwork(731, 517)
    source = write_map(tmp_path / "a.tif", values, **profile)
    written = []
    for size in (1 << 20, 40_000, 1):
        monkeypatch.setattr(class_map, "_WINDOW_PX", size)
        _, found = merge(source, tmp_path / "b.tif", "10=30", "80=5:lake")
        assert (found == replaced(values, v10=30, v80=5)).all()
        written.append([(tmp_path / name).read_bytes() for name in ("b.tif", "b.tif.aux.xml", "b.qml")])
    assert written[0] == written[1] == written[2]


def test_a_map_of_somebody_else(tmp_path):
    """Without names or colours, 16 bits, its own nodata, overviews."""
    values = np.array([[1, 2, 3, 255]], np.int16).repeat(600, axis=0).repeat(150, axis=1)
    source = write_map(tmp_path / "a.tif", values, (), nodata=255)
    add_overviews(tmp_path / "a.tif")
    pixels, found = merge(source, tmp_path / "b.tif", "2,3=9")
    assert (found == replaced(values, v2=9, v3=9, v255=0)).all()
    assert pixels == {"1": 600 * 150, "9": 600 * 300}
    with rasterio.open(tmp_path / "b.tif") as dataset:
        table = dataset.colormap(1)
        assert dataset.overviews(1) == [2, 4]
    assert table[1] != table[9] and (0, 0, 0, 255) not in (table[1], table[9])


def test_the_colour_table_of_somebody_else_is_kept(tmp_path):
    source = write_map(tmp_path / "a.tif", np.array([[1, 2, 3, 4]], np.uint8), ())
    with rasterio.open(source, "r+") as dataset:
        dataset.write_colormap(1, {1: (0, 0, 0, 255), 2: (9, 8, 7, 255), 3: (1, 2, 3, 255), 4: (4, 4, 4, 255)})
    merge(source, tmp_path / "b.tif", "2,3=9", "4=4:rock")
    with rasterio.open(tmp_path / "b.tif") as dataset:
        table = dataset.colormap(1)
    assert [table[value] for value in (1, 9, 4)] == [(0, 0, 0, 255), (9, 8, 7, 255), (4, 4, 4, 255)]


@pytest.mark.parametrize("dtype", ["int8", "uint16", "uint32", "int64"])
def test_any_whole_numbers_do(tmp_path, dtype):
    source = write_map(tmp_path / "a.tif", np.array([[0, 1, 2, 100]], dtype), ())
    assert merge(source, tmp_path / "b.tif", "1=7:x")[1].tolist() == [[0, 7, 2, 100]]


def test_a_cog(tmp_path):
    values = patchwork(600, 700)
    pixels, found = merge(write_map(tmp_path / "a.tif", values), tmp_path / "b.tif", "10=30", format="cog")
    assert (found == replaced(values, v10=30)).all() and pixels["low"] == (found == 30).sum()
    with rasterio.open(tmp_path / "b.tif") as dataset:
        assert dataset.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert dataset.colormap(1)[30] == (0xFF, 0xE1, 0x4C, 255)


def test_a_class_that_is_not_there_is_told(tmp_path):
    heard = Heard()
    merge(write_map(tmp_path / "a.tif", patchwork()), tmp_path / "b.tif", "10,11=30", listener=heard)
    assert heard.logs == [("warning", "a.tif has no class 11; it has 10, 30, 80, 254.")]
    assert heard.fractions == sorted(heard.fractions) and heard.fractions[-1] == 1


def refused(tmp_path, source, *classes, error=SettingInvalid, target="b.tif"):
    """The one line of a refusal that leaves nothing behind."""
    before = sorted(tmp_path.iterdir())
    with pytest.raises(error) as caught:
        mergeclasses(MergeClassesJob(str(source), str(tmp_path / target), classes))
    assert sorted(tmp_path.iterdir()) == before
    return str(caught.value)


def test_tables_that_do_not_fit_the_map(tmp_path):
    source = write_map(tmp_path / "a.tif", patchwork())
    assert "10 and 80 would both be called Water" in refused(tmp_path, source, "30=10:Water").replace("water", "Water")
    assert "none of the classes 11, 12; it has 10, 30, 80, 254" in refused(tmp_path, source, "11,12=10")
    assert "changes nothing" in refused(tmp_path, source, f"10=10:trees:{TREES.colour}")
    assert "every class" in refused(tmp_path, source, "10,30,80,254=0", error=NoValidData)
    assert "also read" in refused(tmp_path, source, "10=30", target="a.tif")
    (tmp_path / "link.tif").symlink_to(source)
    assert "also read" in refused(tmp_path, source, "10=30", target="link.tif")


def test_names_that_are_shared_already_can_be_mended(tmp_path):
    twice = (ClassSpec(1, "wood", "#111111"), ClassSpec(2, "wood", "#222222"), ClassSpec(3, "lake", "#333333"))
    source = write_map(tmp_path / "a.tif", np.array([[1, 2, 3]], np.uint8), twice)
    assert "1 and 2 would both be called wood" in refused(tmp_path, source, "3=4")
    assert merge(source, tmp_path / "b.tif", "2=1")[0] == {"wood": 2, "lake": 1}


def test_rasters_that_are_no_class_maps(tmp_path):
    floats = write_map(tmp_path / "a.tif", np.ones((3, 3), np.float32), (), nodata=None)
    assert "float32 values" in refused(tmp_path, floats, "1=2", error=NotARaster)
    large = write_map(tmp_path / "b.tif", np.array([[1, 999]], np.int16), ())
    assert "values from 1 to 999" in refused(tmp_path, large, "1=2", error=NotARaster, target="c.tif")
    with rasterio.open(tmp_path / "d.tif", "w", driver="GTiff", width=2, height=2, count=3, dtype="uint8") as dataset:
        dataset.write(np.ones((3, 2, 2), np.uint8))
    assert "has 3 bands" in refused(tmp_path, tmp_path / "d.tif", "1=2", error=NotARaster, target="c.tif")
    zero = write_map(tmp_path / "e.tif", np.array([[0, 1, 255]], np.uint8), (), nodata=255)
    assert "class 0 (its nodata is 255)" in refused(tmp_path, zero, "1=2", target="c.tif")
    empty = write_map(tmp_path / "f.tif", np.zeros((3, 3), np.uint8))
    assert "no class" in refused(tmp_path, empty, "1=2", error=NoValidData, target="c.tif")
    assert "does not exist" in refused(tmp_path, tmp_path / "g.tif", "1=2", error=InputMissing, target="c.tif")


def test_a_damaged_map_leaves_nothing(tmp_path):
    source = write_map(tmp_path / "a.tif", np.random.default_rng(0).integers(1, 9, (600, 600)).astype(np.uint8))
    (tmp_path / "a.tif").write_bytes((tmp_path / "a.tif").read_bytes()[:200_000])
    refused(tmp_path, source, "1=2", error=NotARaster)


@pytest.mark.parametrize("share", [0.1, 0.6])
def test_cancel_leaves_nothing(tmp_path, monkeypatch, share):
    monkeypatch.setattr(class_map, "_WINDOW_PX", 1000)
    source = write_map(tmp_path / "a.tif", patchwork(300, 100))
    before = sorted(tmp_path.iterdir())
    with pytest.raises(Cancelled):
        merge(source, tmp_path / "b.tif", "10=30", listener=Heard(share))
    assert sorted(tmp_path.iterdir()) == before


def test_a_folder_that_is_not_there_is_told_before_any_work(tmp_path):
    source, heard = write_map(tmp_path / "a.tif", patchwork()), Heard()
    with pytest.raises(OutputUnwritable, match="does not exist"):
        merge(source, tmp_path / "nowhere" / "b.tif", "10=30", listener=heard)
    assert heard.fractions == [0.0]


@pytest.mark.skipif(sys.platform == "win32", reason="file size limits")
@pytest.mark.parametrize("limit_kb", [1, 100])
def test_a_full_disk_leaves_nothing_and_the_old_result_stays(tmp_path, limit_kb):
    """A limit on the file's size takes GDAL through the same failing writes as a full disk."""
    noise = np.random.default_rng(0).integers(1, 255, (700, 700)).astype(np.uint8)
    source = write_map(tmp_path / "a.tif", noise, ())
    (tmp_path / "b.tif").write_bytes(b"an earlier result")
    before = sorted(tmp_path.iterdir())
    script = f"""
        import resource, signal, sys
        from sardino_core.cli import main
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, ({limit_kb} << 10, {limit_kb} << 10))
        sys.exit(main(["mergeclasses", sys.argv[1], "--classes", "1=2:x", "--output", sys.argv[2]]))
    """
    process = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), source, str(tmp_path / "b.tif")], capture_output=True, text=True
    )
    assert process.returncode == 1, process.stderr
    told = process.stderr.splitlines()[-1]  # libtiff says a word before
    assert told.startswith("error: ") and "could not be written completely" in told
    assert sorted(tmp_path.iterdir()) == before
    assert (tmp_path / "b.tif").read_bytes() == b"an earlier result"


def test_the_legend_of_our_maps_is_what_is_written_again(tmp_path):
    merge(write_map(tmp_path / "a.tif", patchwork()), tmp_path / "b.tif", "10=10:forest")
    expected = [ClassSpec(10, "forest", TREES.colour), *LEGEND[1:]]
    assert list(read_aux_xml(tmp_path / "b.tif.aux.xml"))[1:] == expected
