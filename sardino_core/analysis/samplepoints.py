"""From a land-cover map to points that a person labels by eye: a stratified random sample that carries its weights.

Two passes over the map: the first counts the pixels of every class, the second finds the drawn ones. `unsure` is a
stratum of its own: it is part of the mapped area, and what lies under it belongs to some class.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sardino_core.analysis.class_map import ClassMap, Stratum, survey
from sardino_core.analysis.sample_file import SamplePoint, points_document
from sardino_core.analysis.sample_style import points_qml
from sardino_core.analysis.stratified import allocate, draw_ranks, locate
from sardino_core.contract.errors import SettingInvalid
from sardino_core.contract.jobs import SamplePointsJob
from sardino_core.contract.listener import Listener
from sardino_core.contract.messages import Result
from sardino_core.raster.writing.staging import staged


def samplepoints(job: SamplePointsJob, listener: Listener | None = None) -> Result:
    """Write the points as GeoJSON, in random order, and a QGIS style beside them. Raises SardinoError."""
    listener = listener or Listener()
    if not job.output.lower().endswith((".geojson", ".json")):
        raise SettingInvalid(f"The output {job.output} is no GeoJSON.", "Give a name that ends in .geojson.")
    style = str(Path(job.output).with_suffix(".qml"))
    with staged() as staging, ClassMap(job.classified) as classified:
        aside, style_aside = staging.path(job.output), staging.path(style)
        strata = survey(classified, listener, share=0.5)
        points = allocate([stratum.pixels for stratum in strata], job.size, job.minimum)
        drawn = _draw(classified, strata, points, job.seed, listener)
        aside.write_text(points_document(drawn, classified.grid, blind=job.blind), encoding="utf-8")
        labels = classified.classes([stratum.item.value for stratum in strata])
        style_aside.write_text(points_qml(labels), encoding="utf-8")
    classes = [
        {"value": stratum.item.value, "name": stratum.item.name, "pixels": stratum.pixels, "points": count}
        for stratum, count in zip(strata, points, strict=True)
    ]
    outputs = {"output": job.output, "style": style}
    return Result(outputs, {"points": len(drawn), "seed": job.seed, "classes": classes})


def _draw(
    classified: ClassMap, strata: tuple[Stratum, ...], points: list[int], seed: int, listener: Listener
) -> list[SamplePoint]:
    pixels = [stratum.pixels for stratum in strata]
    ranks = dict(zip((stratum.item.value for stratum in strata), draw_ranks(pixels, points, seed), strict=True))
    total = sum(stratum.area for stratum in strata)
    design = {
        stratum.item.value: (stratum.item.name, stratum.area / total, stratum.pixels, count)
        for stratum, count in zip(strata, points, strict=True)
    }
    windows = list(classified.windows())
    drawn: list[SamplePoint] = []
    for window, found in zip(windows, locate(map(classified.read, windows), ranks), strict=True):
        listener.raise_if_cancelled()
        drawn += [SamplePoint(window.row + row, window.col + col, value, *design[value]) for value, row, col in found]
        listener.progress(0.5 + 0.5 * (window.row + window.height) / classified.grid.height, "drawing points")
    order = np.random.default_rng(seed).permutation(len(drawn))  # the interpreter shall not go class by class
    return [drawn[index] for index in order]
