"""`sardino similarity`: where a scene looks as it does at marked places. The stages in order, no arithmetic.

marks -> mean token of each, in their own scene -> windows -> tokens, blended -> cosines -> GeoTIFF, a band per name.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sardino_core.analysis.explore.likeness import MarkedPoints, cosines
from sardino_core.analysis.explore.steady import SteadySpace
from sardino_core.contract.errors import AreaOutside, NoValidData, SettingInvalid
from sardino_core.contract.jobs import SimilarityJob
from sardino_core.contract.listener import Listener
from sardino_core.contract.messages import Result
from sardino_core.inference import result_of, stream, tags_of
from sardino_core.output_files import OutputFiles
from sardino_core.pipeline import Session, WindowInput, open_session, stack
from sardino_core.products import token_embeddings
from sardino_core.raster.blending import Rows, axis_weights
from sardino_core.raster.grid import RasterGrid
from sardino_core.raster.reading.inputs import expand_inputs
from sardino_core.raster.reading.marks import read_marks
from sardino_core.raster.reading.polygons import Polygons
from sardino_core.raster.reading.vector_file import read_vector
from sardino_core.raster.tiles import Tile
from sardino_core.raster.writing.staging import staged
from sardino_core.raster.writing.writer import RasterLayout
from sardino_core.read_ahead import batched
from sardino_core.token_space import sample_patches

_MOST_NAMES = 100  # each is a band
_ALL = "all references"
_ONE_BAND = "or leave it out for one band."
_MEANING = "cosine, -1 to 1, of each patch's token with that of the reference, in what stays when the window is moved"


@dataclass(frozen=True)
class References:
    """What is sought: a point per name, in the space that patches of the references' scene are compared in."""

    names: list[str]  # R
    points: NDArray[np.float32]  # (R, N)
    space: SteadySpace


def similarity(job: SimilarityJob, listener: Listener | None = None) -> Result:
    """Write the cosines on the patch grid, one band per name. Raises SardinoError."""
    listener = listener or Listener()
    with (
        staged() as staging,
        OutputFiles(
            staging, job.scene, job.run, [job.output], [job.references, *expand_inputs(job.reference_scene)]
        ) as files,
        open_session(job.scene, job.run, listener) as session,
    ):
        with _reference_session(session, job, listener) as other:
            sought = _references(other, job)
        tags = {**tags_of(session, job), "SARDINO_MEANING": _MEANING}
        write = files.open(job.output, session.cell_grid, RasterLayout("float32", sought.names, np.nan, tags))

        def write_rows(rows: Rows) -> None:
            found = cosines(rows.values, sought.points)
            write(np.where(rows.valid, found, np.float32("nan")))

        stream(session, token_embeddings(session.predictor, sought.space), write_rows)
        files.finish()
    return result_of({"output": job.output}, session, references=sought.names)


@contextmanager
def _reference_session(session: Session, job: SimilarityJob, listener: Listener) -> Iterator[Session]:
    """The scene that the references lie in; extent, cutline and mask are the other's."""
    if not job.reference_scene:
        yield session
        return
    scene = replace(job.scene, inputs=job.reference_scene, extent=None, cutline=None, mask=None)
    with open_session(scene, job.run, listener) as other:
        yield other


def _references(session: Session, job: SimilarityJob) -> References:
    """Read the marks and what the network says there, as the map would say it."""
    marked, notes, warning = marked_areas(job.references, session.scene.grid, job.name_field)
    for note in notes:
        session.listener.log("info", note)
    for name, area in marked.items():
        _require_inside(name, area, session, job)
    if warning:
        session.listener.log("warning", warning)
    areas = list(marked.values())
    space = sample_patches(session).space
    seen = MarkedPoints(len(areas), space.basis.shape[1])
    tiles = (tile for tile in session.plan.tiles() if _covered(areas, session, tile).any())
    for group in batched(session.read(tiles, session.plan.cell_px), session.batch):
        session.listener.raise_if_cancelled()
        session.listener.progress(0.0, "reading the references")
        tokens = session.predictor.tokens(stack(group))
        for item, found in zip(group, tokens, strict=True):
            seen.add(space.apply(found), _marked(areas, session, item))
    for name, pixels in zip(marked, seen.pixels, strict=True):
        if not pixels:
            raise NoValidData(
                f"The reference {name!r} of {job.references} lies on nodata, or covers no pixel's centre.",
                "Move it to where the raster has data, or draw it larger.",
            )
    return References(list(marked), seen.mean(), space)


def marked_areas(
    path: str, grid: RasterGrid, name_field: str | None
) -> tuple[dict[str, Polygons], tuple[str, ...], str]:
    """What each name marks, in the order of appearance, what is to be told of it, and a warning (else empty).

    Without a field all are one area, `all references`. Raises InputMissing, SettingInvalid or AreaOutside.
    """
    file = read_vector(path, "references", attributes=name_field is not None)
    marks = read_marks(file, grid, name_field, f"Name one with --name-field, {_ONE_BAND}")
    names = [" ".join(mark.label.split()) or _ALL for mark in marks.items]
    if len(set(names)) > _MOST_NAMES:
        raise SettingInvalid(
            f"The {file} have {len(set(names))} names in the field {name_field!r}; allowed are {_MOST_NAMES}, each "
            f"being a band.",
            f"Name a field with fewer values with --name-field, {_ONE_BAND}",
        )
    named = [replace(mark, label=name) for mark, name in zip(marks.items, names, strict=True)]
    return replace(marks, items=named).areas(grid), marks.notes, marks.outside(grid)


def _require_inside(name: str, area: Polygons, session: Session, job: SimilarityJob) -> None:
    if area.window is None:
        grid = session.scene.grid
        covered = f"{grid.bounds.xmin:.10g},{grid.bounds.ymin:.10g},{grid.bounds.xmax:.10g},{grid.bounds.ymax:.10g}"
        where = Path((job.reference_scene or job.scene.inputs)[0]).name
        raise AreaOutside(
            f"The reference {name!r} of {job.references} lies outside what is read of {where}: {covered} in "
            f"{grid.crs or 'no CRS'}.",
            "Check the CRS of both, or name the raster that it lies in with --reference-scene.",
        )


def _covered(areas: Sequence[Polygons], session: Session, tile: Tile) -> NDArray[np.bool_]:
    """(R, S, S): which pixels of the window lie in which area."""
    window = session.plan.window(tile)
    return np.stack([area.covers(window) for area in areas])


def _marked(areas: Sequence[Polygons], session: Session, item: WindowInput) -> NDArray[np.float32]:
    """(R, n, n): marked pixels with data per patch, times the weights with which the map blends this window."""
    plan = session.plan
    side, cell_px = plan.rows.window, plan.cell_px
    covered = _covered(areas, session, item.tile) & item.valid
    counts = covered.reshape(-1, side, cell_px, side, cell_px).sum(axis=(2, 4))
    weights = np.outer(axis_weights(plan.rows, item.tile.row_index), axis_weights(plan.cols, item.tile.col_index))
    return np.asarray(counts * weights, np.float32)
