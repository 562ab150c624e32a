"""An imported network computes what timm's own forward computes with the source's weights, from values in dB."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from sardino_core.contract.header import read_header
from sardino_core.contract.model_spec import InputSpec, ModelSpec
from sardino_core.models.importing import weights_import
from sardino_core.models.importing.weights_import import Imported, ImportOptions, import_weights
from sardino_core.models.model_file import load_weights, read_spec
from sardino_core.models.network import build
from sardino_core.raster.scaling import standardise
from tests.models import checkpoints
from tests.models.checkpoints import dino_checkpoint, state_of, vit

TOLERANCE = 1e-4
SSL4EO = {"VV": (-12.59, 5.26), "VH": (-20.26, 5.91)}
SOFTCON = {"VV": (-12.548, 5.257), "VH": (-20.192, 5.912)}
DINO_MM = {"VV": (-12.59, 5.04), "VH": (-19.22, 5.42)}


@pytest.fixture
def no_export(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exporting takes seconds; the tests of files do it."""
    monkeypatch.setattr(weights_import, "export_onnx", lambda path: path.with_suffix(".onnx").write_bytes(b""))


def imported(folder: Path, content: Any, **options: Any) -> Imported:
    source = folder / "source.pth"
    torch.save(content, source)
    return import_weights(ImportOptions(str(source), str(folder / "m.safetensors"), **{"dtype": "float32", **options}))


def db_windows(spec: ModelSpec, seed: int = 0) -> dict[str, np.ndarray]:
    """Backscatter in dB by band, (2, S, S), within 1.9 standard deviations of what is usual."""
    random = np.random.default_rng(seed)
    shape = (2, spec.window, spec.window)
    found = {band: random.uniform(-1.9, 1.9, shape) * std + mean for band, (mean, std) in SOFTCON.items()}
    return {**found, "VV-VH": found["VV"] - found["VH"]}


def as_the_model_sees(inputs: InputSpec, db: dict[str, np.ndarray]) -> Tensor:
    """(2, C, S, S), through the same function as at inference."""
    windows = [np.stack([db[band.name][i] for band in inputs.bands]).astype(np.float32) for i in range(2)]
    valid = np.ones(windows[0].shape[1:], bool)
    return torch.from_numpy(np.stack([standardise(w, valid, inputs.bands, inputs.clip_db) for w in windows]))


def require_same_features(found: Imported, reference: nn.Module, windows: Callable[[dict[str, Any], Tensor], Tensor]):
    """`windows` makes what the source's network takes from dB by band, and from what ours takes."""
    spec = read_spec(found.model)
    assert spec == found.spec
    db = db_windows(spec)
    ours = as_the_model_sees(spec.inputs, db)
    network = build(spec, load_weights(found.model)).eval()
    with torch.inference_mode():
        features = network.features(ours)
        expected = reference.forward_features(windows(db, ours))
    prefix = 1 + spec.backbone.register_tokens
    torch.testing.assert_close(features.tokens, expected[:, prefix:], atol=TOLERANCE, rtol=TOLERANCE)
    torch.testing.assert_close(features.class_token, expected[:, 0], atol=TOLERANCE, rtol=TOLERANCE)
    assert expected[:, prefix:].std(dim=1).mean() > 0.1, "tokens must differ, or this test shows nothing"


def grey(_: dict[str, Any], ours: Tensor) -> Tensor:
    """Averaged patch embeddings times 3 / bands: what RGB gives where each channel is the bands' mean."""
    return ours.mean(dim=1, keepdim=True).expand(-1, 3, -1, -1)


def z_score(statistics: dict[str, tuple[float, float]], *bands: str) -> Callable[[dict[str, Any], Tensor], Tensor]:
    def windows(db: dict[str, Any], _: Tensor) -> Tensor:
        found = [(db[band] - statistics[band][0]) / statistics[band][1] for band in bands]
        return torch.from_numpy(np.stack(found, axis=1)).float()

    return windows


