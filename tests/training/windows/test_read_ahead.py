from __future__ import annotations

import threading

import pytest

from sardino_core.training.windows.read_ahead import ReadAhead


class Files:
    """Belong to the thread that opened them."""

    opened: list[Files]

    def __init__(self) -> None:
        self.thread, self.closed = threading.get_ident(), False
        Files.opened.append(self)

    def close(self) -> None:
        self.closed = True


@pytest.fixture(autouse=True)
def forget():
    Files.opened = []


def square(files: Files, key: int) -> int:
    assert files.thread == threading.get_ident()
    if key == 13:
        raise ValueError("unlucky")
    return key * key


@pytest.mark.parametrize("threads", [1, 3])
def test_results_come_in_order_from_anywhere_and_files_are_closed(threads):
    order = list(range(20, 40))
    with ReadAhead(Files, square, threads) as ahead:
        assert [ahead.get(order, position) for position in range(10)] == [key * key for key in order[:10]]
        assert ahead.get(order, 3) == 23 * 23
        assert ahead.get(order, 19) == 39 * 39
    assert 1 <= len(Files.opened) <= threads
    assert all(files.closed for files in Files.opened)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("windows")]


def test_an_error_comes_when_its_turn_has_come():
    with ReadAhead(Files, square, 2) as ahead:
        order = [12, 13, 14]
        assert ahead.get(order, 0) == 144
        with pytest.raises(ValueError, match="unlucky"):
            ahead.get(order, 1)
        assert ahead.get(order, 2) == 196
