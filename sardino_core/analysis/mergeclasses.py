"""From a land-cover map to one with fewer or other classes: merged, renamed, recoloured, or made nodata.

Two passes over the map: the first counts the pixels of every class, the second writes the result strip by strip.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import sardino_core
from sardino_core.analysis.class_map import ClassMap, survey
from sardino_core.analysis.merging import Merging, classes_of, merge_classes
from sardino_core.contract.class_table import NewClass, parse_table, require_different_names
from sardino_core.contract.errors import NotARaster, NoValidData, SettingInvalid
from sardino_core.contract.jobs import MergeClassesJob
from sardino_core.contract.listener import Listener
from sardino_core.contract.messages import Result
from sardino_core.raster.block_cache import bounded_cache
from sardino_core.raster.writing.class_legend import NODATA, colour_table, write_aux_xml, write_qml
from sardino_core.raster.writing.staging import staged
from sardino_core.raster.writing.writer import RasterLayout, RasterWriter, add_overviews, to_cog

MERGED = "SARDINO_MERGED"  # a list of tables, since a merged map may be merged again
_COUNTING = 0.4  # of the time
# Of another file's layout; and the fingerprints by which a rerun of `segment --each` knows its own maps.
_NOT_KEPT = ("AREA_OR_POINT", "SARDINO_SOURCE_ID", "SARDINO_RUN_ID")


def mergeclasses(job: MergeClassesJob, listener: Listener | None = None) -> Result:
    """Write the map with its new classes, legend and style. Raises SardinoError."""
    listener = listener or Listener()
    sidecars = [f"{job.output}.aux.xml", str(Path(job.output).with_suffix(".qml"))]
    with staged() as staging, bounded_cache(), ClassMap(job.classified) as classified:
        _refuse_what_is_no_class_map(classified)
        _refuse_collision(job)
        output, legend, style = (staging.path(path) for path in (job.output, *sidecars))
        before = {stratum.item.value: stratum.pixels for stratum in survey(classified, listener, share=_COUNTING)}
        merging = _plan(parse_table(job.classes), classified, list(before), listener)
        grid = replace(classified.grid, crs=classified.dataset.crs)
        colours = colour_table(merging.classes)
        layout = RasterLayout("uint8", [_title(classified)], NODATA, _tags(job, classified), colours)
        with RasterWriter(output, grid, layout) as writer:
            for strip in _strips(classified, merging, listener):
                writer.write(strip)
        write_aux_xml(legend, merging.classes)
        pixels = merging.pixels(before)
        empty = {NODATA} if sum(pixels.values()) < grid.width * grid.height else set()
        write_qml(style, merging.classes, empty | {item.value for item in merging.classes if pixels[item.name]})
        if job.format == "cog":
            to_cog(output, layout)
        elif classified.dataset.overviews(1):  # a map that is drawn quickly stays one
            add_overviews(output)
    return Result({"output": job.output}, {"pixels": pixels})


def _plan(table: Sequence[NewClass], classified: ClassMap, present: Sequence[int], listener: Listener) -> Merging:
    """What becomes of this map's classes. Raises SettingInvalid or NoValidData where that is nothing, or no change."""
    name, legend = classified.name, classified.legend(present)
    if NODATA in present:
        raise SettingInvalid(
            f"{name} has a class 0 (its nodata is {classified.dataset.nodata:g}), but 0 is nodata in the result.",
            "Give that class another value first, with Reclassify by table in QGIS.",
        )
    known = classes_of(legend, present)
    missing = [value for new in table for value in new.old if value not in known]
    held = f"it has {_listed(known)}"
    if len(missing) == sum(len(new.old) for new in table):
        raise SettingInvalid(f"{name} has none of the classes {_listed(missing)}; {held}.", "Name classes of the map.")
    if missing:
        listener.log("warning", f"{name} has no class {_listed(missing)}; {held}.")
    merging, unchanged = merge_classes(table, legend, present), merge_classes((), legend, present)
    if merging.classes == unchanged.classes and (merging.becomes == unchanged.becomes).all():
        raise SettingInvalid(f"The table changes nothing: {name} has these values, names and colours already.")
    if not merging.becomes[list(present)].any():
        raise NoValidData(f"The table makes nodata of every class in {name}.", "Leave at least one.")
    require_different_names([(item.name, item.value) for item in merging.classes])
    return merging


def _strips(classified: ClassMap, merging: Merging, listener: Listener) -> Iterator[NDArray[np.uint8]]:
    """The result's rows from top to bottom, (1, rows, width)."""
    for row, windows in groupby(classified.windows(), key=lambda window: window.row):
        listener.raise_if_cancelled()
        done = _COUNTING + (1 - _COUNTING) * row / classified.grid.height
        listener.progress(done, "merging classes")
        yield np.concatenate([merging.becomes[classified.read(window)[0]] for window in windows], axis=1)[None]
    listener.progress(1.0, "merging classes")


def _title(classified: ClassMap) -> str:
    return str(classified.dataset.descriptions[0] or "land cover")


def _tags(job: MergeClassesJob, classified: ClassMap) -> dict[str, str]:
    """Where the map comes from, as it says itself, and what was merged."""
    tags = {key: value for key, value in classified.dataset.tags().items() if key not in _NOT_KEPT}
    try:
        earlier = list(json.loads(tags.get(MERGED, "[]")))
    except (ValueError, TypeError):  # somebody else's tag of that name
        earlier = []
    merged = json.dumps([*earlier, list(job.classes)], ensure_ascii=False)
    return {**tags, "TIFFTAG_SOFTWARE": f"sardino {sardino_core.__version__}", MERGED: merged}


def _refuse_what_is_no_class_map(classified: ClassMap) -> None:
    count = classified.dataset.count
    if count != 1:
        raise NotARaster(f"{classified.name} has {count} bands, but a class map has one.", "Give a land-cover map.")


def _refuse_collision(job: MergeClassesJob) -> None:
    output, source = Path(job.output), Path(job.classified)
    if output.exists() and source.exists() and output.samefile(source):
        raise SettingInvalid(f"The output {output} is also read by this run.", "Choose another name for the output.")


def _listed(values: Sequence[int]) -> str:
    return ", ".join(map(str, values))
