"""From dates of one place to a map of change: how far the new date's tokens lie, and how often chance takes them there.

dates -> windows and tokens of each -> distances and their null distribution -> p-values -> GeoTIFF on the patch grid.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import rasterio

import sardino_core
from sardino_core.analysis.change.distances import Float, leave_one_out
from sardino_core.analysis.change.null import NullDistribution
from sardino_core.contract.errors import DatesMixed, NoValidData, SettingInvalid
from sardino_core.contract.jobs import ChangeJob, SceneOptions
from sardino_core.contract.listener import Listener
from sardino_core.contract.messages import Result
from sardino_core.contract.serial import to_dict
from sardino_core.output_files import OutputFiles, Write
from sardino_core.pipeline import Session, session_on
from sardino_core.products import token_contrasts
from sardino_core.raster.block_cache import bounded_cache
from sardino_core.raster.temporal.opening import OpenPass, common_tags, open_passes
from sardino_core.raster.temporal.passes import Pass, find_passes
from sardino_core.raster.writing.staging import staged
from sardino_core.raster.writing.writer import RasterLayout, RasterWriter

_FEWEST = 3  # reference dates: two give one distance, which says nothing of how it varies
_ROWS = 256  # of patches, when p-values are written
_BANDS = ("distance", "p-value", "change")
_NULL = (
    "leave-one-out: the distance of each reference date from the mean of the other reference dates, pooled over all "
    "patches with data"
)


def change(job: ChangeJob, listener: Listener | None = None) -> Result:
    """Write distance, p-value and change on the patch grid. Raises SardinoError."""
    listener = listener or Listener()
    scene = SceneOptions((*job.before, *job.after))
    with staged() as staging, OutputFiles(staging, scene, job.run, [job.output]) as files:
        passes = _passes(job)
        with bounded_cache(), _sessions(job, passes, listener) as sessions:
            grid, null = sessions[0].cell_grid, NullDistribution()
            distances = files.aside(job.output).with_name(".distances.tif")  # goes with its folder
            with RasterWriter(distances, grid, RasterLayout("float32", ["distance"], np.nan)) as first:
                for rows in _distances(sessions, null, listener):
                    first.write(rows)
            _require_enough(null, job.false_alarm)
            found = _findings(job, passes, null)
            tags = {
                **_tags(job, sessions, passes),
                **{f"SARDINO_{key.upper()}": str(value) for key, value in found.items()},
            }
            changed, patches = _decide(
                distances, null, job, files.open(job.output, grid, RasterLayout("float32", _BANDS, np.nan, tags))
            )
            files.finish()
    summary = (
        f"{changed} of {patches} patches changed ({changed / patches:.1%}), where chance alone marks about "
        f"{job.false_alarm:.3g} of them; null: {null.size} distances of {found['references']} reference dates"
    )
    listener.log("info", f"null distribution by {_NULL}; threshold {found['threshold']:.4g}")
    return Result({"output": job.output}, {"summary": summary, "changed": changed, "patches": patches, **found})


def _passes(job: ChangeJob) -> list[Pass]:
    """The reference dates, and last the new one. Raises SettingInvalid or DatesMixed."""
    cut = len(job.before)
    before = find_passes(job.before, job.dates[:cut], job.bands)
    after = find_passes(job.after, job.dates[cut:], job.bands)
    if len(before) < _FEWEST:
        raise SettingInvalid(
            f"--before holds {len(before)} date{'s'[: len(before) != 1]}; {_FEWEST} or more are needed, to know how "
            f"far dates lie apart where nothing has changed.",
            "Add dates of the same orbit.",
        )
    if len(after) != 1:
        raise SettingInvalid(f"--after holds {len(after)} dates; one is needed.", "Run each of them by itself.")
    for found in before:
        if found.day == after[0].day:
            raise DatesMixed(f"{found.name} is both before and after the change.", "Give other dates.")
    known = {found.orbit.key: found for found in (*before, *after) if found.orbit.key}
    if len(known) > 1:
        one, other = list(known.values())[:2]
        raise DatesMixed(
            f"{one.name} is of the orbit {one.orbit.label}, {other.name} of {other.orbit.label}; another orbit sees "
            f"every slope and wall differently.",
            "Give dates of one relative orbit.",
        )
    return [*before, *after]


@contextmanager
def _sessions(job: ChangeJob, passes: Sequence[Pass], listener: Listener) -> Iterator[list[Session]]:
    """One model over every date's scene, all on one grid. Raises SettingInvalid where the grids differ."""
    from sardino_core.models.model_file import resolve_model, weights_hash
    from sardino_core.models.predictor import load_predictor  # onnxruntime or torch: not before it is needed

    listener.progress(0.0, "loading the model")
    predictor = load_predictor(job.run.model, job.run.device, job.run.precision)
    sha256, spec = weights_hash(resolve_model(job.run.model)), predictor.spec
    with open_passes(passes, spec.inputs.bands, job.units, listener, model_name=spec.name, extent=job.extent) as opened:
        if len(opened) < len(passes):
            raise NoValidData("Not every date holds data.", "Give dates that do.")
        _refuse_other_grids(opened)
        unknown = sum(not found.orbit.key for found in passes)
        if unknown:
            listener.log("warning", f"{unknown} of {len(passes)} dates tell no orbit: it is taken to be the same.")
        yield [session_on(item.scene, predictor, sha256, job.run, _Quiet(listener)) for item in opened]


