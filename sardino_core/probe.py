"""`sardino probe`: labelled rasters and a model in, a report on where its land-cover information lies out.

Rasters -> labelled windows -> patches -> features -> folds -> probes -> report; each stage is a module of
`analysis.probe`, and what needs rasters or torch is called from here.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import rasterio

from sardino_core.analysis.probe.compare import compare, differences
from sardino_core.analysis.probe.config import ProbeConfig
from sardino_core.analysis.probe.features import gather, network_windows
from sardino_core.analysis.probe.findings import Findings, Place
from sardino_core.analysis.probe.folds import outer_folds
from sardino_core.analysis.probe.heads import HeadTable, head_scores
from sardino_core.analysis.probe.report import write_report
from sardino_core.analysis.probe.samples import Windows, block_side, draw_samples
from sardino_core.analysis.probe.scores import bootstrap_draws
from sardino_core.contract.errors import ModelInvalid, SettingInvalid
from sardino_core.contract.jobs import ProbeJob
from sardino_core.contract.listener import Listener
from sardino_core.contract.messages import Result
from sardino_core.contract.model_spec import ModelSpec
from sardino_core.models.attention_statistics import distances
from sardino_core.models.inspection import Inspector
from sardino_core.models.model_file import load_weights, read_spec, resolve_model
from sardino_core.models.network import build, random_network
from sardino_core.training.evaluate import settings_for_evaluation
from sardino_core.training.running.run import make_folder
from sardino_core.training.settings.finetune_config import FinetuneConfig, ModelConfig, load_config, with_rasters
from sardino_core.training.settings.yaml_config import with_overrides
from sardino_core.training.windows.ground import places_of
from sardino_core.training.windows.labelled_patches import LabelledWindow, labelled_windows
from sardino_core.training.windows.sources import LabelledScene, SceneStore

_STRAIGHT = 1e-6  # rotation between two grids that is none
_STATISTICS_WINDOWS = 64  # whose whole attention is computed, for entropy and distance


def probe(job: ProbeJob, listener: Listener | None = None) -> Result:
    """Write the report, its tables and figures into the folder `job.output`. Raises SardinoError."""
    listener = listener or Listener()
    path = resolve_model(job.model)
    config, reading = settings_of(job, read_spec(path))
    with _folder(Path(job.output)) as folder:
        trained = Inspector(build(read_spec(path), load_weights(path)))
        findings = _find(job.model if job.model == "starter" else path.stem, trained, config, reading, listener)
        listener.progress(0.95, "writing the report")
        outputs = write_report(findings, trained, folder)
    return Result(outputs, findings.values())


def _find(name: str, trained: Inspector, config: ProbeConfig, reading: FinetuneConfig, listener: Listener) -> Findings:
    """From rasters to everything that is found."""
    spec = trained.spec
    with SceneStore(reading) as store:
        found = labelled_windows(store, reading, config.agree, config.labelled, config.windows, listener)
        warnings = tuple(store.warnings)
    windows, places = _arrange(found, config, spec)
    samples = draw_samples(windows, reading.classes, config.patches, config.seed)
    folds = outer_folds(samples, config.folds, config.seed)
    untrained = Inspector(random_network(spec, config.seed))
    tables = gather(samples, windows, trained, untrained, _within(listener, 0.1, 0.25))
    outcomes = compare(samples, tables, folds, config, _within(listener, 0.25, 0.85))
    shape = spec.backbone.depth, spec.backbone.heads
    scored = head_scores(samples, tables, folds, config, shape, _within(listener, 0.85, 0.95))
    draws = bootstrap_draws(folds.count, config.bootstrap, config.seed)
    return Findings(
        model=name,
        spec=spec,
        config=config,
        samples=samples,
        windows=windows,
        places=places,
        folds=folds,
        tables=tables,
        outcomes=tuple(outcomes),
        differences=tuple(differences(outcomes, draws)),
        draws=draws,
        heads=_head_table(scored, trained, windows, found, config),
        warnings=warnings,
    )


@contextmanager
def _folder(folder: Path) -> Iterator[Path]:
    """The output folder, made before anything is computed, and taken away again if a failure leaves it empty."""
    existed = folder.exists()
    make_folder(folder)
    try:
        yield folder
    except BaseException:
        if not existed:
            with suppress(OSError):
                folder.rmdir()
        raise


def settings_of(job: ProbeJob, spec: ModelSpec) -> tuple[ProbeConfig, FinetuneConfig]:
    """The probe's own settings, and how images and labels are found and read, both with the job's `key=value`."""
    own = {field.name for field in dataclasses.fields(ProbeConfig)}
    mine = [item for item in job.settings if item.partition("=")[0].partition(".")[0] in own]
    rest = [item for item in job.settings if item not in mine]
    config = with_overrides(ProbeConfig(), mine)
    if job.config is not None:
        reading = load_config(job.config, rest)
    elif spec.classes:
        reading = with_overrides(settings_for_evaluation(job.model, job.images, job.labels), rest)
    else:
        raise ModelInvalid(
            f"The model {spec.name} is pretrained: it has no classes that labels could be compared with.",
            "Name classes and their mapping with --config, such as --config finetune-tiny for WorldCover labels.",
        )
    if config.source:
        chosen = tuple(source for source in reading.sources if source.name == config.source)
        if not chosen:
            names = ", ".join(source.name for source in reading.sources)
            raise SettingInvalid(f"The configuration has no source {config.source!r}; it has {names}.")
        reading = replace(reading, sources=chosen)
    reading = with_rasters(reading, job.images, job.labels)
    sources = tuple(replace(source, hold_out=1.0) for source in reading.sources)  # every label counts
    model = ModelConfig(spec.inputs, spec.backbone, spec.window)
    return config, replace(reading, sources=sources, model=model, seed=config.seed)


def _arrange(
    found: Sequence[LabelledWindow], config: ProbeConfig, spec: ModelSpec
) -> tuple[Windows, tuple[Place, ...]]:
    """Windows as arrays, and their places: rasters of the same or of neighbouring ground."""
    scenes = list(dict.fromkeys(window.scene for window in found))
    number = dict(zip(scenes, places_of([scene.grid for scene in scenes], config.apart_m).tolist(), strict=True))
    members: dict[int, list[LabelledScene]] = {}
    for scene, place in number.items():
        members.setdefault(place, []).append(scene)
    centres = [_centres(window, members[number[window.scene]][0]) for window in found]
    first = [members[number[window.scene]][0] for window in found]
    side = spec.tokens_per_side
    windows = Windows(
        backscatter_db=np.stack([window.backscatter_db for window in found]),
        valid=np.stack([window.valid for window in found]),
        classes=np.stack([window.classes for window in found]),
        place=np.array([number[window.scene] for window in found]),
        raster_row=np.stack([rows for rows, _ in centres]),
        raster_col=np.stack([cols for _, cols in centres]),
        block_px=np.array(
            [
                block_side(scene.grid.height, scene.grid.width, side * window.cell_px)
                for scene, window in zip(first, found, strict=True)
            ]
        ),
        margin_px=np.array([window.cell_px for window in found]),
    )
    return windows, tuple(_place(members[index], spec) for index in sorted(members))


def _centres(window: LabelledWindow, first: LabelledScene) -> tuple[np.ndarray, np.ndarray]:
    """Rows (n,) and columns (n,) of the patches' centres, on the grid of its place's first raster if both are alike."""
    steps = (np.arange(len(window.classes)) + 0.5) * window.cell_px
    rows, cols = window.row + steps, window.col + steps
    own = window.scene.grid
    shift = ~first.grid.transform @ own.transform
    if own.crs == first.grid.crs and abs(shift.b) + abs(shift.d) < _STRAIGHT:
        cols, rows = shift.a * cols + shift.c, shift.e * rows + shift.f
    return np.maximum(rows, 0).astype(np.int64), np.maximum(cols, 0).astype(np.int64)


def _place(scenes: Sequence[LabelledScene], spec: ModelSpec) -> Place:
    """What the report says of it. A model names what it was trained on in its provenance."""
    names = tuple(scene.name for scene in scenes)
    told = "\n".join(spec.provenance.data)
    known = any(re.search(rf"(?:^|[\s,]){re.escape(name)}(?:$|[\s,])", told, re.MULTILINE) for name in names)
    simulated = any(_is_simulated(scene.images[0]) for scene in scenes)
    return Place(names[0], names, known, simulated)


def _is_simulated(path: Path) -> bool:
    with rasterio.open(path) as dataset:
        return bool(dataset.tags().get("SARDINO_SIMULATED") == "YES")


def _head_table(
    scored: tuple[dict[str, np.ndarray], np.ndarray, dict[tuple[str, str], np.ndarray]],
    network: Inspector,
    windows: Windows,
    found: Sequence[LabelledWindow],
    config: ProbeConfig,
) -> HeadTable:
    """Scores, and statistics of the attention in windows spread over all that were read."""
    order = np.random.default_rng([config.seed, 4]).permutation(len(windows.place))[:_STATISTICS_WINDOWS]
    spec = network.spec
    statistics = network.statistics(network_windows(windows, np.sort(order), spec))
    patch_m = [window.cell_px * (window.scene.grid.spacing_m or np.nan) for window in found]
    return HeadTable(
        *scored,
        statistics,
        tokens=spec.tokens_per_side**2,
        patch_px=spec.backbone.patch,
        patch_m=float(np.mean(patch_m)),
        uniform_distance=float(distances(spec.tokens_per_side).mean()),
    )


def _within(listener: Listener, low: float, high: float) -> Callable[[float, str], None]:
    """A stage's own progress as a part of the whole; it is also where a stage may be stopped."""

    def report(fraction: float, message: str) -> None:
        listener.raise_if_cancelled()
        listener.progress(low + (high - low) * fraction, message)

    return report
