from __future__ import annotations

from collections import Counter
from dataclasses import replace

from sardino_core.contract.listener import Listener
from sardino_core.contract.serial import dumps, from_dict
from sardino_core.study.cells import CellJob, finals, trials
from sardino_core.training.windows.label_blocks import take_census
from sardino_core.training.windows.sources import SceneStore
from tests.study.studies import basis, lakes, study


def test_every_cell_has_a_name_of_its_own():
    config = study()
    names = [cell.name for cell in (*trials(config), *finals(config))]
    assert len(set(names)) == len(names) == 3 * 2 * (2 + 2)
    assert "dino-full_0.25_seed-1" in names
    assert "forest_1_try-5" in names


def test_trials_are_as_many_for_each_arm_and_share_and_have_a_seed_of_their_own():
    config = study()
    assert set(Counter((cell.arm, cell.fraction) for cell in trials(config)).values()) == {2}
    assert {cell.seed for cell in trials(config)} == {config.tuning_seed}


def test_trials_look_at_validation_places_and_cells_at_test_places_alone(tmp_path):
    found = basis(study(), tmp_path)
    roles = {place.name: place.role for place in found.ground.places}
    settled = {(arm.name, fraction): 1e-3 for arm in found.config.arms for fraction in found.config.fractions}
    for jobs, role in ((found.trials(), "validation"), (found.finals(settled), "test")):
        for job in jobs:
            assert {roles[source.name] for source in job.evaluate} == {role}
            trained = {pattern for source in job.config.sources for pattern in source.images}
            assert not trained & {pattern for source in job.evaluate for pattern in source.images}
            assert all(source.hold_out == 1.0 for source in job.evaluate)


def test_a_job_survives_the_way_to_its_worker(tmp_path):
    import json

    for job in basis(study(), tmp_path).trials():
        again = from_dict(CellJob, json.loads(dumps(job)))
        assert again == job
        assert again.settings == job.settings


def test_a_cell_is_known_again_in_another_folder_and_not_with_other_settings(tmp_path):
    config = study()
    settled = {(arm.name, fraction): 1e-3 for arm in config.arms for fraction in config.fractions}

    def settings(changed=config, folder="a", weights="w", values=settled):
        jobs = basis(changed, tmp_path / folder, weights).finals(values)
        return {job.cell.name: job.settings for job in jobs}

    first = settings()
    assert settings(folder="b") == first
    assert settings(replace(config, workers=1, resamples=500, name="other")) == first
    assert settings(replace(config, seeds=(0, 1, 2))).items() > first.items()
    longer = replace(config.finetune, optimiser=replace(config.finetune.optimiser, steps=5))
    for other in (settings(replace(config, finetune=longer)), settings(values=dict.fromkeys(settled, 2e-3))):
        assert not set(other.values()) & set(first.values())
    of_others = settings(weights="v")
    changed = {name for name in first if of_others[name] != first[name]}
    assert changed == {name for name in first if name.startswith("dino")}


def test_the_labels_of_a_seed_are_nested_and_the_same_for_every_arm(tmp_path):
    config = study(*lakes(tmp_path / "in", 9), fractions=(0.2, 0.5, 1.0))
    found = basis(config, tmp_path)
    settled = {(arm.name, fraction): 1e-3 for arm in config.arms for fraction in config.fractions}
    chosen: dict[tuple[int, float], list[frozenset[str]]] = {}
    for job in found.finals(settled):
        with SceneStore(job.config) as store:
            census = take_census(store, job.config, Listener())
        used = frozenset(item.scene.name for item in census.training if item.chosen.any())
        chosen.setdefault((job.cell.seed, job.cell.fraction), []).append(used)
    assert all(len(set(each)) == 1 for each in chosen.values())
    for seed in config.seeds:
        small, middle, whole = (chosen[seed, fraction][0] for fraction in config.fractions)
        assert small < middle < whole
        assert len(whole) == 6
