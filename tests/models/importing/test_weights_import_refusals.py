"""What cannot be imported is refused in one line that says what it is, and nothing is left behind."""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from sardino_core.contract.errors import InputMissing, ModelInvalid, OutputUnwritable, SardinoError, SettingInvalid
from sardino_core.models.importing import weights_import
from sardino_core.models.importing.checkpoint_reader import bare_name, read_checkpoint
from sardino_core.models.importing.import_formats import FORMATS
from sardino_core.models.importing.weights_import import ImportOptions, import_weights
from sardino_core.models.model_file import read_spec, save_model
from tests.models import checkpoints
from tests.models.checkpoints import State, dino_checkpoint, state_of, vit
from tests.models.specs import make_spec


@pytest.fixture(autouse=True)
def no_export(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights_import, "export_onnx", lambda path: path.with_suffix(".onnx").write_bytes(b"graph"))


def refused(folder: Path, content: Any, kind: type[SardinoError] = ModelInvalid, **options: Any) -> str:
    """The one line of the refusal; the folder holds the source alone afterwards."""
    source = folder / "source.pth"
    if isinstance(content, bytes):
        source.write_bytes(content)
    else:
        torch.save(content, source)
    with pytest.raises(kind) as raised:
        import_weights(ImportOptions(str(source), str(folder / "m.safetensors"), **options))
    assert names_in(folder) == {"source.pth"}
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 420
    return str(raised.value)


def names_in(folder: Path) -> set[str]:
    return {item.name for item in folder.iterdir()}


def dino() -> State:
    return state_of(vit(3))


