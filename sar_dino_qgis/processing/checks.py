"""Whether rasters suit a model, from what QGIS knows already: told before any work, in the dialog.

The worker judges finally and with more knowledge; what is refused here it would refuse, too.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from qgis.core import QgsPointXY, QgsRectangle

from sar_dino_qgis.processing.rasters import Raster
from sardino_core.contract.errors import AreaOutside, BandsMissing, ModelInvalid, SettingInvalid, SpacingUnsuitable
from sardino_core.contract.model_reader import read_spec, resolve_model
from sardino_core.contract.model_spec import ModelSpec

_RESAMPLED = 4.0  # times outside the model's range of spacing that windows are resampled for
_ROUNDING = 1.05  # spacing in degrees is known to some per cent


def model_of(name: str) -> ModelSpec:
    """The model's contract. Raises ModelInvalid."""
    if not name.strip():
        raise ModelInvalid("No model was named.", "Choose `starter` or a model file (.safetensors).")
    return read_spec(resolve_model(name))


def require_classes(spec: ModelSpec) -> None:
    """Raises ModelInvalid for a model that makes no map."""
    if spec.task != "segmentation":
        raise ModelInvalid(
            f"The model {spec.name} is a pre-trained backbone without classes.",
            "Fine-tune it first, or choose a model for land cover.",
        )


def parse_bands(text: str) -> dict[str, int]:
    """`VV=1,VH=2` as numbers by name. Raises SettingInvalid."""
    bands: dict[str, int] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, separator, number = (piece.strip() for piece in part.partition("="))
        if not separator or not re.fullmatch(r"[0-9]{1,5}", number) or not name:
            raise SettingInvalid(f"The bands {text!r} are not of the form VV=1,VH=2.")
        polarisation, at, season = name.partition("@")
        bands[polarisation.upper() + at + season.lower()] = int(number)
    return bands


def check_bands(rasters: Sequence[Raster], spec: ModelSpec, bands: dict[str, int]) -> None:
    """Raises BandsMissing where the rasters cannot hold what the model needs."""
    needed = {name for band in spec.inputs.bands for name in band.name.split("-")}
    subject = rasters[0].name if len(rasters) == 1 else f"The {len(rasters)} inputs"
    wants = f"`{spec.name}` needs {' and '.join(sorted(needed, reverse=True))}."
    count = sum(len(raster.bands) for raster in rasters)
    if count < len(needed):
        raise BandsMissing(
            f"{subject} {'has' if len(rasters) == 1 else 'have'} {count} band{'s'[: count != 1]}; {wants}",
            "Choose a dual-polarised product, or give the files of both polarisations together.",
        )
    held = [raster.polarisations for raster in rasters]
    if bands or not all(held):  # the user, or the worker, knows better
        return
    if needed - set().union(*held):
        names = " and ".join(sorted(set().union(*held), reverse=True))
        raise BandsMissing(
            f"{subject} {'holds' if len(rasters) == 1 else 'hold'} {names}; {wants}",
            "Choose a dual-polarised product, give the files of both polarisations together, or name the bands.",
        )


def check_spacing(rasters: Sequence[Raster], spec: ModelSpec) -> None:
    """Raises SpacingUnsuitable where not even resampling brings the pixels into the model's range."""
    low, high = spec.inputs.spacing_m[0] / _RESAMPLED, spec.inputs.spacing_m[1] * _RESAMPLED
    spacing_m = rasters[0].spacing_m
    if spacing_m is not None and not low / _ROUNDING <= spacing_m <= high * _ROUNDING:
        raise SpacingUnsuitable(
            f"The pixels of {rasters[0].name} are {spacing_m:.4g} m apart; `{spec.name}` takes {low:g} to {high:g} m.",
            "Choose a product of another resolution, or resample it.",
        )


def check_extent(rasters: Sequence[Raster], extent: QgsRectangle) -> None:
    """Raises AreaOutside where the extent, in the first raster's CRS, meets none of the rasters in that CRS."""
    if extent.isNull() or any(raster.crs != rasters[0].crs for raster in rasters):
        return
    if not any(raster.extent.intersects(extent) for raster in rasters):
        raise AreaOutside(
            f"The extent {extent.toString(1)} does not meet {rasters[0].name}, which covers "
            f"{rasters[0].extent.toString(1)}.",
            "Choose an extent within the raster.",
        )


def check_place(rasters: Sequence[Raster], x: float, y: float) -> None:
    """Raises AreaOutside where the place, in the first raster's CRS, lies in none of the rasters in that CRS."""
    if any(raster.crs != rasters[0].crs for raster in rasters):
        return
    if not any(raster.extent.contains(QgsPointXY(x, y)) for raster in rasters):
        raise AreaOutside(
            f"The place {x:.10g},{y:.10g} lies outside {rasters[0].name}, which covers "
            f"{rasters[0].extent.toString(1)}.",
            "Choose a place inside; of another CRS, name it: x,y [EPSG:4326].",
        )


def check_layer(layer: int, spec: ModelSpec) -> None:
    """Raises SettingInvalid for a layer that the model has not."""
    depth = spec.backbone.depth
    if not -depth <= layer < depth:
        raise SettingInvalid(
            f"The layer {layer} does not exist; `{spec.name}` has the layers 0 to {depth - 1}, "
            f"or -1 to {-depth} from the last."
        )


def check_head(head: str, spec: ModelSpec) -> None:
    """Raises SettingInvalid for what is neither mean nor max nor a head of the model."""
    count = spec.backbone.heads
    if head not in ("mean", "max") and not (head.isdecimal() and 1 <= int(head) <= count):
        raise SettingInvalid(f"The head {head!r} does not exist; allowed are mean, max, and 1 to {count}.")