class _Quiet(Listener):
    """Of many streams at once only the wish to stop matters."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener

    def cancelled(self) -> bool:
        return self._listener.cancelled()


def _refuse_other_grids(opened: Sequence[OpenPass]) -> None:
    first = opened[0]
    for other in opened[1:]:
        if not other.grid.matches(first.grid):
            raise SettingInvalid(
                f"{other.name} lies on other pixels than {first.name}; dates are compared pixel by pixel.",
                "Bring every date onto one grid first: sardino composite DATE --grid RASTER.",
            )


def _distances(sessions: Sequence[Session], null: NullDistribution, listener: Listener) -> Iterator[Float]:
    """Rows (1, rows, width) of the new date's distance, NaN where a date has no data; fills the null distribution."""
    product, height = token_contrasts(sessions[0].predictor), sessions[0].cell_grid.height
    with ExitStack() as stack:
        streams = [stack.enter_context(closing(session.rows(product))) for session in sessions]
        for dates in zip(*streams, strict=True):
            valid = np.logical_and.reduce([rows.valid for rows in dates])
            tokens = np.stack([rows.values[:, valid] for rows in dates])  # (n + 1, D, patches)
            among, distance = leave_one_out(tokens[:-1], tokens[-1])
            null.add(among)
            out = np.full(valid.shape, np.nan, np.float32)
            out[valid] = distance
            yield out[None]
            listener.progress((dates[0].row + len(valid)) / height, f"comparing {len(sessions)} dates")


def _require_enough(null: NullDistribution, rate: float) -> None:
    if not null.size:
        raise NoValidData("The dates have no valid pixel in common.", "Give dates that cover the same ground.")
    if (null.size + 1) * rate < 1:
        raise SettingInvalid(
            f"The area gives {null.size} reference distances, too few for a false-alarm rate of {rate:g}.",
            "Take a larger area, more dates before, or a higher --false-alarm.",
        )


def _decide(distances: Path, null: NullDistribution, job: ChangeJob, write: Write) -> tuple[int, int]:
    """Write distance, p-value and change; returns how many patches changed, and how many there are."""
    changed = patches = 0
    with rasterio.open(distances) as dataset:
        for row in range(0, dataset.height, _ROWS):
            rows = min(_ROWS, dataset.height - row)
            distance = dataset.read(1, window=rasterio.windows.Window(0, row, dataset.width, rows))
            valid = np.isfinite(distance)
            p_value = np.full_like(distance, np.nan)
            p_value[valid] = null.p_values(distance[valid])
            marked = np.where(valid, p_value <= job.false_alarm, np.float32(np.nan)).astype(np.float32)
            write(np.stack([distance, p_value, marked]))
            changed, patches = changed + int((marked == 1).sum()), patches + int(valid.sum())
    return changed, patches


def _findings(job: ChangeJob, passes: Sequence[Pass], null: NullDistribution) -> dict[str, float]:
    """What the decision rests on."""
    return {
        "references": len(passes) - 1,
        "null_distances": null.size,
        "false_alarm": job.false_alarm,
        "threshold": null.threshold(job.false_alarm),
    }


def _tags(job: ChangeJob, sessions: Sequence[Session], passes: Sequence[Pass]) -> dict[str, str]:
    *before, after = passes
    spec = sessions[0].spec
    opened = [OpenPass(found, session.scene) for found, session in zip(passes, sessions, strict=True)]
    return {
        **common_tags(opened),
        "TIFFTAG_SOFTWARE": f"sardino {sardino_core.__version__}",
        "SARDINO_JOB": "change",
        "SARDINO_MODEL": spec.name,
        "SARDINO_MODEL_SHA256": sessions[0].model_sha256,
        "SARDINO_BEFORE": json.dumps([found.date for found in before]),
        "SARDINO_AFTER": after.date,
        "SARDINO_NULL": _NULL,
        "SARDINO_MEANING": "distance of tokens, less their window's median (rms over dimensions); the chance of it "
        "without change; 1: change, 0: none",
        "SARDINO_PARAMETERS": json.dumps(_settings(job)),
        "SARDINO_RUNTIME": sessions[0].predictor.description,
        **({"SARDINO_ATTRIBUTION": spec.attribution} if spec.attribution else {}),
    }


def _settings(job: ChangeJob) -> dict[str, Any]:
    """Everything that was asked for but where to write; files by name alone."""
    settings = to_dict(job)
    settings |= settings.pop("run")
    del settings["output"]
    inputs = {key: [Path(name).name for name in settings[key]] for key in ("before", "after")}
    return {**settings, **inputs, "inputs": inputs["before"] + inputs["after"], "model": Path(job.run.model).name}