def two_sigma(statistics: dict[str, tuple[float, float]], *bands: str) -> Callable[[dict[str, Any], Tensor], Tensor]:
    """As SoftCon and DINO-MM do: clip(mean +- 2 std) to 0..1, without the rounding to 256 steps."""

    def windows(db: dict[str, Any], _: Tensor) -> Tensor:
        found = []
        for band in bands:
            low, high = (statistics[band][0] + sign * 2 * statistics[band][1] for sign in (-1, 1))
            found.append(np.clip((db[band] - low) / (high - low), 0, 1))
        return torch.from_numpy(np.stack(found, axis=1)).float()

    return windows


def with_optical_at_zero(db: dict[str, Any], ours: Tensor) -> Tensor:
    radar = two_sigma(DINO_MM, "VH", "VV")(db, ours)
    return torch.cat((torch.zeros(2, 12, *radar.shape[2:]), radar), dim=1)


@dataclass(frozen=True)
class Case:
    format: str
    make: Callable[[], tuple[nn.Module, Any]]  # the reference, and what its authors save
    windows: Callable[[dict[str, Any], Tensor], Tensor]
    architecture: str
    patch: int
    auto: bool = True  # whether it can be told without --format


def plain(channels: int, patch: int = 16, **more: Any) -> tuple[nn.Module, Any]:
    network = vit(channels, patch, **more)
    return network, state_of(network)


def full_dino(channels: int = 3, patch: int = 16) -> tuple[nn.Module, Any]:
    teacher, student = vit(channels, patch, seed=0), vit(channels, patch, seed=9)
    return teacher, dino_checkpoint(state_of(teacher), state_of(student))


def student_alone() -> tuple[nn.Module, Any]:
    student, content = vit(3, seed=9), full_dino()[1]
    del content["teacher"]
    return student, content


def with_decoder() -> tuple[nn.Module, Any]:
    network, state = plain(2)
    extra = {"mask_token": torch.ones(1, 1, 8), "decoder_blocks.0.norm1.weight": torch.ones(8)}
    return network, {"model": {**state, **extra, "decoder_pos_embed": torch.ones(1, 17, 8)}, "epoch": 99}


def chunked_dinov2() -> tuple[nn.Module, Any]:
    network, state = checkpoints.dinov2_with_registers()
    chunked = {f"backbone.{k.replace('blocks.', 'blocks.0.')}": v for k, v in state.items()}
    return network, {"teacher": {**chunked, "dino_head.mlp.0.weight": torch.ones(3), "ibot_head.x": torch.ones(3)}}


def softcon(mask_token: bool = True) -> tuple[nn.Module, Any]:
    network, state = plain(2, 14, init_values=1e-5)
    return network, {**state, **({"mask_token": torch.ones(1, 192)} if mask_token else {})}


CASES = {
    "dino/16": Case("dino", lambda: plain(3), grey, "vit_tiny", 16),
    "dino/8": Case("dino", lambda: plain(3, 8), grey, "vit_tiny", 8),
    "dino full, teacher": Case("dino-checkpoint", full_dino, grey, "vit_tiny", 16),
    "dino full, student alone": Case("dino-checkpoint", student_alone, grey, "vit_tiny", 16),
    "dinov2": Case("dinov2", lambda: plain(3, 14, init_values=1e-5), grey, "vit_tiny_dinov2", 14),
    "dinov2, registers": Case("dinov2", checkpoints.dinov2_with_registers, grey, "vit_tiny_dinov2", 14),
    "dinov2, in training": Case("dinov2", chunked_dinov2, grey, "vit_tiny_dinov2", 14),
    "dinov3": Case("dinov3", checkpoints.dinov3, grey, "vit_tiny_dinov3", 16),
    "dinov3 of timm": Case("dinov3", checkpoints.dinov3_of_timm, grey, "vit_tiny_dinov3", 16),
    "dinov3 of timm, biases": Case(
        "dinov3", lambda: checkpoints.dinov3_of_timm(qkv_bias=True), grey, "vit_tiny_dinov3", 16
    ),
    "torchgeo": Case("torchgeo-s1", lambda: plain(2), z_score(SSL4EO, "VV", "VH"), "vit_tiny", 16),
    "torchgeo with decoder": Case("torchgeo-s1", with_decoder, z_score(SSL4EO, "VV", "VH"), "vit_tiny", 16),
    "softcon of torchgeo": Case(
        "torchgeo-s1", lambda: softcon(False), z_score(SSL4EO, "VV", "VH"), "vit_tiny_dinov2", 14, auto=False
    ),
    "softcon": Case("softcon-s1", softcon, two_sigma(SOFTCON, "VV", "VH"), "vit_tiny_dinov2", 14, auto=False),
    "dino-mm": Case("dino-mm", lambda: full_dino(14, 8), with_optical_at_zero, "vit_tiny", 8),
}


