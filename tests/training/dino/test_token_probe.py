"""The probe of a run's tokens: right on what can be told apart, apart in space, and without a trace in the training."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from sardino_core.contract.errors import Cancelled, NoValidData
from sardino_core.training.dino.token_probe import Samples, probe, statistics
from sardino_core.training.pretrain import pretrain
from sardino_core.training.settings.pretrain_config import ProbeConfig
from sardino_core.training.settings.run_config import RunConfig
from sardino_core.training.windows.probe_windows import gather_probe
from tests.training.chip_folders import chip_folder
from tests.training.rasters import places, pretrain_config, write
from tests.training.runs import Ear, column, same

QUIET = RunConfig(log_every=2, checkpoint_every=2, picture_every=0, tensorboard=False)


@pytest.fixture(scope="module")
def ground(tmp_path_factory) -> Path:
    """A raster of water and trees in blocks of 16 pixels, with its labels."""
    folder = tmp_path_factory.mktemp("ground")
    rng = np.random.default_rng(7)
    wet = np.kron(rng.random((16, 16)) < 0.5, np.ones((16, 16))) > 0
    db = np.where(wet, -20.0, -9.0) + np.array([0, -6.5])[:, None, None] + rng.normal(0, 1.5, (2, 256, 256))
    write(folder / "scene.tif", db.astype(np.float32), names=("VV", "VH"))
    write(folder / "labels.tif", np.where(wet, 80, 10).astype(np.uint8), nodata=0)
    return folder


def probed(ground: Path, **changes) -> ProbeConfig:
    return ProbeConfig((str(ground / "scene.tif"),), (str(ground / "labels.tif"),), **{"every": 2, **changes})


def samples(count: int, seed: int, told: bool = True) -> Samples:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, (count, 16))
    means = np.array([-2.0, 0.0, 2.0])[labels if told else rng.integers(0, 3, labels.shape)]
    cells = means.reshape(count, 4, 4).repeat(8, axis=1).repeat(8, axis=2)
    windows = cells[:, None] + rng.normal(0, 0.5, (count, 1, 32, 32))
    labels[0, 0] = -1
    return Samples(torch.from_numpy(windows.astype(np.float32)), torch.from_numpy(labels))


def test_classes_that_differ_are_told_and_those_that_do_not_are_guessed():
    state = torch.get_rng_state()
    told = probe(samples(20, 0), samples(10, 1), lambda x: statistics(x, 8))
    assert told["linear mIoU"] == told["linear accuracy"] == 1.0
    assert told["kNN mIoU"] > 0.8  # by cosine, two features leave the middle class without a direction of its own
    guessed = probe(samples(20, 0, told=False), samples(10, 1, told=False), lambda x: statistics(x, 8))
    assert all(value < 0.55 for value in guessed.values())
    assert set(told) == {f"{name} {score}" for name in ("linear", "kNN") for score in ("mIoU", "accuracy")}
    assert torch.equal(torch.get_rng_state(), state)


def test_windows_that_fit_and_windows_that_score_lie_apart(ground):
    config = pretrain_config("x", probe=probed(ground, windows=8, block_px=64))
    found, again = gather_probe(config, Ear()), gather_probe(config, Ear())
    assert len(found.fit.windows) == len(found.score.windows) == 8
    assert np.array_equal(found.fit.windows, again.fit.windows)
    assert np.array_equal(found.score.labels, again.score.labels)
    fit = {window.tobytes() for window in found.fit.windows}
    assert not fit & {window.tobytes() for window in found.score.windows}
    bright = found.fit.windows[:, 0].reshape(-1, 4, 8, 4, 8).mean(axis=(2, 4)).reshape(-1)
    trees = found.fit.labels.reshape(-1) == found.fit.labels.reshape(-1)[bright.argmax()]
    assert bright[trees].mean() > bright[~trees].mean() + 1.5  # labels belong to their patches
    with pytest.raises(NoValidData, match=r"probe\.block_px"):
        gather_probe(pretrain_config("x", probe=probed(ground, block_px=16)), Ear())


def test_chip_folders_probe_by_their_splits(tmp_path):
    config = pretrain_config("x", probe=ProbeConfig((str(chip_folder(tmp_path)),)))
    found = gather_probe(config, Ear())
    assert len(found.fit.windows) == 2 * 4  # two training chips of 64 pixels
    assert len(found.score.windows) == 4
    assert gather_probe(pretrain_config("x"), Ear()) is None


def test_the_probe_is_logged_and_leaves_no_trace_in_the_weights(ground, tmp_path, monkeypatch):
    monkeypatch.setattr("sardino_core.training.pretrain.export_onnx", lambda model: model)
    plain = pretrain_config(places(tmp_path / "places") / "*.tif", run=QUIET)
    asked = replace(plain, probe=probed(ground, windows=4, block_px=64))
    ear = Ear()
    pretrain(asked, tmp_path / "asked", listener=ear)
    pretrain(plain, tmp_path / "plain")
    assert same(tmp_path / "asked", tmp_path / "plain")
    for name in ("probe_linear_miou", "probe_knn_miou", "probe_linear_accuracy", "probe_knn_accuracy"):
        values = column(tmp_path / "asked", name)
        assert len(values) == 3  # steps 0, 2 and 4
        assert all(0 <= value <= 1 for value in values)
    assert sum("probe of the teacher's tokens" in line for line in ear.said) == 3

    class Stop(Ear):
        def cancelled(self) -> bool:
            return any("step 2, probe" in line for line in self.said)

    with pytest.raises(Cancelled):
        pretrain(asked, tmp_path / "resumed", listener=Stop())
    pretrain(asked, tmp_path / "resumed", resume=True)
    assert same(tmp_path / "resumed", tmp_path / "asked")
    for name in ("loss", "probe_linear_miou", "probe_knn_miou"):
        assert column(tmp_path / "resumed", name) == column(tmp_path / "asked", name)
