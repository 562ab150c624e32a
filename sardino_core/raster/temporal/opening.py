"""Passes as opened scenes, each of them by the rules of a single scene."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from sardino_core.contract.errors import NoValidData, SettingInvalid
from sardino_core.contract.jobs import SceneOptions, Units
from sardino_core.contract.listener import Listener
from sardino_core.contract.model_spec import BandSpec
from sardino_core.raster.grid import RasterGrid
from sardino_core.raster.reading.scene import Scene, open_scene
from sardino_core.raster.temporal.passes import Pass

Extent = tuple[float, float, float, float]


@dataclass(frozen=True)
class OpenPass:
    """A pass and its pixels."""

    found: Pass
    scene: Scene

    @property
    def name(self) -> str:
        """For messages."""
        return self.found.name

    @property
    def grid(self) -> RasterGrid:
        """Where its pixels are."""
        return self.scene.grid


@contextmanager
def open_passes(
    passes: Sequence[Pass],
    bands: tuple[BandSpec, ...],
    units: Units,
    listener: Listener,
    *,
    model_name: str,
    extent: Extent | None = None,
) -> Iterator[list[OpenPass]]:
    """Open every pass, and tell what it is taken for; what is all nodata is left out, with a warning.

    Raises SettingInvalid for a pass without a CRS, NoValidData when none holds data, and what open_scene raises.
    """
    with ExitStack() as stack:
        opened: list[OpenPass] = []
        warnings: dict[str, None] = {}
        for number, found in enumerate(passes):
            listener.raise_if_cancelled()
            listener.progress(0.0, f"looking at {number + 1} of {len(passes)} dates")
            options = SceneOptions(found.inputs, dict(found.bands), units, extent)
            try:
                scene = stack.enter_context(open_scene(options, bands, model_name=model_name))
            except NoValidData as error:
                listener.log("warning", f"{found.name} is left out: {error.message}")
                continue
            if scene.grid.crs is None:
                raise SettingInvalid(
                    f"{found.name} has no CRS; dates are laid over each other by their map coordinates.",
                    "Give it its CRS first (gdal_edit.py -a_srs, in QGIS Assign projection).",
                )
            listener.log("info", f"{found.name}: {found.orbit.label}, {scene.tags['SARDINO_UNITS']}")
            warnings |= dict.fromkeys(scene.warnings)
            opened.append(OpenPass(found, scene))
        for warning in warnings:
            listener.log("warning", warning)
        if not opened:
            raise NoValidData("No date holds a valid pixel.", "Check the rasters' nodata value and the extent.")
        yield opened


def common_tags(opened: Sequence[OpenPass]) -> dict[str, str]:
    """What the tags of all passes agree on, and the days from the first to the last."""
    first, *others = [found.scene.tags for found in opened]
    keys = ("ORBIT", "RELATIVE_ORBIT", "SARDINO_RADIOMETRY")
    tags = {key: first[key] for key in keys if key in first and all(other.get(key) == first[key] for other in others)}
    if any("SARDINO_SIMULATED" in found.scene.tags for found in opened):
        tags["SARDINO_SIMULATED"] = "YES"
    days = sorted(day for found in opened for day in found.found.date.split("/"))
    return {**tags, "ACQUISITION_DATE": days[0] if len(opened) == 1 else f"{days[0][:10]}/{days[-1][:10]}"}
