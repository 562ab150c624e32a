"""What of QGIS's environment variables other Pythons get to see."""

import os
from pathlib import Path

import pytest

from sar_dino_qgis.worker.clean_environ import clean_environ


@pytest.mark.parametrize(
    "name",
    [
        "PYTHONHOME", "PYTHONPATH", "PROJ_LIB", "PROJ_DATA", "GDAL_DATA", "GDAL_DRIVER_PATH", "QT_PLUGIN_PATH",
        "QGIS_PREFIX_PATH", "OSGEO4W_ROOT", "DYLD_LIBRARY_PATH", "LD_PRELOAD", "__PYVENV_LAUNCHER__", "GISBASE",
        "PythonHome",
    ],
)  # fmt: skip
def test_what_qgis_sets_is_left_out(name):
    assert clean_environ("python", {name: "x", "HOME": "y"}) == {"HOME": "y"}


def test_the_users_own_stays():
    own = {
        "HTTPS_PROXY": "http://proxy:3128", "CUDA_VISIBLE_DEVICES": "0", "TEMP": "/tmp", "SSL_CERT_FILE": "/ca.pem",
        "PIP_INDEX_URL": "index", "PATH": os.pathsep.join(["/usr/bin", "/bin"]),
    }  # fmt: skip
    assert clean_environ("python", own) == own


@pytest.mark.parametrize("name", ["PATH", "LD_LIBRARY_PATH"])
def test_search_paths_lose_what_lies_inside_qgis(name):
    qgis = str(Path("/Applications/QGIS"))
    places = [str(Path(qgis) / "bin"), str(Path("/opt/cuda")), qgis, qgis + "-other"]
    found = clean_environ("python", {"QGIS_PREFIX_PATH": qgis, name: os.pathsep.join(places)})
    assert found == {name: os.pathsep.join([places[1], places[3]])}


def test_a_qgis_of_the_system_does_not_cost_the_systems_own_folders():
    assert clean_environ("python", {"QGIS_PREFIX_PATH": "/usr", "PATH": "/usr/bin"}) == {"PATH": "/usr/bin"}
