"""Windows of a scene: which of them reach the network, and what of them counts."""

import numpy as np

from sardino_core.contract.jobs import RunOptions, SceneOptions
from sardino_core.contract.listener import Listener
from sardino_core.pipeline import open_session
from sardino_core.products import Product
from tests.raster.scenes import speckled_db, write


def test_windows_without_data_never_reach_the_network(tmp_path):
    db = speckled_db(256, 512)
    db[:, :, :256] = np.nan
    path = write(tmp_path / "scene.tif", db, ("VV", "VH"))
    seen = []

    def predict(windows):
        seen.append(len(windows))
        return np.ones((len(windows), 1, 128, 128), np.float32)

    with open_session(SceneOptions((str(path),)), RunOptions("starter", overlap=0.0), Listener()) as session:
        rows = list(session.rows(Product(1, session.plan.cell_px, predict)))
    assert session.plan.count == 8 and sum(seen) == 4
    valid = np.concatenate([part.valid for part in rows])
    assert not valid[:, :256].any() and valid[:, 256:].all()


def test_what_is_mirrored_beyond_the_edge_is_no_sample(tmp_path):
    path = write(tmp_path / "scene.tif", speckled_db(100, 90), ("VV", "VH"))
    with open_session(SceneOptions((str(path),)), RunOptions("starter", overlap=0.0), Listener()) as session:
        cell_px, cells = session.plan.cell_px, session.cell_grid
        (_, valid), *more = session.sample(100)
        pixels = list(session.read(session.plan.tiles(), cell_px))
    assert not more and valid.shape[1:] == (16, 16)
    assert valid.sum() == cells.height * cells.width
    assert sum(int(item.valid.sum()) for item in pixels) == 100 * 90
