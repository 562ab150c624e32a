"""mergeclasses as typed, after segment."""

import numpy as np
import pytest
import rasterio

from sardino_core.contract.messages import Result, decode
from sardino_core.raster.writing.class_legend import read_aux_xml


@pytest.fixture(scope="module")
def classified(tmp_path_factory):
    """A real map: the starter over a simulated scene."""
    from sardino_core.cli import main

    folder = tmp_path_factory.mktemp("place")
    assert main(["simulate", "--output", str(folder), "--size", "256", "--seed", "7"]) == 0
    scene, output = str(folder / "scene.tif"), folder / "map.tif"
    assert main(["segment", scene, "--model", "starter", "--output", str(output)]) == 0
    return output


def read(path):
    with rasterio.open(path) as dataset:
        return dataset.read(1), dataset.tags()


def test_a_real_map_with_fewer_classes(run, classified, tmp_path):
    output = tmp_path / "merged.tif"
    table = ["10,30=1:vegetation:#1b7837", "254=0", "80=80:open water"]
    status, out, _ = run("mergeclasses", classified, "--classes", *table, "--output", output)
    assert status == 0 and out.splitlines()[0] == str(output) and "vegetation" in out
    (before, old_tags), (after, tags) = read(classified), read(output)
    assert len(np.unique(before)) >= 4
    assert (after == np.where(np.isin(before, [10, 30]), 1, np.where(before == 254, 0, before))).all()
    assert tags["SARDINO_MODEL_SHA256"] == old_tags["SARDINO_MODEL_SHA256"] and "SARDINO_MERGED" in tags
    assert [item.name for item in read_aux_xml(tmp_path / "merged.tif.aux.xml")] == [
        "nodata", "vegetation", "built-up", "bare", "open water"
    ]  # fmt: skip
    status, out, _ = run("samplepoints", output, "--size", 60, "--minimum", 2, "--output", tmp_path / "p.geojson")
    assert status == 0 and "vegetation" in out  # the other commands take it as a map of theirs


def test_numbers_for_programs(run, classified, tmp_path):
    arguments = (classified, "--classes", "10=30", "--output", tmp_path / "merged.tif", "--format", "cog", "--json")
    status, out, _ = run("mergeclasses", *arguments)
    result = decode(out.splitlines()[-1])
    assert status == 0 and isinstance(result, Result)
    before, _ = read(classified)
    assert result.values["pixels"]["low vegetation"] == np.isin(before, [10, 30]).sum()
    assert sum(result.values["pixels"].values()) == (before != 0).sum()


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        (["10=1", "10=2"], "named twice"),
        (["10=1:water"], "both be called water"),
        (["10=1:trees:green"], "#rrggbb"),
        (["11=1"], "none of the classes 11"),
    ],
)
def test_errors_are_one_line(run, classified, tmp_path, table, reason):
    status, out, err = run("mergeclasses", classified, "--classes", *table, "--output", tmp_path / "merged.tif")
    assert status == 1 and out == "" and reason in err
    assert err.startswith("error: ") and err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_table_is_needed(run, classified, tmp_path):
    with pytest.raises(SystemExit) as ended:
        run("mergeclasses", classified, "--output", tmp_path / "merged.tif")
    assert ended.value.code == 2
