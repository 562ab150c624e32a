"""Short runs from unlabelled rasters to a backbone; killed, resumed, split, and made to fail."""

from __future__ import annotations

import signal
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from sardino_core.contract.errors import Cancelled, SettingInvalid
from sardino_core.contract.messages import Result
from sardino_core.models.model_file import load_weights, read_spec
from sardino_core.models.predictor import load_predictor
from sardino_core.training.dino.plan import plan
from sardino_core.training.finetune import finetune
from sardino_core.training.pretrain import pretrain
from sardino_core.training.running.run import finished
from sardino_core.training.settings.finetune_config import OptimiserConfig
from sardino_core.training.settings.pretrain_config import (
    DinoConfig,
    PretrainConfig,
    load_pretrain_config,
)
from sardino_core.training.settings.run_config import RunConfig
from tests.training.rasters import config as finetune_config
from tests.training.rasters import lake, places, pretrain_config
from tests.training.runs import PRETRAIN, Ear, checkpoint, child, column, crew_of_two, same, wait_for


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
    monkeypatch.setattr("sardino_core.training.pretrain.export_onnx", lambda model: model)


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> str:
    return str(places(tmp_path_factory.mktemp("places")) / "*.tif")


def steps(config: PretrainConfig, count: int, **changes) -> PretrainConfig:
    return replace(config, optimiser=replace(config.optimiser, steps=count, **changes))


