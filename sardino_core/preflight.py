"""What a model would make of a scene, before any of it is made: is it read rightly, does it fit, what will it take.

Looks at windows spread over the scene and runs a batch of them through the network. What cannot be run at all is
refused by the reader with its own errors, as it would be by the run itself.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

import sardino_core
from sardino_core.analysis.report_page import Page
from sardino_core.analysis.scene_statistics import SceneSample, SceneSummary, misfits
from sardino_core.contract.errors import SettingInvalid
from sardino_core.contract.findings import Finding
from sardino_core.contract.jobs import PreflightJob
from sardino_core.contract.listener import Listener
from sardino_core.contract.messages import Result
from sardino_core.contract.serial import to_dict
from sardino_core.costs import Costs, costs, duration
from sardino_core.pipeline import Session, open_session
from sardino_core.raster.reading.sources import short
from sardino_core.raster.resampling import resample_backscatter, resampling_matrix
from sardino_core.raster.strips import read_tile
from sardino_core.raster.writing.staging import staged
from sardino_core.resident_memory import resident_mb

_LOOKED_AT = 48  # windows
_PATIENCE_S = 2.0  # a window that takes longer is timed once, and not in a batch
_TIMES = 3  # the quickest batch counts: others share the machine
_LOOKS = "mean²/variance in the most homogeneous fifth of the squares of 16 pixels"


def preflight(job: PreflightJob, listener: Listener | None = None) -> Result:
    """Look, judge, and write the report if one is asked for. Raises SardinoError for what cannot be run."""
    listener = listener or Listener()
    if job.output is not None and not job.output.lower().endswith((".html", ".htm")):
        raise SettingInvalid(f"The output {job.output} is no HTML report.", "Give a name that ends in .html.")
    with staged() as staging, open_session(job.scene, job.run, _Silent(listener)) as session:
        aside = None if job.output is None else staging.path(job.output)
        looked = _look(session, listener)
        found = costs(
            session.plan,
            session.spec,
            seconds_per_window=_seconds_per_window(session, listener) if looked.filled else 0.0,
            filled=looked.filled,
            resident_mb=resident_mb(),
        )
        findings = [*_on_reading(session), *_on_fit(session, looked), *_on_costs(session, found)]
        if aside is not None:
            aside.write_text(_page(job, session, findings).html(), encoding="utf-8")
        values = _values(session, looked, found, findings)
    return Result({} if job.output is None else {"output": job.output}, values)


@dataclass(frozen=True)
class _Looked:
    """What the sampled windows hold, in the network's pixels."""

    summary: SceneSummary
    windows: int
    filled: float  # share of the windows with any data


