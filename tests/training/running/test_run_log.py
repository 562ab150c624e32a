"""metrics.csv: rows, columns that come later, resuming, and a disk that is full."""

from __future__ import annotations

import csv
import resource

import numpy as np
import pytest

from sardino_core.contract.errors import OutputUnwritable
from sardino_core.training.running.run_log import RunLog, coloured


def rows(folder):
    with open(folder / "metrics.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_a_second_row_of_a_step_completes_it_and_new_columns_leave_old_rows_empty(tmp_path):
    log = RunLog(tmp_path, tensorboard=False)
    log.scalars(1, {"loss": 2.0})
    log.scalars(2, {"loss": 1.0})
    log.scalars(2, {"val_miou": 0.5})
    log.scalars(3, {"loss": 0.5})
    assert rows(tmp_path) == [
        {"step": "1", "loss": "2", "val_miou": ""},
        {"step": "2", "loss": "1", "val_miou": "0.5"},
        {"step": "3", "loss": "0.5", "val_miou": ""},
    ]


def test_resuming_cuts_off_what_came_after_the_checkpoint(tmp_path):
    log = RunLog(tmp_path, tensorboard=False)
    for step in range(1, 6):
        log.scalars(step, {"loss": float(step)})
    with open(tmp_path / "metrics.csv", "a") as file:
        file.write("6")  # a kill in the middle of a row
    again = RunLog(tmp_path, tensorboard=False, resume_at=3)
    again.scalars(4, {"loss": 40.0})
    assert [row["loss"] for row in rows(tmp_path)] == ["1", "2", "3", "40"]


def test_a_full_disk_is_told_in_one_line(tmp_path):
    log = RunLog(tmp_path, tensorboard=False)
    log.scalars(1, {"loss": 1.0})
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (14, before[1]))
    try:
        with pytest.raises(OutputUnwritable, match=r"metrics\.csv cannot be written"):
            log.scalars(2, {"loss": 1.0})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_class_pictures_lie_side_by_side_in_their_colours():
    picture = coloured(np.array([[[0, 1]], [[1, 0]]]), np.array([[1, 2, 3], [7, 8, 9]], np.uint8))
    assert picture.shape == (3, 8, 3)
    assert picture[1, [1, 2, 5, 6], 0].tolist() == [1, 7, 7, 1]
