"""A small model and small rasters for the command line's tests: real files, real commands."""

import numpy as np
import pytest
import rasterio
from affine import Affine

from sardino_core.cli import main

UTM_10M = Affine(10, 0, 500_000, 0, -10, 5_000_000)


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    """A segmentation model with random weights, window 32, patch 8, and its export beside it."""
    from sardino_core.models.export import export_onnx
    from sardino_core.models.model_file import save_model
    from tests.models.networks import lively_network
    from tests.models.specs import make_spec

    path = tmp_path_factory.mktemp("model") / "small.safetensors"
    spec = make_spec()
    save_model(path, spec, lively_network(spec).state_dict())
    export_onnx(path)
    return path


def speckled(height, width, seed=0):
    """(2, H, W) VV and VH in dB, with the speckle of five looks over two kinds of ground."""
    random = np.random.default_rng(seed)
    ground = np.where(np.arange(width) < width // 2, -8.0, -14.0)
    speckle = 10 * np.log10(random.gamma(5, 1 / 5, (2, height, width)))
    return (ground + np.array([0.0, -7.0])[:, None, None] + speckle).astype(np.float32)


def write_raster(path, values, transform=UTM_10M, crs="EPSG:32633", names=("VV", "VH"), **profile):
    """A GeoTIFF of (bands, H, W) values with band descriptions."""
    settings = {"driver": "GTiff", "dtype": values.dtype, "count": len(values), **profile}
    with rasterio.open(
        path, "w", height=values.shape[1], width=values.shape[2], transform=transform, crs=crs, **settings
    ) as dataset:
        dataset.write(values)
        dataset.descriptions = tuple(names)
    return path


@pytest.fixture
def scene(tmp_path):
    """A VV/VH scene of 100 x 90 pixels."""
    return write_raster(tmp_path / "scene.tif", speckled(90, 100))


@pytest.fixture
def run(capsys):
    """Run a command in this process: (status, stdout, stderr)."""

    def run_command(*arguments):
        status = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run_command
