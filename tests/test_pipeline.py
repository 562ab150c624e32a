"""Reading ahead: order, errors and endings cross the thread."""

import threading
import time

import numpy as np
import pytest

from sardino_core.contract.jobs import RunOptions, SceneOptions
from sardino_core.contract.listener import Listener
from sardino_core.pipeline import batched, open_session, read_ahead
from sardino_core.products import Product
from tests.raster.scenes import speckled_db, write


def running_readers():
    return [thread for thread in threading.enumerate() if thread.name == "sardino-reader"]


@pytest.mark.parametrize("depth", [1, 3, 100])
def test_items_keep_their_order(depth):
    assert list(read_ahead(range(50), depth)) == list(range(50))
    assert not running_readers()


def test_the_producer_stays_within_its_depth():
    produced = []

    def items():
        for item in range(100):
            produced.append(item)
            yield item

    ahead = read_ahead(items(), 3)
    assert next(ahead) == 0
    time.sleep(0.3)
    assert len(produced) <= 1 + 3 + 1  # taken, waiting in the queue, in the producer's hand
    ahead.close()
    assert not running_readers()


def test_an_error_arrives_after_the_items_before_it():
    def items():
        yield 1
        raise ValueError("broken")

    ahead = read_ahead(items(), 5)
    assert next(ahead) == 1
    with pytest.raises(ValueError, match="broken"):
        next(ahead)
    assert not running_readers()


def test_none_is_an_item_like_any_other():
    assert list(read_ahead([None, 1, None], 2)) == [None, 1, None]


def test_batches():
    assert list(batched(range(5), 2)) == [[0, 1], [2, 3], [4]]
    assert list(batched([], 2)) == []


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
