"""Class weights, and the loss of a step that is cut into passes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from sardino_core.contract.errors import SettingInvalid
from sardino_core.contract.listener import Listener
from sardino_core.training.landcover.report import colours
from sardino_core.training.landcover.step import Criterion, Part, class_weights, prepare
from sardino_core.training.running.distributed import Team
from sardino_core.training.settings.finetune_config import LossConfig
from sardino_core.training.windows.label_blocks import take_census
from sardino_core.training.windows.labelled import LabelledLoader
from sardino_core.training.windows.sources import SceneStore
from sardino_core.training.windows.targets import ClassSets
from tests.training.rasters import CLASSES, config, lake, write

ALONE = Team(0, 1, torch.device("cpu"))


def material(settings):
    with SceneStore(settings) as store:
        return store.sets, take_census(store, settings, Listener())


def test_rare_classes_weigh_more_when_balanced(tmp_path):
    scene, labels = lake(tmp_path)
    values = np.full((96, 96), 10, np.uint8)
    values[:, :24] = 80
    write(labels, values, nodata=0)
    settings = config(scene, labels, source={"hold_out": 0.0}, loss=LossConfig(balance=0.5, class_weights={10: 2.0}))
    weights = class_weights(settings, *material(settings))
    assert weights[0] / (weights[1] / 2) == pytest.approx(3**0.5)  # a third as many pixels
    assert weights[2] == 1.0  # no label at all
    plain = replace(settings, loss=LossConfig())
    assert np.array_equal(class_weights(plain, *material(plain)), [1, 1, 1])
    with pytest.raises(SettingInvalid, match=r"loss\.class_weights names 7"):
        replace(settings, loss=LossConfig(class_weights={7: 1.0}))


def test_gradients_do_not_depend_on_how_the_step_is_cut(tmp_path):
    settings = config(*lake(tmp_path), loss=LossConfig(focal_gamma=2.0, balance=0.5))
    criterion = Criterion.of(settings, *material(settings), torch.device("cpu"))
    torch.manual_seed(0)
    windows, target = torch.randn(6, 2, 8, 8), torch.randint(0, 4, (6, 8, 8))
    target[4:] *= torch.rand(2, 8, 8) < 0.1
    gradients = []
    for size in (6, 3, 2):
        network = torch.nn.Conv2d(2, 3, 1)
        torch.nn.init.constant_(network.weight, 0.1)
        torch.nn.init.zeros_(network.bias)
        batch = [Part(windows[i : i + size], target[i : i + size], 0, ()) for i in range(0, 6, size)]
        total = criterion.total(batch, ALONE)
        for part in batch:
            criterion(network(part.windows), part, total, size / 6).backward()
        gradients.append(network.weight.grad)
    assert torch.allclose(gradients[0], gradients[1], atol=1e-7)
    assert torch.allclose(gradients[0], gradients[2], atol=1e-7)


def test_windows_are_a_function_of_seed_step_and_number(tmp_path):
    settings = config(*lake(tmp_path))
    settings = replace(settings, optimiser=replace(settings.optimiser, micro_batch=2))
    with SceneStore(settings) as store:
        census = take_census(store, settings, Listener())
        with LabelledLoader(store, census, settings) as loader:
            order = [(step, part) for step in range(2) for part in range(2)]
            chunks = [loader.get(order, position) for position in range(4)]
            again = loader.get(order, 2)
    assert np.array_equal(chunks[2].backscatter_db, again.backscatter_db)
    assert chunks[2].origins == again.origins
    assert not np.array_equal(chunks[0].backscatter_db, chunks[1].backscatter_db)
    first, second, other = (prepare(chunks[2], settings, step, 0, ALONE.device) for step in (1, 1, 2))
    assert torch.equal(first.windows, second.windows)
    assert first.seed == second.seed
    assert not torch.equal(first.windows, other.windows)


def test_pictures_have_the_classes_colours_and_mixtures_for_sets():
    settings = config("a", "b", source={"mapping": {1: (80,), 2: (10, 30)}})
    of_sets, of_classes = colours(ClassSets.of(CLASSES, settings.sources))
    assert of_classes.tolist() == [[0, 100, 200], [0, 100, 0], [255, 255, 76]]
    assert of_sets.tolist() == [[0, 0, 0], *of_classes.tolist(), [127, 177, 38]]