class Hostile:
    """Would make a file when unpickled in earnest."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (os.system, (f"touch {self.path}",))


def zipped(content: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


@pytest.mark.parametrize("wrap", [zipped, lambda content: pickle.dumps(content, 2)], ids=["torch.save", "pickle"])
def test_a_hostile_pickle_is_not_run(wrap: Callable[[Any], bytes], tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    sentinel = tmp_path / "was-here"
    text = refused(folder, wrap({"model": {}, "args": Hostile(sentinel)}))
    assert not sentinel.exists()
    assert "source.pth was not read: it calls for `posix.system`" in text or "`nt.system`" in text


def test_names_out_of_a_strangers_file_cannot_steer_the_terminal_nor_the_reader(tmp_path: Path) -> None:
    text = refused(tmp_path, {**dino(), "\x1b[31m\u202eevil\n\x07": torch.ones(1)})
    assert text.isprintable() and "evil" in text
    assert bare_name("module." * 20_000 + "backbone.norm.weight") == "norm.weight"


def test_a_whole_module_is_refused_by_the_name_of_its_class(tmp_path: Path) -> None:
    text = refused(tmp_path, vit(3))
    assert "VisionTransformer" in text and "save its state_dict" in text


def test_the_numpy_objects_of_a_training_run_are_read_as_nothing(tmp_path: Path) -> None:
    path = tmp_path / "c.pth"
    torch.save({**dino_checkpoint(dino(), dino()), "rng": np.random.default_rng(0).standard_normal(3)}, path)
    found = read_checkpoint(path)
    assert found.branch == "teacher"
    assert len(found.weights) == len(dino()) + 8
    assert all(isinstance(value, torch.Tensor) for value in found.weights.values())


@pytest.mark.parametrize(
    "content",
    [b"", b"x", b"not a checkpoint at all", b"II*\x00" + bytes(200), b"\x80\x02}q\x00.", bytes(64), b"PK\x03\x04" * 9],
    ids=["empty", "short", "text", "tiff", "cut pickle", "zeros", "zip"],
)
def test_what_is_no_checkpoint_is_named(content: bytes, tmp_path: Path) -> None:
    assert "source.pth" in refused(tmp_path, content)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.95, 0.999])
def test_a_checkpoint_that_is_cut_short_is_refused(share: float, tmp_path: Path) -> None:
    whole = zipped(dino())
    assert "not a whole checkpoint" in refused(tmp_path, whole[: int(len(whole) * share)])


def test_damaged_bytes_never_escape_as_anything_else(tmp_path: Path) -> None:
    whole = zipped({"a": {"b": torch.zeros(3)}, "c": 1.5})
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    random = np.random.default_rng(0)
    for trial in range(60):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
            for name, part in parts.items():
                damaged = bytearray(part)
                if name.endswith("data.pkl"):
                    damaged[random.integers(len(damaged))] = random.integers(256)
                archive.writestr(name, bytes(damaged))
        path = tmp_path / f"{trial}.pth"
        path.write_bytes(buffer.getvalue())
        try:
            read_checkpoint(path)
        except ModelInvalid:
            continue


@pytest.mark.parametrize("content", [{}, {"epoch": 3}, [1, 2], "text", {"model": {"epoch": 3}}, {1: torch.zeros(3)}])
def test_a_checkpoint_without_weights_is_named(content: Any, tmp_path: Path) -> None:
    assert "holds no weights" in refused(tmp_path, content)


@pytest.mark.parametrize("name", ["nowhere.pth", "."])
def test_a_source_that_is_no_file(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputMissing, match=r"does not exist|is a folder"):
        import_weights(ImportOptions(str(tmp_path / name), str(tmp_path / "m.safetensors")))


MADE: dict[str, Callable[[], Any]] = {
    "dino": dino,
    "dino-checkpoint": lambda: dino_checkpoint(dino(), dino()),
    "dinov2": lambda: state_of(vit(3, 14, init_values=1e-5)),
    "dinov3": lambda: checkpoints.dinov3()[1],
    "torchgeo-s1": lambda: state_of(vit(2)),
    "softcon-s1": lambda: state_of(vit(2, 14, init_values=1e-5)),
    "dino-mm": lambda: dino_checkpoint(state_of(vit(14, 8)), state_of(vit(14, 8))),
}


BOTH_FIT = ("softcon-s1", "torchgeo-s1")
WRONG = [(made, asked) for made in MADE for asked in FORMATS if asked != made and (made, asked) != BOTH_FIT]


@pytest.mark.parametrize(("made", "asked"), WRONG)
def test_another_format_than_the_one_asked_for_is_named(made: str, asked: str, tmp_path: Path) -> None:
    text = refused(tmp_path, MADE[made](), format=asked)
    assert f"is not of the format {asked}" in text
    assert f"looks like {made}" in text or f"or {made}" in text
    assert "Use --format" in text


def test_what_two_formats_fit_is_asked_about(tmp_path: Path) -> None:
    text = refused(tmp_path, MADE["softcon-s1"]())
    assert "torchgeo-s1 and softcon-s1" in text and "--format" in text


def test_an_unknown_format_lists_the_known(tmp_path: Path) -> None:
    assert "allowed are auto, dino, dino-checkpoint" in refused(tmp_path, dino(), SettingInvalid, format="dino4")


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ({"layer1.0.conv1.weight": torch.zeros(4, 4, 1, 1)}, "a ResNet"),
        ({"layers.0.blocks.0.norm1.weight": torch.zeros(4)}, "a Swin transformer"),
        ({"embeddings.patch_embeddings.projection.weight": torch.zeros(4, 3, 2, 2)}, "the transformers library"),
        ({"patch_embed.proj.weight": torch.zeros(4, 13, 2, 2)}, "13 channels; allowed are 3"),
        ({"w": torch.zeros(3, 2)}, r"something else (1 tensors, 6 numbers"),
        ({**dino(), "decoder_pred.weight": torch.zeros(2, 2)}, "a masked autoencoder of RGB"),
    ],
)
def test_other_networks_are_named(content: State, what: str, tmp_path: Path) -> None:
    assert what in refused(tmp_path, content)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda s: s.update({"norm_pre.weight": torch.ones(192)}), "without a place in vit_tiny/16: norm_pre.weight"),
        (lambda s: s.update({"blocks.0.mlp.w12.weight": torch.ones(8, 8)}), "allowed to be left over is a head"),
        (lambda s: s.update({"blocks.0.ls1.gamma": torch.ones(192)}), "lacks 3 of the weights"),
        (lambda s: s.pop("norm.weight"), "lacks 1 of the weights that its network needs: norm.weight"),
        (lambda s: s.pop("cls_token"), "needs: cls_token"),
        (lambda s: s.pop("pos_embed"), "needs: pos_embed"),
        (lambda s: s.pop("blocks.0.attn.qkv.bias"), "needs: blocks.*.attn.qkv.bias"),
        (lambda s: s.update({"blocks.5.norm1.bias": torch.ones(192)}), "needs: blocks.*"),
        (
            lambda s: s.update({"blocks.900000000.norm1.bias": torch.ones(192)}),
            "900000001 blocks; allowed are up to 64",
        ),
        (lambda s: s.update({"pos_embed": torch.ones(1, 12, 192)}), "12 position embeddings; allowed is a square"),
        (lambda s: s.update({"pos_embed": torch.ones(17, 192)}), "pos_embed of source.pth has shape (17, 192)"),
        (lambda s: s.update({"pos_embed": torch.ones(1, 17, 96)}), "its pos_embed calls for (1, 1, 96)"),
        (lambda s: s.update({"cls_token": torch.ones(1, 0, 192)}), "cls_token of source.pth has shape (1, 0, 192)"),
        (lambda s: s.update({"blocks.1.mlp.fc1.weight": torch.ones(5, 192)}), "calls for (768, 192)"),
        (
            lambda s: s.update({"patch_embed.proj.weight": torch.ones(200, 3, 16, 16)}),
            "width 200; allowed are 192, 384",
        ),
        (lambda s: s.update({"patch_embed.proj.weight": torch.ones(192, 3, 16, 8)}), "patches of 16 x 8"),
        (lambda s: s.update({"norm.weight": torch.full((192,), torch.nan)}), "norm.weight"),
        (lambda s: s.update({"norm.weight": torch.ones(192).to_sparse()}), "not a plain tensor of numbers"),
        (lambda s: s.update({"norm.weight": torch.ones(192).cfloat()}), "not a plain tensor of numbers"),
        (lambda s: s.update({"norm.weight": torch.full((192,), 1e6)}), "cannot be stored as float16"),
        (lambda s: s.update({"module.norm.weight": torch.ones(192)}), "two weights that are called norm.weight"),
    ],
)
def test_weights_that_do_not_make_up_the_network(change: Callable[[State], Any], text: str, tmp_path: Path) -> None:
    state = dino()
    change(state)
    options = {"format": "dinov2"} if "blocks.0.ls1.gamma" in state else {}
    assert text in refused(tmp_path, state, **options)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("pos_embed", (1, 1 << 40, 192)),
        ("pos_embed", (1, (1 << 40) + 1, 192)),
        ("cls_token", (1, 1 << 40, 192)),
        ("register_tokens", (1, 1 << 40, 192)),
        ("patch_embed.proj.weight", (1 << 40, 3, 16, 16)),
        ("patch_embed.proj.weight", (192, 3, 1 << 20, 1 << 20)),
        ("blocks.0.attn.qkv.weight", (1 << 40, 192)),
        ("blocks.0.attn.qkv.bias_mask", (1 << 40,)),
        ("norm.weight", (1 << 40,)),
    ],
)
def test_a_tensor_that_claims_to_be_huge_costs_nothing(name: str, shape: tuple[int, ...], tmp_path: Path) -> None:
    state = dino()
    state[name] = torch.zeros((1,) * len(shape)).expand(shape)  # 4 bytes in the file
    refused(tmp_path, state)


def test_rotary_positions_of_another_kind_are_refused(tmp_path: Path) -> None:
    state = checkpoints.dinov3()[1]
    state["rope_embed.periods"] = state["rope_embed.periods"] * 2
    assert "other periods than DINOv3's" in refused(tmp_path, state)


@pytest.mark.parametrize(
    ("format", "bands", "text"),
    [
        ("dino", ("VV", "HH"), "allowed are VV, VH, VV-VH"),
        ("dino", ("VV", "VV"), "each once"),
        ("dino", ("",), "cannot be imported to"),
        ("torchgeo-s1", ("VV", "VV-VH"), "lacks VH, which the weights of torchgeo-s1 were trained on"),
        ("dino-mm", ("VV-VH",), "lacks VV and VH"),
    ],
)
def test_bands_that_cannot_be_made(format: str, bands: tuple[str, ...], text: str, tmp_path: Path) -> None:
    assert text in refused(tmp_path, MADE[format](), SettingInvalid, format=format, bands=bands)


@pytest.mark.parametrize(("window", "kind"), [(-16, SettingInvalid), (100, ModelInvalid), (16 * 129, ModelInvalid)])
def test_windows_that_do_not_fit(window: int, kind: type[SardinoError], tmp_path: Path) -> None:
    assert "window" in refused(tmp_path, dino(), kind, window=window)


def test_outputs_that_cannot_be(tmp_path: Path) -> None:
    save_file(dino(), tmp_path / "source.safetensors")
    source = str(tmp_path / "source.safetensors")
    for output, kind, text in (
        (tmp_path / "m.pth", SettingInvalid, r"must end in \.safetensors"),
        (tmp_path / "source.safetensors", SettingInvalid, "is the checkpoint itself"),
        (tmp_path / "nowhere" / "m.safetensors", OutputUnwritable, "nowhere does not exist"),
    ):
        with pytest.raises(kind, match=text):
            import_weights(ImportOptions(source, str(output)))
    assert names_in(tmp_path) == {"source.safetensors"}


def test_safetensors_are_read_and_a_model_of_ours_is_told(tmp_path: Path) -> None:
    save_file(dino(), tmp_path / "source.safetensors")
    found = import_weights(ImportOptions(str(tmp_path / "source.safetensors"), str(tmp_path / "m.safetensors")))
    assert found.format.name == "dino"
    save_model(tmp_path / "own.safetensors", make_spec(), {"w": np.zeros(3, np.float32)})
    with pytest.raises(ModelInvalid, match="is a model file of this product already"):
        import_weights(ImportOptions(str(tmp_path / "own.safetensors"), str(tmp_path / "m2.safetensors")))
    whole = (tmp_path / "source.safetensors").read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(whole[:-100])
    with pytest.raises(ModelInvalid, match=r"cut\.safetensors is not a whole safetensors file"):
        import_weights(ImportOptions(str(tmp_path / "cut.safetensors"), str(tmp_path / "m2.safetensors")))


def test_a_failed_export_leaves_the_older_model_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save(dino(), tmp_path / "source.pth")
    options = ImportOptions(str(tmp_path / "source.pth"), str(tmp_path / "m.safetensors"))
    (tmp_path / ".sardino-part-m").mkdir()
    (tmp_path / ".sardino-part-m" / "left.onnx").write_bytes(b"by a killed run")
    import_weights(options)
    before = {item.name: item.read_bytes() for item in tmp_path.iterdir()}
    assert set(before) == {"source.pth", "m.safetensors", "m.onnx"}

    def fail(path: Path) -> None:
        raise ModelInvalid("The export differs.")

    monkeypatch.setattr(weights_import, "export_onnx", fail)
    with pytest.raises(ModelInvalid, match="export differs"):
        import_weights(options)
    assert {item.name: item.read_bytes() for item in tmp_path.iterdir()} == before
    assert read_spec(tmp_path / "m.safetensors").name == "m"


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("module.backbone.blocks.0.norm1.bias", "blocks.0.norm1.bias"),
        ("backbone.cls_token", "cls_token"),
        ("_orig_mod.module.norm.weight", "norm.weight"),
        ("module.head.mlp.0.weight", "head.mlp.0.weight"),
        ("blocks.0.module.weight", "blocks.0.module.weight"),  # prefixes stand at the start alone
        ("mymodule.norm.weight", "mymodule.norm.weight"),
        ("blocks.1.backbone.norm", "blocks.1.backbone.norm"),
        ("blocks.3.11.norm1.bias", "blocks.11.norm1.bias"),
        ("head.blocks.3.11.x", "head.blocks.3.11.x"),
    ],
)
def test_prefixes_are_stripped_from_the_start_alone(key: str, expected: str) -> None:
    assert bare_name(key) == expected
