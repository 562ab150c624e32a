"""Another project's checkpoint becomes a model file: the command `sardino model import`.

The stages are in `import_weights`. How formats differ is in `import_formats`, how files are read in
`checkpoint_reader`, and how a foreign weight becomes one of ours in `translation`.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import timm
import torch

from sardino_core import __version__
from sardino_core.contract.errors import OutputUnwritable, SettingInvalid
from sardino_core.contract.listener import Listener
from sardino_core.contract.model_spec import BackboneSpec, ModelSpec, ProvenanceSpec
from sardino_core.models.export import export_onnx
from sardino_core.models.export_file import export_path
from sardino_core.models.importing.checkpoint_reader import Checkpoint, read_checkpoint
from sardino_core.models.importing.import_formats import (
    PATCHES,
    SIZES,
    SourceFormat,
    choose_format,
    input_spec,
    is_rotary,
    notes_on_input,
    require_bands,
    require_size,
)
from sardino_core.models.importing.layer_report import LayerReport
from sardino_core.models.importing.translation import Translation, count_blocks, require_fit, translate
from sardino_core.models.model_file import save_model
from sardino_core.models.network import adapt_to_window

UNKNOWN_LICENCE = "unknown: see the source"
ROTARY_WINDOW = 224  # where the weights do not tell: the side that DINOv3's authors evaluate at
_RGB_LIMITS = "Trained on RGB images, not on SAR: a starting point for training, not a model to map with."


@dataclass(frozen=True)
class ImportOptions:
    """What to import, and what to make of it."""

    source: str
    output: str
    format: str = "auto"
    bands: tuple[str, ...] = ("VV", "VH")
    window: int = 0  # 0: as the position embeddings have it
    dtype: Literal["float16", "float32"] = "float16"  # float32 keeps the source's values to the last bit
    licence: str = UNKNOWN_LICENCE


@dataclass(frozen=True)
class Imported:
    """The files that were written, and what became of every weight."""

    model: Path
    export: Path
    spec: ModelSpec
    format: SourceFormat
    report: LayerReport


def import_weights(options: ImportOptions, listener: Listener | None = None) -> Imported:
    """Read, recognise, translate, describe, write, export. Raises a SardinoError, and then leaves nothing behind."""
    listener = listener or Listener()
    output = _require_output(options)
    listener.progress(0.0, "reading the checkpoint")
    checkpoint = read_checkpoint(options.source)
    source = choose_format(checkpoint, options.format)
    require_bands(source, options.bands)
    require_size(checkpoint)
    translation = translate(checkpoint, source, options.bands)
    spec = _describe(options, checkpoint, source, translation)
    require_fit(checkpoint, translation, spec)
    listener.progress(0.2, "writing the model file")
    listener.raise_if_cancelled()
    weights = {f"backbone.{name}": value for name, value in translation.weights.items()}
    with _written_whole(output) as aside:
        save_model(aside, spec, adapt_to_window(weights, spec), options.dtype)
        listener.progress(0.4, "exporting for machines without torch")
        export_onnx(aside)
        listener.raise_if_cancelled()
    return Imported(output, export_path(output), spec, source, translation.report())


def _describe(
    options: ImportOptions, checkpoint: Checkpoint, source: SourceFormat, translation: Translation
) -> ModelSpec:
    """The model's specification; the window is `options.window`, or what the weights were trained at."""
    width, _, patch, _ = translation.weights[PATCHES].shape
    size, heads = SIZES[width]
    rotary = is_rotary(checkpoint.weights)
    kind = "_dinov3" if rotary else "_dinov2" if "blocks.0.ls1.gamma" in translation.weights else ""
    native = ROTARY_WINDOW // patch * patch if rotary else translation.grid_side * patch
    registers = translation.weights["reg_token"].shape[1] if "reg_token" in translation.weights else 0
    depth = count_blocks(translation.weights)
    spec = ModelSpec(
        name=Path(options.output).stem,
        task="pretrained",
        window=options.window or native,
        backbone=BackboneSpec(f"{size}{kind}", patch, width, depth, heads, registers),
        inputs=input_spec(source, options.bands),
        provenance=_provenance(options, checkpoint, source),
        licence=options.licence,
        attribution=f"weights of {source.label}, imported from {checkpoint.name}",
        limits=_RGB_LIMITS if source.is_rgb else "",
    )
    if spec.window != native and not rotary:
        before = translation.adapted.get("pos_embed", "all positions")
        translation.adapted["pos_embed"] = f"{before}, resampled from a window of {native} px to {spec.window} px"
    return spec


def _provenance(options: ImportOptions, checkpoint: Checkpoint, source: SourceFormat) -> ProvenanceSpec:
    branch = f", its {checkpoint.branch}" if checkpoint.branch else ""
    origin = f"Imported from {checkpoint.name}{branch}, format {source.name}; stored as {options.dtype}."
    return ProvenanceSpec(
        data=(f"imported weights: {source.label}",),
        versions={"sardino": __version__, "torch": str(torch.__version__), "timm": timm.__version__},
        notes=(origin, *notes_on_input(source, options.bands)),
    )


def _require_output(options: ImportOptions) -> Path:
    output = Path(options.output).expanduser()
    if output.suffix != ".safetensors":
        raise SettingInvalid(f"--output {output.name} must end in .safetensors.", "Give for instance dino.safetensors.")
    if output.resolve() == Path(options.source).expanduser().resolve():
        raise SettingInvalid(f"--output {output.name} is the checkpoint itself.", "Choose another name.")
    if not output.parent.is_dir():
        raise OutputUnwritable(f"The output folder {output.parent} does not exist.", "Create it, or choose another.")
    if options.window < 0:
        raise SettingInvalid(f"--window {options.window} is out of range; give pixels, or leave it out.")
    return output


@contextmanager
def _written_whole(output: Path) -> Iterator[Path]:
    """A place for the model and its export; both move to `output` and beside it when the block ends well."""
    folder = output.with_name(f".sardino-part-{output.stem}")
    shutil.rmtree(folder, ignore_errors=True)  # of a run that was killed
    try:
        folder.mkdir()
        aside = folder / output.name
        yield aside
        export_path(aside).replace(export_path(output))
        aside.replace(output)
    except OSError as error:
        problem = f"{output} cannot be written ({error.strerror})."
        raise OutputUnwritable(problem, "Choose another place.") from error
    finally:
        with suppress(OSError):
            shutil.rmtree(folder, ignore_errors=True)
