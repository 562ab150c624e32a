"""What a model file says about itself: the JSON in the safetensors header under the key `sardino`.

Everything that inference, fine-tuning and the plugin need to judge a raster before any work. No weights, no tensors.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Dict, Literal, Optional, Tuple

from sardino_core.contract.errors import ModelInvalid, SettingInvalid
from sardino_core.contract.serial import dumps, from_dict

SCHEMA = 1
UNSURE_VALUE = 254
UNSURE_NAME = "unsure"
UNSURE_COLOUR = "#d9d9d9"
POLARISATIONS = ("VV", "VH", "HH", "HV", "VV-VH", "HH-HV")
SEASONS = ("winter", "spring", "summer", "fall")


@dataclass(frozen=True)
class BandSpec:
    """One input channel: a polarisation (or `VV-VH`, the difference in dB), with its standardisation in dB."""

    name: str
    mean_db: float
    std_db: float
    season: Optional[str] = None  # northern-hemisphere calendar seasons, as in M3LEO

    @property
    def key(self) -> str:
        """`VV`, or `VV@summer`: how the band is named on the command line."""
        return f"{self.name}@{self.season}" if self.season else self.name


@dataclass(frozen=True)
class InputSpec:
    """What the raster must be: order of bands, units, radiometry, spacing."""

    bands: Tuple[BandSpec, ...]
    clip_db: Tuple[float, float] = (-50.0, 30.0)  # values outside are noise or corner reflectors
    spacing_m: Tuple[float, float] = (8.0, 40.0)  # sqrt(dx * dy) that the model copes with unresampled
    units: Literal["dB"] = "dB"
    radiometry: str = "sigma0 or gamma0"
    composite: bool = False  # True: temporal mean of several dates; False: one date
    looks: Tuple[float, float] = (3.0, 400.0)  # equivalent number of looks
    orbit: Optional[str] = None  # ascending | descending, where the model depends on it


@dataclass(frozen=True)
class BackboneSpec:
    """A ViT as timm builds it; `window / patch` tokens per side, row-major, after class and register tokens."""

    architecture: str  # timm name without patch and image size, e.g. vit_tiny
    patch: int
    width: int
    depth: int
    heads: int
    register_tokens: int = 0


@dataclass(frozen=True)
class ClassSpec:
    """One land-cover class: the raster value (1-253), its name and its colour as #rrggbb."""

    value: int
    name: str
    colour: str


@dataclass(frozen=True)
class CalibrationSpec:
    """probability = softmax(logits / temperature); below `unsure_below` the pixel becomes `unsure`."""

    temperature: float = 1.0
    unsure_below: float = 0.0


@dataclass(frozen=True)
class ProvenanceSpec:
    """How the weights came to be."""

    data: Tuple[str, ...] = ()
    steps: int = 0
    seed: int = 0
    metrics: Dict[str, float] = field(default_factory=dict)
    versions: Dict[str, str] = field(default_factory=dict)
    notes: Tuple[str, ...] = ()


@dataclass(frozen=True)
class ModelSpec:
    """The contract of one model file. Construct it, or read it with `parse`; both validate."""

    name: str
    task: Literal["pretrained", "segmentation"]
    window: int  # pixels per side of the square the network sees at once
    backbone: BackboneSpec
    inputs: InputSpec
    head: str = "none"  # none | linear | decoder
    classes: Tuple[ClassSpec, ...] = ()
    calibration: CalibrationSpec = CalibrationSpec()
    provenance: ProvenanceSpec = ProvenanceSpec()
    licence: str = ""
    attribution: str = ""
    limits: str = ""  # one sentence: what the model is not good for
    schema: int = SCHEMA

    def __post_init__(self) -> None:
        """Validate; raises ModelInvalid naming the key."""
        _check(self)

    @property
    def tokens_per_side(self) -> int:
        """Patch tokens along one side of the window."""
        return self.window // self.backbone.patch

    def to_json(self) -> str:
        """One line of JSON for the file's header."""
        return dumps(self)

    @staticmethod
    def parse(text: str) -> "ModelSpec":
        """Read a header's JSON. Raises ModelInvalid for anything that is not a valid specification."""
        try:
            data = json.loads(text)
            schema = data.get("schema") if isinstance(data, dict) else None
            if schema != SCHEMA:
                raise ModelInvalid(
                    f"The model file has schema {schema!r}; this version reads schema {SCHEMA}.",
                    "Update sardino, or export the model again.",
                )
            return from_dict(ModelSpec, data)
        except SettingInvalid as error:
            raise ModelInvalid(f"The model file's description is invalid: {error}") from error
        except (ValueError, RecursionError) as error:
            raise ModelInvalid("The model file's description is not valid JSON.") from error


