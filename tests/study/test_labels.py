from __future__ import annotations

from dataclasses import replace

import pytest

from sardino_core.contract.errors import SettingInvalid
from sardino_core.study.labels import look_at_labels
from sardino_core.study.study import find_places
from tests.study.studies import lakes, study
from tests.training.runs import Ear


def looked_at(config, folder):
    ear = Ear()
    look_at_labels(config, find_places(config, folder), folder, ear)
    return ear.said


def test_labels_with_fewer_classes_than_the_model_are_warned_of(tmp_path):
    (line,) = looked_at(study(*lakes(tmp_path / "in", 5)), tmp_path)
    assert line.startswith("warning: no training place has labels of low:")


def test_labels_of_one_class_are_refused(tmp_path):
    config = study(*lakes(tmp_path / "in", 5))
    source = replace(config.finetune.sources[0], mapping={80: (80,), 10: (80,)})
    with pytest.raises(SettingInvalid, match="labels of water alone; a study needs two classes"):
        looked_at(replace(config, finetune=replace(config.finetune, sources=(source,))), tmp_path)


def test_a_label_that_the_mapping_lacks_is_told_before_anything_is_trained(tmp_path):
    config = study(*lakes(tmp_path / "in", 5))
    source = replace(config.finetune.sources[0], mapping={80: (80,)})
    with pytest.raises(SettingInvalid, match="holds the label 10"):
        looked_at(replace(config, finetune=replace(config.finetune, sources=(source,))), tmp_path)
