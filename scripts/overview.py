"""One picture of a scene and what was made of it: panels with titles and a legend, for the demo and the README."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from rasterio.enums import Resampling

from sardino_core.contract.jobs import SceneOptions
from sardino_core.contract.model_spec import ModelSpec
from sardino_core.models.model_file import read_spec, resolve_model
from sardino_core.raster.false_colour import false_colour
from sardino_core.raster.grid import PixelWindow
from sardino_core.raster.reading.scene import open_scene
from sardino_core.raster.writing.class_legend import legend, rgb

PANEL, GAP, TITLE = 420, 14, 26
# A perceptual ramp from dark to light (lightness rises evenly), and one colour for nodata.
RAMP = np.array(
    [
        [0, 0, 4],
        [40, 11, 84],
        [101, 21, 110],
        [159, 42, 99],
        [212, 72, 66],
        [245, 125, 21],
        [250, 193, 39],
        [252, 255, 164],
    ]
)
NODATA = np.array([255, 255, 255], np.uint8)
Rgb = NDArray[np.uint8]  # (H, W, 3)


def draw_overview(
    path: Path, scene: Path, land_cover: Path, confidence: Path, attention: Path, tokens: Path, labels: Path | None
) -> Path:
    """Write the picture and return its path. Rasters larger than a panel are thinned out."""
    spec = read_spec(resolve_model("starter"))
    panels = [
        ("Sentinel-1: VV, VH, VV-VH as red, green, blue", backscatter(scene, spec)),
        ("land cover", classes(land_cover, spec)),
    ]
    if labels is not None:
        panels.append(("labels of the simulation, WorldCover's colours", simulated_labels(labels)))
    panels.append(("confidence", ramp(confidence, 1, (0.2, 1.0))))
    with rasterio.open(attention) as dataset:
        heads = dataset.count
    panels += [
        (f"attention, last layer, head {band}", ramp(attention, band, None)) for band in range(1, min(heads, 3) + 1)
    ]
    panels.append(("token embeddings: three principal components", components(tokens)))
    _sheet(panels, spec).save(path)
    return path


def backscatter(scene: Path, spec: ModelSpec) -> Rgb:
    """VV, VH and their difference, stretched from 2 to 98 %."""
    with open_scene(SceneOptions((str(scene),)), spec.inputs.bands, model_name=spec.name) as opened:
        side = min(max(opened.grid.height, opened.grid.width), 2 * PANEL)
        window = PixelWindow(0, 0, min(opened.grid.height, side), min(opened.grid.width, side))
        step = 1
        if max(opened.grid.height, opened.grid.width) > side:
            window, step = opened.grid.full, max(opened.grid.height, opened.grid.width) // PANEL
        rows = [opened.read(PixelWindow(r, 0, 1, window.width)) for r in range(0, window.height, step)]
        db = np.concatenate([row[0][:, :, ::step] for row in rows], axis=1)
        valid = np.concatenate([row[1][:, ::step] for row in rows], axis=0)
    return false_colour(db, valid)


def classes(path: Path, spec: ModelSpec) -> Rgb:
    """A class map in its colours."""
    colours = np.full((256, 3), 255, np.uint8)
    for item in legend(spec):
        colours[item.value] = rgb(item.colour)
    return colours[_read(path, Resampling.nearest)[0].astype(np.uint8)]


def simulated_labels(path: Path) -> Rgb:
    """A class map in the colours of its own colour table."""
    with rasterio.open(path) as dataset:
        table = dataset.colormap(1)
    colours = np.array([table.get(value, (255, 255, 255, 255))[:3] for value in range(256)], np.uint8)
    return colours[_read(path, Resampling.nearest)[0].astype(np.uint8)]


def ramp(path: Path, band: int, limits: tuple[float, float] | None) -> Rgb:
    """One band through the perceptual ramp, between `limits` or its 2nd and 98th percentile."""
    values = _read(path, Resampling.nearest)[band - 1]
    valid = np.isfinite(values)
    low, high = limits or (np.percentile(values[valid], 2), np.percentile(values[valid], 98))
    position = np.clip((np.where(valid, values, low) - low) / max(high - low, 1e-9), 0, 1) * (len(RAMP) - 1)
    colours = np.stack([np.interp(position, np.arange(len(RAMP)), RAMP[:, channel]) for channel in range(3)], axis=-1)
    return _paint(colours / 255, valid)


def components(path: Path) -> Rgb:
    """The first three bands as red, green, blue."""
    values = _read(path, Resampling.nearest)[:3]
    valid = np.isfinite(values).all(axis=0)
    return _paint(np.stack([_stretch(band, valid) for band in values], axis=-1), valid)


def _read(path: Path, resampling: Resampling) -> NDArray[np.float32]:
    with rasterio.open(path) as dataset:
        factor = max(1.0, max(dataset.width, dataset.height) / (2 * PANEL))
        shape = (dataset.count, max(1, round(dataset.height / factor)), max(1, round(dataset.width / factor)))
        return np.asarray(dataset.read(out_shape=shape, resampling=resampling), np.float32)


def _stretch(values: NDArray[np.float32], valid: NDArray[np.bool_]) -> NDArray[np.float32]:
    low, high = np.percentile(values[valid], [2, 98])
    return np.clip((values - low) / max(high - low, 1e-6), 0, 1)


def _paint(colours: NDArray[np.float32], valid: NDArray[np.bool_]) -> Rgb:
    return np.where(valid[..., None], np.rint(np.nan_to_num(colours) * 255).astype(np.uint8), NODATA)


def _sheet(panels: list[tuple[str, Rgb]], spec: ModelSpec) -> Image.Image:
    columns = 4 if len(panels) > 6 else 3
    rows = -(-len(panels) // columns)
    step_x, step_y = PANEL + GAP, PANEL + TITLE + GAP
    sheet = Image.new("RGB", (columns * step_x + GAP, rows * step_y + GAP + TITLE), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(15)
    for index, (title, pixels) in enumerate(panels):
        x, y = GAP + index % columns * step_x, GAP + index // columns * step_y
        draw.text((x, y), title, "black", font)
        image = Image.fromarray(pixels)
        scale = PANEL / max(image.size)
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        sheet.paste(image.resize(size, Image.Resampling.BOX if scale < 1 else Image.Resampling.NEAREST), (x, y + TITLE))
    x, y = GAP, rows * step_y + GAP
    for item in legend(spec):
        draw.rectangle((x, y, x + 16, y + 16), rgb(item.colour), "black")
        draw.text((x + 22, y - 1), item.name, "black", font)
        x += 40 + round(draw.textlength(item.name, font))
    return sheet
