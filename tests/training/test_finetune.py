"""Short runs from labelled rasters to a model file; killed, resumed, split, and made to fail."""

from __future__ import annotations

import json
import resource
import signal
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from sardino_core.contract.errors import Cancelled, NoValidData, OutputUnwritable, SettingInvalid
from sardino_core.models.model_file import load_weights, read_spec
from sardino_core.models.predictor import load_predictor
from sardino_core.training.evaluate import evaluate
from sardino_core.training.finetune import finetune
from sardino_core.training.landcover.plan import SCRATCH
from sardino_core.training.settings.finetune_config import LossConfig, load_config
from sardino_core.training.settings.run_config import RunConfig
from tests.training.rasters import CLASSES, config, lake
from tests.training.runs import FINETUNE, Ear, checkpoint, child, column, crew_of_two, same, wait_for

OFTEN = RunConfig(log_every=1, checkpoint_every=1, picture_every=0, tensorboard=False)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Networks this small are slower on two threads, far slower on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def unexported(monkeypatch):
    """The export takes longer than these runs; the module's `run` has one."""
    monkeypatch.setattr("sardino_core.training.finetune.export_onnx", lambda model: model)


@pytest.fixture(scope="module")
def rasters(tmp_path_factory) -> tuple[Path, Path]:
    return lake(tmp_path_factory.mktemp("lake"))


