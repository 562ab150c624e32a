"""The files of one job: claimed before any work, written aside, finished together. What they hold is not known here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

from numpy.typing import NDArray

from sardino_core.contract.errors import SettingInvalid
from sardino_core.contract.jobs import RunOptions, SceneOptions
from sardino_core.models.export_file import export_path
from sardino_core.models.model_file import resolve_model
from sardino_core.raster.grid import RasterGrid
from sardino_core.raster.reading.inputs import expand_inputs
from sardino_core.raster.writing.staging import Staging
from sardino_core.raster.writing.writer import RasterLayout, RasterWriter, add_overviews, to_cog

Write = Callable[[NDArray[Any]], None]


class OutputFiles:
    """Opens the rasters of a job aside; `finish` completes them, leaving the block in any other way abandons them."""

    def __init__(
        self,
        staging: Staging,
        scene: SceneOptions,
        run: RunOptions,
        paths: Sequence[str | None],
        reads: Sequence[str | None] = (),
    ) -> None:
        """Claim the outputs (None: not asked for); `reads`: what else the job reads. Raises SettingInvalid for an
        output that is also an input, and OutputUnwritable where nothing can be written.
        """
        wanted = [path for path in paths if path is not None]
        _refuse_collisions(wanted, scene, run, reads)
        for path in wanted:
            staging.path(path)
        self._staging, self._run = staging, run
        self._open = ExitStack()
        self._layouts: dict[Path, RasterLayout] = {}

    def aside(self, path: str) -> Path:
        """Where to write a file that is no raster."""
        return self._staging.path(path)

    def open(self, path: str | None, grid: RasterGrid, layout: RasterLayout) -> Write:
        """Open one raster and give back how to append rows to it; without a path the rows go nowhere."""
        if path is None:
            return lambda rows: None
        aside = self._staging.path(path)
        self._layouts[aside] = layout
        return self._open.enter_context(RasterWriter(aside, grid, layout)).write

    def finish(self) -> None:
        """Close the rasters and bring them into the format that was asked for."""
        self._open.close()
        for path, layout in self._layouts.items():
            if self._run.format == "cog":
                to_cog(path, layout)
            elif self._run.overviews:
                add_overviews(path)

    def __enter__(self) -> OutputFiles:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.__exit__(kind, error, trace)


def _refuse_collisions(
    outputs: Sequence[str], scene: SceneOptions, run: RunOptions, reads: Sequence[str | None]
) -> None:
    resolved = [Path(path).resolve() for path in outputs]
    for path in resolved:
        if resolved.count(path) > 1:
            raise SettingInvalid(f"{path} is named for two outputs.", "Give every output its own name.")
    model = resolve_model(run.model)
    read = [*expand_inputs(scene.inputs), scene.cutline, scene.mask, model, export_path(model), *reads]
    inputs = {Path(name).resolve() for name in read if name is not None}
    for path in resolved:
        if path in inputs:
            raise SettingInvalid(f"The output {path} is also read by this run.", "Choose another name for the output.")
