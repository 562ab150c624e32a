"""What a fold leaves out is in nothing that it is trained on; with what trains, it is the whole recipe."""

from __future__ import annotations

import pytest

from sardino_core.training.settings.finetune_config import load_config
from sardino_core.training.settings.pretrain_config import load_pretrain_config

CONFIG = load_config("finetune-starter")
RECIPE = {pattern for source in CONFIG.sources for pattern in (*source.images, *source.labels)}


def files(config):
    return {pattern for source in config.sources for pattern in (*source.images, *source.labels)}


@pytest.mark.parametrize("fold", range(3))
def test_a_fold_divides_the_recipe(fold):
    from judged_places import FOLDS, only, without

    trains, judges = without(CONFIG, FOLDS[fold]), only(CONFIG, FOLDS[fold])
    assert not files(trains) & files(judges)
    assert files(trains) | files(judges) == RECIPE
    assert [source.name for source in judges.sources] == [place.name for place in FOLDS[fold]]
    assert all(source.hold_out == 1.0 for source in judges.sources)
    assert all(source.images and source.labels for source in trains.sources)


def test_every_place_is_judged_once_and_seen_by_no_backbone():
    from judged_places import FOLDS, PLACES

    assert len({place.name for place in PLACES}) == len(PLACES) == 2 * len(FOLDS)
    pretraining = {pattern for source in load_pretrain_config("pretrain-starter").sources for pattern in source.images}
    for place in PLACES:
        assert any(place.owns(pattern) for pattern in RECIPE)
        assert not any(place.owns(pattern) for pattern in pretraining)
    assert {pattern.rpartition("/")[2] for pattern in pretraining if "terramind" in pattern} == {"609U*.tif"}