@pytest.fixture(scope="module")
def run(rasters, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "out"
    settings = config(*rasters, steps=40, run=RunConfig(picture_every=20))
    return settings, finetune(settings, SCRATCH, folder), folder


def optimiser(settings, **changes):
    return replace(settings, optimiser=replace(settings.optimiser, **changes))


def test_the_window_is_that_of_the_model_started_from_unless_another_is_asked_for(run, rasters, tmp_path, unexported):
    _, _, folder = run
    settings = config(*rasters, steps=1)
    for keep, side in ((True, 32), (False, 64)):
        wide = replace(settings, model=replace(settings.model, window=64, keep_window=keep))
        finetune(wide, str(folder / "model.safetensors"), tmp_path / str(side))
        spec = read_spec(tmp_path / str(side) / "model.safetensors")
        assert spec.window == side
        grid = load_weights(tmp_path / str(side) / "model.safetensors")["backbone.pos_embed"].shape[1]
        assert grid == spec.tokens_per_side**2


def test_the_run_folder_holds_what_was_promised(run):
    settings, _result, folder = run
    names = {"events" if "tfevents" in path.name else path.name for path in folder.iterdir()}
    assert names == {"model.safetensors", "model.onnx", "metrics.csv", "config.yaml", "checkpoint.pt", "events"}
    assert load_config(folder / "config.yaml") == optimiser(settings, micro_batch=4)
    assert column(folder, "step") == [10, 20, 30, 40]
    assert checkpoint(folder)["step"] == 40


def test_the_log_ends_with_the_metrics_and_holds_pictures(run):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    _, result, folder = run
    assert column(folder, "val_miou") == [pytest.approx(result.values["miou"], abs=1e-4)]
    events = EventAccumulator(str(folder)).Reload()
    assert {"loss", "lr", "val_miou"} <= set(events.Tags()["scalars"])
    assert set(events.Tags()["images"]) == {"windows/backscatter", "windows/labels", "windows/prediction"}


def test_the_model_learns_the_lake_and_runs_without_torch(run):
    _, result, folder = run
    spec = read_spec(folder / "model.safetensors")
    assert spec.classes == CLASSES
    assert spec.provenance.steps == 40
    assert result.values["accuracy"] > 0.9
    assert str(folder) not in spec.to_json()
    predictor = load_predictor(folder / "model.safetensors", device="cpu")
    assert predictor.description.startswith("ONNX")
    windows = np.random.default_rng(0).normal(size=(2, 2, 32, 32)).astype(np.float32)
    assert np.allclose(predictor.segment(windows).sum(axis=1), 1, atol=1e-5)


def test_evaluating_the_file_counts_every_label(run, tmp_path):
    settings, result, folder = run
    found = evaluate(str(folder / "model.safetensors"), settings, tmp_path)
    assert found.values["pixels"] == 96 * 96
    assert found.values["accuracy"] > 0.9
    assert json.loads((tmp_path / "metrics.json").read_text())["pixels"] == 96 * 96
    rows = (tmp_path / "confusion.csv").read_text().splitlines()
    assert rows[0] == "reference,water,trees,low"
    assert sum(int(number) for row in rows[1:] for number in row.split(",")[1:]) == 96 * 96
    held_out = evaluate(str(folder / "model.safetensors"), settings, tmp_path, all_labels=False)
    assert held_out.values["accuracy"] == pytest.approx(result.values["accuracy"], abs=1e-3)  # float16 on disk


@pytest.mark.usefixtures("unexported")
@pytest.mark.parametrize("train", ["full", "partial", "frozen"])
def test_what_is_frozen_stays_as_the_model_that_was_started_from(run, tmp_path, train):
    settings, _, folder = run
    settings = optimiser(settings, steps=3, train=train, trained_blocks=1, ema_decay=0.0, drop_path=0.1)
    finetune(settings, str(folder / "model.safetensors"), tmp_path)
    before, after = (load_weights(path / "model.safetensors") for path in (folder, tmp_path))
    changed = {name for name in before if not np.array_equal(before[name], after[name])}
    trained = {
        "full": ("backbone.", "head."),
        "partial": ("backbone.blocks.1.", "backbone.norm.", "head."),
        "frozen": ("head.",),
    }[train]
    assert all(name.startswith(trained) for name in changed)
    assert all(any(name.startswith(part) for name in changed) for part in trained)


@pytest.mark.usefixtures("unexported")
def test_the_same_seed_gives_the_same_weights_and_another_seed_others(rasters, tmp_path):
    settings = optimiser(config(*rasters), drop_path=0.2)
    finetune(settings, SCRATCH, tmp_path / "a")
    torch.randn(3)  # what others drew before makes no difference,
    alone = replace(settings, run=RunConfig(readers=1, memory_mb=0, picture_every=0, tensorboard=False))
    finetune(alone, SCRATCH, tmp_path / "b")  # nor who reads, and from where
    finetune(replace(settings, seed=1), SCRATCH, tmp_path / "c")
    assert same(tmp_path / "a", tmp_path / "b")
    assert not same(tmp_path / "a", tmp_path / "c")


@pytest.mark.usefixtures("unexported")
def test_a_terminated_and_then_killed_run_goes_on_bit_for_bit(rasters, tmp_path):
    settings = optimiser(config(*rasters, steps=60, run=OFTEN), drop_path=0.1)
    folder = tmp_path / "broken"
    process = child(FINETUNE, settings, folder)
    wait_for(folder / "metrics.csv", process)
    process.send_signal(signal.SIGTERM)
    output, error = process.communicate(timeout=60)
    assert process.returncode == 0, error
    assert "checkpoint.pt" in output
    terminated = checkpoint(folder)["step"]
    assert 0 < terminated < 60
    assert not (folder / "model.safetensors").exists()

    process = child(FINETUNE, settings, folder, "--resume")
    written = (folder / "checkpoint.pt").stat().st_mtime_ns
    while (folder / "checkpoint.pt").stat().st_mtime_ns == written and process.poll() is None:
        time.sleep(0.01)
    time.sleep(0.1)
    process.kill()
    process.communicate()
    assert terminated < checkpoint(folder)["step"] < 60, "the run was over before it was killed"

    finetune(settings, SCRATCH, folder, resume=True)
    finetune(settings, SCRATCH, tmp_path / "whole")
    assert same(folder, tmp_path / "whole")
    assert column(folder, "loss") == column(tmp_path / "whole", "loss")
    assert not list(folder.glob(".sardino*"))


@pytest.mark.usefixtures("unexported")
def test_two_processes_equal_one_that_accumulates(rasters, tmp_path):
    loss = LossConfig(dice=0.5, focal_gamma=1.0, balance=0.5)
    settings = optimiser(config(*rasters, loss=loss, run=OFTEN), steps=4, micro_batch=2, lr=1e-4)
    settings = replace(settings, validation=replace(settings.validation, every=2))
    finetune(settings, SCRATCH, tmp_path / "one")
    crew_of_two(FINETUNE, settings, tmp_path / "two")
    for name in ("loss", "gradient_norm", "val_miou", "val_accuracy"):
        assert column(tmp_path / "two", name) == pytest.approx(column(tmp_path / "one", name), abs=1e-4), name
    one, two = (load_weights(tmp_path / name / "model.safetensors") for name in ("one", "two"))
    assert max(float(np.abs(one[name] - two[name]).max()) for name in one) < 1e-3  # float16 on disk


@pytest.mark.usefixtures("unexported")
def test_cancelling_keeps_a_checkpoint_and_resuming_ends_like_an_unbroken_run(rasters, tmp_path):
    class Stop(Ear):
        def cancelled(self) -> bool:
            return (tmp_path / "a" / "metrics.csv").exists()

    settings = config(*rasters, steps=4, run=OFTEN)
    with pytest.raises(Cancelled, match="--resume"):
        finetune(settings, SCRATCH, tmp_path / "a", listener=Stop())
    assert not (tmp_path / "a" / "model.safetensors").exists()
    finetune(settings, SCRATCH, tmp_path / "a", resume=True)
    finetune(settings, SCRATCH, tmp_path / "b")
    assert same(tmp_path / "a", tmp_path / "b")


def test_resuming_with_other_settings_scenes_or_start_and_overwriting_are_refused(run, tmp_path):
    settings, _, folder = run
    scene, labels = lake(tmp_path / "other")
    source = replace(settings.sources[0], images=(str(scene),), labels=(str(labels),))
    relabelled = replace(settings.sources[0], labels=(str(labels),))
    for changed, init, told in (
        (replace(settings, seed=5), SCRATCH, "seed was 0 and is 5"),
        (replace(settings, label_fraction=0.5), SCRATCH, "label_fraction was 1.0 and is 0.5"),
        (optimiser(settings, lr=1.0), SCRATCH, "optimiser.lr was 0.002 and is 1.0"),
        (replace(settings, sources=(source,)), SCRATCH, "scenes[0] was"),
        (replace(settings, sources=(replace(settings.sources[0], erode_px=2),)), SCRATCH, "sources[0].erode_px was 0"),
        (replace(settings, sources=(relabelled,)), SCRATCH, "labels[0][0] was"),
        (settings, str(folder / "model.safetensors"), "init was"),
    ):
        with pytest.raises(SettingInvalid) as error:
            finetune(changed, init, folder, resume=True)
        assert told in str(error.value)
    with pytest.raises(SettingInvalid, match="--resume"):
        finetune(settings, SCRATCH, folder)
    with pytest.raises(SettingInvalid, match="no run to resume"):
        finetune(settings, SCRATCH, tmp_path / "nothing", resume=True)


def test_a_loss_that_is_no_number_stops_the_run_names_windows_and_keeps_the_checkpoint(rasters, tmp_path):
    settings = optimiser(config(*rasters, run=OFTEN), steps=20, lr=1e30, warm_up=1, clip_norm=1e30)
    with pytest.raises(SettingInvalid, match=r"at step (\d+) is (nan|inf).*scene\.tif at row \d+.*optimiser\.lr"):
        finetune(settings, SCRATCH, tmp_path)
    assert checkpoint(tmp_path)["step"] >= 1
    assert not (tmp_path / "model.safetensors").exists()


def test_a_full_disk_is_told_and_the_checkpoint_before_it_survives(rasters, tmp_path):
    class Stop(Ear):
        def cancelled(self) -> bool:
            return (tmp_path / "metrics.csv").exists()

    settings = config(*rasters, steps=6, run=OFTEN)
    with pytest.raises(Cancelled):
        finetune(settings, SCRATCH, tmp_path, listener=Stop())
    whole = checkpoint(tmp_path)
    with no_file_beyond(100_000), pytest.raises(OutputUnwritable, match=r"checkpoint\.pt cannot be written"):
        finetune(settings, SCRATCH, tmp_path, resume=True)
    assert checkpoint(tmp_path)["step"] == whole["step"]
    with no_file_beyond(10), pytest.raises(OutputUnwritable):
        finetune(settings, SCRATCH, tmp_path, resume=True)
    assert checkpoint(tmp_path)["step"] == whole["step"]
    assert not list(tmp_path.glob(".sardino*"))


@contextmanager
def no_file_beyond(size: int):
    """The kernel refuses to let files grow: what a full disk does, without filling one."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.usefixtures("unexported")
@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_mixed_precision_runs(rasters, tmp_path, precision):
    finetune(optimiser(config(*rasters, run=OFTEN), precision=precision), SCRATCH, tmp_path)
    assert all(np.isfinite(column(tmp_path, "loss")))


@pytest.mark.usefixtures("unexported")
def test_a_label_fraction_is_told_and_goes_into_the_provenance(rasters, tmp_path):
    ear = Ear()
    finetune(config(*rasters, label_fraction=0.2), SCRATCH, tmp_path, listener=ear)
    (note,) = read_spec(tmp_path / "model.safetensors").provenance.notes
    assert "label_fraction 0.2" in note
    assert "water" in note
    assert any("label_fraction 0.2" in line for line in ear.said)


def test_everything_held_out_is_an_error(rasters, tmp_path):
    with pytest.raises(NoValidData, match="held out"):
        finetune(config(*rasters, source={"hold_out": 1.0}), SCRATCH, tmp_path / "out")
    assert not (tmp_path / "out").exists()