@pytest.fixture(scope="module")
def run(images, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "out"
    config = pretrain_config(images, run=RunConfig(log_every=2, checkpoint_every=2, picture_every=2))
    ear = Ear()
    return config, pretrain(config, folder, listener=ear), folder, ear


def test_the_run_folder_holds_what_was_promised(run):
    config, result, folder, ear = run
    names = {path.name.split(".0.")[0] if "tfevents" not in path.name else "events" for path in folder.iterdir()}
    assert names == {"model.safetensors", "model.onnx", "metrics.csv", "config.yaml", "checkpoint.pt", "events"}
    resolved = load_pretrain_config(folder / "config.yaml")
    assert resolved.head.prototypes == config.head.prototypes
    assert resolved.loss.teacher_temperature == 0.02  # chosen by the amount of data, and said
    assert any("windows side by side" in line and "0.02" in line for line in ear.said)
    assert column(folder, "step") == [2, 4]
    assert result.values["collapsed"] in (0.0, 1.0)


def test_the_file_is_a_pretrained_model_that_finetune_starts_from(run, tmp_path):
    _, _, folder, _ = run
    spec = read_spec(folder / "model.safetensors")
    assert (spec.task, spec.head, spec.window) == ("pretrained", "none", 32)
    assert spec.provenance.data == tuple(f"{Path(n).parent.name}/{Path(n).name}" for n in spec.provenance.data)
    predictor = load_predictor(folder / "model.safetensors", device="cpu")
    assert predictor.description.startswith("ONNX")
    optimiser = OptimiserConfig(steps=1, lr=1e-9, warm_up=1, weight_decay=0.0, ema_decay=0.0, batch_size=2)
    finetune(finetune_config(*lake(tmp_path), optimiser=optimiser), str(folder / "model.safetensors"), tmp_path / "out")
    before, after = load_weights(folder / "model.safetensors"), load_weights(tmp_path / "out" / "model.safetensors")
    assert all(np.allclose(before[name], after[name], atol=1e-3) for name in before)


@pytest.mark.parametrize(
    "change",
    [
        {"teacher": None},
        {"student": {}},
        {"optimiser": {"state": {}, "param_groups": []}},
        {"step": "many"},
        {"sums": 3},
        {"watch": {}},
    ],
)
def test_a_checkpoint_whose_state_does_not_fit_is_told_in_one_line(run, tmp_path, change):
    config, _, folder, _ = run
    body = torch.load(folder / "checkpoint.pt", weights_only=True)
    torch.save(body | {"state": body["state"] | change}, tmp_path / "checkpoint.pt")
    with pytest.raises(SettingInvalid, match=r"checkpoint\.pt is damaged"):
        pretrain(config, tmp_path, resume=True)


@pytest.mark.usefixtures("unexported")
def test_the_same_seed_gives_the_same_weights_and_another_seed_others(images, run, tmp_path):
    config, _, folder, _ = run
    torch.randn(3)  # what others drew before makes no difference
    pretrain(config, tmp_path / "a")
    pretrain(replace(config, seed=1), tmp_path / "b")
    assert same(folder, tmp_path / "a")
    assert not same(folder, tmp_path / "b")


@pytest.mark.usefixtures("unexported")
def test_a_killed_run_goes_on_bit_for_bit(images, tmp_path):
    config = steps(pretrain_config(images, run=RunConfig(1, 1, 0, tensorboard=False)), 40)
    process = child(PRETRAIN, config, tmp_path / "killed")
    wait_for(tmp_path / "killed" / "checkpoint.pt", process)
    time.sleep(0.2)
    process.kill()
    process.communicate()
    reached = checkpoint(tmp_path / "killed")["step"]
    assert 0 < reached < 40, "the run was over before it was killed"
    resumed = child(PRETRAIN, config, tmp_path / "killed", "--resume")
    pretrain(config, tmp_path / "whole")
    assert resumed.wait() == 0, resumed.communicate()
    assert same(tmp_path / "killed", tmp_path / "whole")
    assert column(tmp_path / "killed", "loss") == column(tmp_path / "whole", "loss")
    assert not list((tmp_path / "killed").glob(".sardino*"))


@pytest.mark.parametrize("wish", [signal.SIGTERM, signal.SIGINT])
def test_being_stopped_saves_a_checkpoint_and_exits_0(images, tmp_path, wish):
    config = steps(pretrain_config(images, run=RunConfig(1, 10_000, 0, tensorboard=False)), 5000)
    process = child(PRETRAIN, config, tmp_path / "out")
    wait_for(tmp_path / "out" / "metrics.csv", process)
    process.send_signal(wish)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "checkpoint.pt" in output
    assert 0 < checkpoint(tmp_path / "out")["step"] < 5000
    assert not (tmp_path / "out" / "model.safetensors").exists()


def test_a_stopped_run_has_no_model_to_go_on_with():
    with pytest.raises(Cancelled, match="step 7"):
        finished(Result({"run": "here"}, {"steps": 7.0}))
    assert finished(Result({"model": "model.safetensors"})) == "model.safetensors"


@pytest.mark.usefixtures("unexported")
def test_two_processes_equal_one_that_accumulates(images, tmp_path):
    config = steps(pretrain_config(images), 4, micro_batch=2, lr=1e-4)
    config = replace(config, run=RunConfig(1, 10_000, 0, tensorboard=False))
    pretrain(config, tmp_path / "one")
    crew_of_two(PRETRAIN, config, tmp_path / "two")
    assert column(tmp_path / "two", "loss") == pytest.approx(column(tmp_path / "one", "loss"), abs=1e-5)
    one, two = (
        load_weights(tmp_path / "one" / "model.safetensors"),
        load_weights(tmp_path / "two" / "model.safetensors"),
    )
    assert max(float(np.abs(one[name] - two[name]).max()) for name in one) < 2e-3


@pytest.mark.usefixtures("unexported")
def test_without_centring_training_collapses_and_says_so(images, tmp_path):
    ear = Ear()
    loss = DinoConfig(centring="none", teacher_temperature=0.01, momentum=0.5, koleo=0.0, ibot=0.0)
    config = steps(pretrain_config(images, loss=loss), 120, lr=3e-3, drop_path=0.0)
    result = pretrain(replace(config, run=RunConfig(5, 10_000, 0, tensorboard=False)), tmp_path, listener=ear)
    warnings = [line for line in ear.said if line.startswith("warning") and "collapsed" in line]
    assert warnings
    assert "centring=sinkhorn" in warnings[0]
    assert result.values["collapsed"] == 1.0
    assert any("collapsed" in note for note in read_spec(tmp_path / "model.safetensors").provenance.notes)


def test_a_nan_stops_the_run_names_the_batch_and_keeps_the_checkpoint(images, tmp_path):
    config = steps(pretrain_config(images), 50, lr=1e30, warm_up=1, clip_norm=1e30)
    with pytest.raises(SettingInvalid, match=r"The (loss|gradient) at step \d+ is (nan|inf).*place_\d\.tif at row \d+"):
        pretrain(config, tmp_path)
    assert not (tmp_path / "model.safetensors").exists()


@pytest.mark.usefixtures("unexported")
def test_cancelling_keeps_a_checkpoint_and_resuming_ends_like_an_unbroken_run(images, run, tmp_path):
    class Stop(Ear):
        def cancelled(self) -> bool:
            return (tmp_path / "config.yaml").exists()

    config, _, folder, _ = run
    with pytest.raises(Cancelled, match="--resume"):
        pretrain(config, tmp_path, listener=Stop())
    pretrain(config, tmp_path, resume=True)
    assert same(tmp_path, folder)
    assert column(tmp_path, "loss") == column(folder, "loss")


def test_resuming_with_other_settings_or_rasters_and_overwriting_are_refused(run, images, tmp_path):
    config, _, folder, _ = run
    for changed, told in (
        (replace(config, seed=5), "seed was 0 and is 5"),
        (steps(config, 8), "optimiser.steps was 4 and is 8"),
        (
            replace(config, sources=(replace(config.sources[0], images=(images.replace("*", "place_0"),)),)),
            "rasters was",
        ),
        (replace(config, sources=(replace(config.sources[0], weight=2.0),)), "sources[0].weight was 1.0 and is 2.0"),
        (replace(config, sources=(replace(config.sources[0], bands={"VV": 2, "VH": 1}),)), "sources[0].bands.VV"),
    ):
        with pytest.raises(SettingInvalid) as error:
            pretrain(changed, folder, resume=True)
        assert told in str(error.value)
    with pytest.raises(SettingInvalid, match="--resume"):
        pretrain(config, folder)
    with pytest.raises(SettingInvalid, match="no run to resume"):
        pretrain(config, tmp_path / "nothing", resume=True)


@pytest.mark.usefixtures("unexported")
def test_the_loop_learns_on_two_kinds_of_ground(images, tmp_path):
    config = steps(pretrain_config(images), 60, batch_size=8, lr=2e-3, drop_path=0.0, warm_up=10)
    pretrain(replace(config, run=RunConfig(10, 10_000, 0, tensorboard=False)), tmp_path)
    loss = column(tmp_path, "dino")
    assert loss[-1] < loss[0] - 0.1
    assert column(tmp_path, "rank")[-1] > 1.5


def test_planning_looks_and_writes_nothing(images, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ear = Ear()
    _, found, windows = plan(pretrain_config(images), ear)
    text = "\n".join(ear.said)
    assert windows == round(2 * 160 * 160 / 48**2)
    assert len(found.places) == 2
    assert "2 rasters of 2 places" in text
    assert "units:" in text
    assert "VV, VH" in text
    assert "MB of memory" in text
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("unexported")
@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_mixed_precision_runs(images, tmp_path, precision):
    config = steps(pretrain_config(images), 2, precision=precision)
    pretrain(config, tmp_path)
    assert all(np.isfinite(column(tmp_path, "loss")))