def _check(spec: ModelSpec) -> None:
    backbone, inputs = spec.backbone, spec.inputs
    _require(1 <= backbone.patch <= 64, "backbone.patch", backbone.patch, "1 to 64")
    _require(spec.window % backbone.patch == 0, "window", spec.window, f"a multiple of the patch, {backbone.patch}")
    _require(backbone.patch <= spec.window <= 2048, "window", spec.window, f"{backbone.patch} to 2048")
    _require(1 <= backbone.depth <= 64, "backbone.depth", backbone.depth, "1 to 64")
    _require(1 <= backbone.heads <= 64, "backbone.heads", backbone.heads, "1 to 64")
    _require(16 <= backbone.width <= 4096, "backbone.width", backbone.width, "16 to 4096")
    _require(backbone.width % backbone.heads == 0, "backbone.width", backbone.width, "a multiple of the heads")
    _require(0 <= backbone.register_tokens <= 64, "backbone.register_tokens", backbone.register_tokens, "0 to 64")
    _require(bool(inputs.bands), "inputs.bands", "empty", "at least one band")
    _require(len({band.key for band in inputs.bands}) == len(inputs.bands), "inputs.bands", "repeated", "unique bands")
    for band in inputs.bands:
        _require(band.name in POLARISATIONS, "inputs.bands.name", band.name, ", ".join(POLARISATIONS))
        _require(band.season is None or band.season in SEASONS, "inputs.bands.season", band.season, ", ".join(SEASONS))
        _require(abs(band.mean_db) <= 1e3, "inputs.bands.mean_db", band.mean_db, "-1000 to 1000")
        _require(1e-3 <= band.std_db <= 1e3, "inputs.bands.std_db", band.std_db, "0.001 to 1000")
    _require(inputs.clip_db[0] < inputs.clip_db[1], "inputs.clip_db", inputs.clip_db, "low before high")
    _require(0 < inputs.spacing_m[0] <= inputs.spacing_m[1], "inputs.spacing_m", inputs.spacing_m, "low before high")
    temperature, unsure_below = spec.calibration.temperature, spec.calibration.unsure_below
    _require(1e-3 <= temperature <= 1e3, "calibration.temperature", temperature, "0.001 to 1000")
    _require(0 <= unsure_below <= 1, "calibration.unsure_below", unsure_below, "0 to 1")
    _check_classes(spec)


def _check_classes(spec: ModelSpec) -> None:
    if spec.task == "pretrained":
        _require(spec.head == "none" and not spec.classes, "head", spec.head, "none, without classes, when pretrained")
        return
    _require(spec.head in ("linear", "decoder"), "head", spec.head, "linear or decoder")
    _require(len(spec.classes) >= 2, "classes", len(spec.classes), "two or more")
    values = [item.value for item in spec.classes]
    names = [item.name for item in spec.classes]
    _require(len(set(values)) == len(values), "classes.value", values, "unique values")
    _require(len({*names, UNSURE_NAME}) == len(names) + 1, "classes.name", names, "unique names, and not `unsure`")
    for item in spec.classes:
        named = 1 <= len(item.name) <= 80 and item.name.isprintable()
        _require(named, "classes.name", repr(item.name), "1 to 80 printable characters")
        _require(1 <= item.value <= 253, "classes.value", item.value, "1 to 253 (0 is nodata, 254 unsure)")
        _require(bool(re.fullmatch(r"#[0-9a-fA-F]{6}", item.colour)), "classes.colour", item.colour, "#rrggbb")


def _require(condition: bool, key: str, found: object, allowed: str) -> None:
    if not condition:
        raise ModelInvalid(f"The model's {key} is {found}; allowed: {allowed}.")
