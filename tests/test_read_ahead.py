"""Reading ahead: order, errors and endings cross the thread."""

import threading
import time

import pytest

from sardino_core.read_ahead import batched, read_ahead


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