class _Silent(Listener):
    """Passes on all but the log: what it says is among the findings."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener

    def progress(self, fraction: float, message: str) -> None:
        self._listener.progress(fraction, message)

    def cancelled(self) -> bool:
        return self._listener.cancelled()


def _look(session: Session, listener: Listener) -> _Looked:
    plan, spec = session.plan, session.spec
    sample, filled = SceneSample(spec.inputs), 0
    resampled = plan.cell_px != spec.backbone.patch
    tiles = list(islice(plan.scattered(), _LOOKED_AT))
    for number, tile in enumerate(tiles):
        listener.raise_if_cancelled()
        listener.progress(0.1 + 0.7 * number / len(tiles), "looking at the scene")
        pixels, window = read_tile(session.scene, plan, tile), plan.window(tile)
        db, valid = pixels.backscatter_db, pixels.valid
        if resampled:
            db, valid = resample_backscatter(db, valid, resampling_matrix(plan.window_px, spec.window))
        else:  # what is mirrored beyond the edge is not looked at
            inside = np.s_[: plan.height_px - window.row, : plan.width_px - window.col]
            db, valid = db[:, *inside], valid[inside]
        filled += bool(valid.any())
        sample.add(db, valid)
    return _Looked(sample.summary(), len(tiles), filled / len(tiles))


def _seconds_per_window(session: Session, listener: Listener) -> float:
    """Of the network alone, on real windows, after a first one that warms up."""
    listener.progress(0.8, "timing the network")
    predict = session.predictor.segment if session.spec.classes else session.predictor.tokens
    windows, _ = next(session.sample(session.batch))
    elapsed = _timed(lambda: predict(windows[:1]))
    if elapsed > _PATIENCE_S:
        return elapsed
    listener.raise_if_cancelled()
    return min(_timed(lambda: predict(windows)) for _ in range(_TIMES)) / len(windows)


def _timed(action: Any) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def _on_reading(session: Session) -> list[Finding]:
    scene, inputs = session.scene, session.spec.inputs
    grid, tags = scene.grid, scene.tags
    spacing_m, patch, cell_px = grid.spacing_m, session.spec.backbone.patch, session.plan.cell_px
    low, high = inputs.spacing_m
    spacing = "unknown; taken to be the model's" if spacing_m is None else f"{spacing_m:.4g} m"
    if cell_px != patch and spacing_m is not None:
        spacing += f", read at {spacing_m * cell_px / patch:.3g} m; the result comes back on the scene's own pixels"
    else:
        spacing += f" (model: {low:g} to {high:g} m)"
    orbit = tags.get("ORBIT", "")
    wrong_orbit = bool(inputs.orbit and orbit and inputs.orbit != orbit.lower())
    return [
        Finding("scene", True, f"{grid.width} x {grid.height} pixels, {grid.crs or 'no CRS'}"),
        Finding("bands", True, tags["SARDINO_BANDS"]),
        Finding("units", True, tags["SARDINO_UNITS"]),
        Finding("spacing", True, spacing),
        Finding("acquired", True, tags.get("ACQUISITION_DATE", "unknown")),
        Finding("orbit", not wrong_orbit, orbit or "unknown",
                f"the model is for {inputs.orbit} orbits" if wrong_orbit else ""),
        Finding("radiometry", True, f"{tags.get('SARDINO_RADIOMETRY', 'unknown')} (model: {inputs.radiometry})"),
        *(Finding("note", False, warning) for warning in scene.warnings),
    ]  # fmt: skip


def _on_fit(session: Session, looked: _Looked) -> list[Finding]:
    inputs, summary = session.spec.inputs, looked.summary
    share = f"{summary.valid_share:.1%}, seen in {looked.windows} of {session.plan.count} windows"
    if not summary.valid_pixels:
        return [Finding("valid pixels", False, share, "check nodata value, extent, cutline and mask")]
    levels = "; ".join(
        f"{band.name} {band.mean_db:.1f} ± {band.std_db:.1f} dB (model {known.mean_db:.1f} ± {known.std_db:.1f})"
        for band, known in zip(summary.bands, inputs.bands, strict=True)
    )
    low, high = inputs.looks
    fits = summary.looks is None or low <= summary.looks <= high
    looks = "too little even ground to tell" if summary.looks is None else f"about {summary.looks:.2g}, {_LOOKS}"
    return [
        Finding("valid pixels", True, share),
        Finding("backscatter", True, levels),
        *(Finding("backscatter", False, text) for text in misfits(summary, inputs)),
        Finding("looks", fits, f"{looks} (model: {low:g} to {high:g})",
                "" if fits else "use a product with more looks" if (summary.looks or 0) < low else "use a single date"),
    ]  # fmt: skip


def _on_costs(session: Session, found: Costs) -> list[Finding]:
    disk = ", ".join(f"{name} {size:.2g} MB" for name, size in found.disk_mb.items())
    return [
        Finding("windows", True, f"{found.windows} of {session.spec.window} pixels"),
        Finding("runs on", True, f"{session.predictor.description}, batch {session.batch}"),
        Finding("time", True, f"about {duration(found.seconds)}, from a timed batch on this machine"),
        Finding("memory", True, f"about {found.memory_mb:.0f} MB, whatever the scene's height"),
        Finding("disk", True, f"at most, before compression: {disk}"),
    ]


def _values(session: Session, looked: _Looked, found: Costs, findings: list[Finding]) -> dict[str, Any]:
    grid, tags, summary = session.scene.grid, session.scene.tags, looked.summary
    return {
        "suitable": all(item.ok for item in findings),
        "findings": [to_dict(item) for item in findings],
        "model": session.spec.name,
        "width": grid.width,
        "height": grid.height,
        "crs": str(grid.crs) if grid.crs else None,
        "spacing_m": grid.spacing_m,
        "resampled": session.plan.cell_px != session.spec.backbone.patch,
        "bands": tags["SARDINO_BANDS"],
        "units": tags["SARDINO_UNITS"],
        "acquisition_date": tags.get("ACQUISITION_DATE"),
        "orbit": tags.get("ORBIT"),
        "valid_share": summary.valid_share,
        "backscatter": [to_dict(band) for band in summary.bands] if summary.valid_pixels else [],
        "looks": summary.looks,
        "device": session.predictor.description,
        **to_dict(found),
    }


def _page(job: PreflightJob, session: Session, findings: list[Finding]) -> Page:
    names = ", ".join(short(name) for name in job.scene.inputs)
    page = Page(f"Preflight of {names}", f"Model: {session.spec.name}. sardino {sardino_core.__version__}.")
    concerns = [item for item in findings if not item.ok]
    if concerns:
        page.text("The model can run on this scene, but look at this first:")
        for item in concerns:
            page.text(f"{item.name}: {item.found}" + (f" ({item.fix})" if item.fix else ""), "warning")
    else:
        page.text("The scene suits the model.")
    page.facts([(item.name, item.found) for item in findings if item.ok])
    if session.spec.limits:
        page.text(f"About the model: {session.spec.limits}", "note")
    return page