@pytest.mark.usefixtures("no_export")
@pytest.mark.parametrize("name", CASES)
def test_features_are_those_of_timms_own_forward(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    reference, content = case.make()
    window = {"window": 64} if case.format == "dinov3" else {}
    found = imported(tmp_path, content, format="auto" if case.auto else case.format, **window)
    backbone = found.spec.backbone
    assert found.format.name == case.format
    assert (backbone.architecture, backbone.patch, backbone.depth, backbone.heads) == (
        case.architecture,
        case.patch,
        2,
        3,
    )
    assert found.spec.task == "pretrained"
    assert found.spec.window == 4 * case.patch
    require_same_features(found, reference, case.windows)


@pytest.mark.usefixtures("no_export")
@pytest.mark.parametrize("bands", [("VH", "VV"), ("VV", "VH", "VV-VH"), ("VV-VH", "VV", "VH")])
@pytest.mark.parametrize("name", ["dino/16", "dinov2, registers", "torchgeo", "dino-mm"])
def test_other_bands_and_orders_compute_the_same(name: str, bands: tuple[str, ...], tmp_path: Path) -> None:
    case = CASES[name]
    reference, content = case.make()
    found = imported(tmp_path, content, format=case.format, bands=bands)
    assert tuple(band.name for band in found.spec.inputs.bands) == bands
    require_same_features(found, reference, case.windows)
    if case.windows is not grey and "VV-VH" in bands:
        patches = load_weights(found.model)["backbone.patch_embed.proj.weight"]
        assert (patches[:, bands.index("VV-VH")] == 0).all()
        assert any("fine-tuning" in note for note in found.spec.provenance.notes)


@pytest.mark.usefixtures("no_export")
def test_one_band_takes_the_sum_of_red_green_and_blue(tmp_path: Path) -> None:
    reference, content = CASES["dino/8"].make()
    require_same_features(imported(tmp_path, content, bands=("VH",)), reference, grey)


@pytest.mark.usefixtures("no_export")
def test_features_differ_from_the_students_where_there_is_a_teacher(tmp_path: Path) -> None:
    student, content = vit(3, seed=9), full_dino()[1]
    with pytest.raises(AssertionError, match="not close"):
        require_same_features(imported(tmp_path, content), student, grey)


@pytest.mark.parametrize(
    ("name", "clip_db", "vv"),
    [
        ("torchgeo", (-50.0, 30.0), (-12.59, 5.26)),
        ("softcon of torchgeo", (-50.0, 30.0), (-12.59, 5.26)),
        ("softcon", (-32.016, -2.034), (-12.548 - 2 * 5.257, 4 * 5.257)),
        ("dino-mm", (-30.06, -2.51), (-12.59 - 2 * 5.04, 4 * 5.04)),
        ("dino/16", (-50.0, 30.0), (-12.59, 5.26)),
    ],
)
@pytest.mark.usefixtures("no_export")
def test_the_normalisation_is_in_the_specification(name: str, clip_db: Any, vv: Any, tmp_path: Path) -> None:
    case = CASES[name]
    inputs = imported(tmp_path, case.make()[1], format=case.format).spec.inputs
    assert inputs.clip_db == pytest.approx(clip_db)
    assert (inputs.bands[0].name, inputs.bands[0].mean_db, inputs.bands[0].std_db) == ("VV", *map(pytest.approx, vv))


@pytest.mark.usefixtures("no_export")
def test_the_clip_range_leaves_room_for_a_difference_in_db(tmp_path: Path) -> None:
    inputs = imported(tmp_path, softcon()[1], format="softcon-s1", bands=("VV", "VH", "VV-VH")).spec.inputs
    assert inputs.clip_db[1] > 12


@pytest.mark.usefixtures("no_export")
@pytest.mark.parametrize("name", ["dino/16", "dinov2, registers", "dinov3"])
def test_another_window_is_the_same_network_with_positions_resampled(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    found = imported(tmp_path, case.make()[1], window=6 * case.patch)
    assert found.spec.tokens_per_side == 6
    weights = load_weights(found.model)
    build(found.spec, weights)
    if case.format == "dinov3":
        assert not any("pos_embed" in key for key in weights)
    else:
        assert weights["backbone.pos_embed"].shape == (1, 36, 192)
        assert "resampled" in found.report.adapted["pos_embed"]


@pytest.mark.usefixtures("no_export")
def test_a_difference_between_positions_survives_resampling(tmp_path: Path) -> None:
    network = vit(3)
    with torch.no_grad():
        network.pos_embed[:, 1:] = torch.linspace(-1, 1, 4).repeat_interleave(4)[None, :, None]  # grows with the row
    found = imported(tmp_path, state_of(network), window=128)
    rows = load_weights(found.model)["backbone.pos_embed"][0, :, 0].reshape(8, 8)
    assert (np.diff(rows, axis=0) > 0).all()
    np.testing.assert_allclose(np.diff(rows, axis=1), 0, atol=1e-6)


@pytest.mark.usefixtures("no_export")
def test_float16_is_the_default_and_close(tmp_path: Path) -> None:
    reference, content = full_dino()
    torch.save(content, tmp_path / "source.pth")
    found = import_weights(ImportOptions(str(tmp_path / "source.pth"), str(tmp_path / "m.safetensors")))
    assert {entry.dtype for entry in read_header(found.model).tensors.values()} == {"F16"}
    assert "stored as float16" in found.spec.provenance.notes[0]
    x = torch.randn(1, 2, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        tokens = build(found.spec, load_weights(found.model)).eval().features(x).tokens
        difference = (tokens - reference.forward_features(grey({}, x))[:, 1:]).abs().max()
    assert 0 < difference < 0.05


@pytest.mark.usefixtures("no_export")
def test_provenance_names_file_format_branch_and_licence(tmp_path: Path) -> None:
    spec = imported(tmp_path, full_dino()[1], licence="Apache-2.0").spec
    assert spec.licence == "Apache-2.0"
    assert "source.pth, its teacher, format dino-checkpoint" in spec.provenance.notes[0]
    assert "RGB" in spec.provenance.notes[1]
    assert "not on SAR" in spec.limits
    assert {"sardino", "torch", "timm"} <= set(spec.provenance.versions)
    assert imported(tmp_path, full_dino()[1]).spec.licence == "unknown: see the source"


@pytest.mark.usefixtures("no_export")
def test_the_report_accounts_for_every_weight(tmp_path: Path) -> None:
    network, state = checkpoints.dinov2_with_registers()
    report = imported(tmp_path, {**state, "head.weight": torch.ones(3)}, window=112).report
    ours = set(network.state_dict())
    assert set(report.loaded) | set(report.adapted) == ours
    assert not set(report.loaded) & set(report.adapted)
    assert set(report.adapted) == {"cls_token", "pos_embed", "patch_embed.proj.weight"}
    assert set(report.unused) == {"mask_token", "head.weight"}
    assert not report.missing
    lines = "\n".join(report.lines())
    for text in ("blocks.*.ls1.gamma (2)", "average over RGB", "mask_token", "missing     0  none", "loaded     32"):
        assert text in lines
    assert report.values()["loaded"]["blocks.*.attn.qkv.weight"] == 2
    assert report.values()["unused"]["head.weight"]["count"] == 1


@pytest.mark.usefixtures("no_export")
def test_the_report_tells_what_stands_in_for_what_is_missing(tmp_path: Path) -> None:
    report = imported(tmp_path, checkpoints.dinov3_of_timm()[1]).report
    assert set(report.missing) == {"blocks.0.attn.qkv.bias", "blocks.1.attn.qkv.bias"}
    masked = imported(tmp_path, checkpoints.dinov3()[1]).report
    assert "bias_mask" in masked.adapted["blocks.1.attn.qkv.bias"]
    assert {"rope_embed.periods", "mask_token", "local_cls_norm.bias"} <= set(masked.unused)
