"""From what the user names to files."""

from __future__ import annotations

import zipfile

import pytest

from sardino_core.contract.errors import InputMissing, SettingInvalid
from sardino_core.contract.listener import Listener
from sardino_core.training.windows.places import survey
from sardino_core.training.windows.sources import SceneStore, expand
from tests.training.rasters import config, lake, pretrain_config


@pytest.mark.parametrize("folder", ["scenes [2021]", "ärger {b}", "a*b?", "ends in ]"])
def test_a_file_is_found_by_its_own_name_whatever_signs_are_in_it(tmp_path, folder):
    image, labels = lake(tmp_path / folder)
    with SceneStore(config(image, labels)) as store:
        assert [scene.images for scene in store.scenes] == [(image,)]
    assert [item.files for item in survey(pretrain_config(image), Listener()).acquisitions] == [(image,)]


def test_globs_names_in_braces_and_files_named_twice(tmp_path):
    for name in "ba":
        (tmp_path / f"{name}.tif").touch()
    paths = {"here": str(tmp_path)}
    assert [path.name for path in expand(["{here}/*.tif", str(tmp_path / "a.tif")], paths, "s", "images")] == [
        "a.tif",
        "b.tif",
    ]
    with pytest.raises(SettingInvalid, match="paths"):
        expand(["{there}/*.tif"], paths, "s", "images")
    with pytest.raises(InputMissing, match="No file matches"):
        expand([str(tmp_path / "c*.tif")], paths, "s", "images")


def test_what_gdal_opens_in_an_archive_trains_and_a_bare_address_is_told_the_way(tmp_path):
    image, labels = lake(tmp_path)
    with zipfile.ZipFile(tmp_path / "place.zip", "w") as archive:
        archive.write(image, "scene.tif")
        archive.write(labels, "labels.tif")
    inside = f"/vsizip/{{{tmp_path}/place.zip}}"
    with SceneStore(config(f"{inside}/scene.tif", f"{inside}/labels.tif")) as store:
        (scene,) = store.scenes
        assert store.read(scene, scene.grid.full)[2].any()
    (found,) = survey(pretrain_config(f"{inside}/scene.tif"), Listener()).acquisitions
    assert found.valid_share == 1
    with pytest.raises(InputMissing, match="VRT"):
        expand(["/vsicurl/https://example.org/scene.tif"], {}, "s", "images")
