"""From Sentinel-1 rasters to a land-cover map, attention maps or token embeddings: the stages in order, no arithmetic.

scene -> windows read ahead -> network in batches -> blended rows -> GeoTIFF written behind, published when complete.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import sardino_core
from sardino_core.analysis.explore.projection import Projection
from sardino_core.contract.errors import NoValidData, SettingInvalid
from sardino_core.contract.jobs import (
    AttentionJob,
    ClassifyJob,
    ClusterJob,
    EmbedJob,
    ExploreJob,
    SegmentJob,
    SimilarityJob,
)
from sardino_core.contract.listener import Listener
from sardino_core.contract.messages import Result
from sardino_core.contract.serial import to_dict
from sardino_core.finished_rows import Int8Scale, decide, with_nodata
from sardino_core.models.outputs import require_head
from sardino_core.output_files import OutputFiles
from sardino_core.pipeline import Session, open_session
from sardino_core.products import Product, attention_maps, class_probabilities, token_embeddings
from sardino_core.raster.blending import Rows
from sardino_core.raster.writing.class_legend import colour_table, legend, write_aux_xml, write_qml
from sardino_core.raster.writing.staging import staged
from sardino_core.raster.writing.writer import RasterLayout

RasterJob = SegmentJob | AttentionJob | EmbedJob | ExploreJob | ClusterJob | SimilarityJob
SAMPLE_WINDOWS = 64  # for principal components and int8 ranges: thousands of tokens for some hundred dimensions


def segment(job: SegmentJob, listener: Listener | None = None) -> Result:
    """Write the land-cover map and, where asked for, confidence and probabilities. Raises SardinoError."""
    sidecars = [f"{job.output}.aux.xml", str(Path(job.output).with_suffix(".qml"))]
    with (
        staged() as staging,
        OutputFiles(staging, job.scene, job.run, [job.output, job.confidence, job.probabilities, *sidecars]) as files,
        open_session(job.scene, job.run, listener or Listener()) as session,
    ):
        spec, grid, tags = session.spec, session.scene.grid, tags_of(session, job)
        require_head(spec)
        classes, names = legend(spec), [item.name for item in spec.classes]
        class_map = files.open(job.output, grid, RasterLayout("uint8", ["land cover"], 0, tags, colour_table(classes)))
        confidence = files.open(job.confidence, grid, RasterLayout("float32", ["confidence"], np.nan, tags))
        probabilities = files.open(job.probabilities, grid, RasterLayout("float32", names, np.nan, tags))
        write_aux_xml(files.aside(sidecars[0]), classes)

        pixels = np.zeros(256, np.int64)

        def write(rows: Rows) -> None:
            decided = decide(rows, spec, job.abstain)
            class_map(decided.classes)
            confidence(decided.confidence)
            if job.probabilities is not None:
                probabilities(with_nodata(rows))
            np.add(pixels, np.bincount(decided.classes.ravel(), minlength=256), out=pixels)

        stream(session, class_probabilities(session.predictor, session.plan.cell_px), write)
        write_qml(files.aside(sidecars[1]), classes, set(np.flatnonzero(pixels).tolist()))
        files.finish()
    outputs = {"output": job.output, "confidence": job.confidence, "probabilities": job.probabilities}
    return result_of(outputs, session, pixels={item.name: int(pixels[item.value]) for item in classes})


def attention(job: AttentionJob, listener: Listener | None = None) -> Result:
    """Write the class token's attention maps, one band per head. Raises SardinoError."""
    with (
        staged() as staging,
        OutputFiles(staging, job.scene, job.run, [job.output]) as files,
        open_session(job.scene, job.run, listener or Listener()) as session,
    ):
        product = attention_maps(session.predictor, session.plan.cell_px, job.layer, job.heads, job.resolution)
        names = [f"head {i + 1}" for i in range(product.channels)] if job.heads == "all" else [f"{job.heads} of heads"]
        meaning = "attention of the class token within one window, times the number of patches (1 = uniform)"
        tags = {**tags_of(session, job), "SARDINO_MEANING": meaning}
        grid = session.cell_grid if product.scale == 1 else session.scene.grid
        write = files.open(job.output, grid, RasterLayout("float32", names, np.nan, tags))
        stream(session, product, lambda rows: write(with_nodata(rows)))
        files.finish()
    return result_of({"output": job.output}, session, layer=job.layer % session.spec.backbone.depth)


def embed(job: EmbedJob, listener: Listener | None = None) -> Result:
    """Write the patch tokens, or their principal components, on the patch grid. Raises SardinoError."""
    with (
        staged() as staging,
        OutputFiles(staging, job.scene, job.run, [job.output]) as files,
        open_session(job.scene, job.run, listener or Listener()) as session,
    ):
        width = session.spec.backbone.width
        if job.components > width:
            raise SettingInvalid(f"--components {job.components} is out of range; the tokens have {width} dimensions.")
        tokens = sample_tokens(session) if job.components or job.dtype == "int8" else None
        projection = Projection.fit(tokens, job.components) if tokens is not None and job.components else None
        product = token_embeddings(session.predictor, projection)
        scale = None
        if tokens is not None and job.dtype == "int8":
            scale = Int8Scale.fit(tokens if projection is None else projection.apply(tokens))
        layout = _embedding_layout(product, job.dtype, scale, tags_of(session, job), projection)
        write = files.open(job.output, session.cell_grid, layout)
        stream(session, product, lambda rows: write(with_nodata(rows) if scale is None else scale.store(rows)))
        files.finish()
    explained = [] if projection is None else [round(float(share), 4) for share in projection.explained]
    return result_of({"output": job.output}, session, dimensions=product.channels, explained_variance=explained)


def stream(session: Session, product: Product, write: Callable[[Rows], None]) -> None:
    """Run the network over the scene and write the rows. Raises NoValidData when not one pixel has data."""
    seen = 0
    with closing(session.rows(product)) as finished:
        for rows in finished:
            write(rows)
            seen += int(rows.valid.sum())
    require_data(seen)


def sample_tokens(session: Session) -> NDArray[np.float32]:
    """(samples, D) tokens of cells with data, from windows spread over the scene."""
    session.listener.progress(0.0, "sampling token space")
    found = [session.predictor.tokens(windows)[valid] for windows, valid in session.sample(SAMPLE_WINDOWS)]
    require_data(len(found))
    return np.concatenate(found)


def _embedding_layout(
    product: Product, dtype: str, scale: Int8Scale | None, tags: Mapping[str, str], projection: Projection | None
) -> RasterLayout:
    stem = "token" if projection is None else "component"
    names = [f"{stem} {index + 1}" for index in range(product.channels)]
    if scale is None:
        return RasterLayout(dtype, names, np.nan, tags)
    return RasterLayout("int8", names, -128, tags, scales=scale.scale.tolist(), offsets=scale.offset.tolist())


def tags_of(session: Session, job: RasterJob) -> dict[str, str]:
    """Provenance: what made this file, from what, and with which settings."""
    spec = session.spec
    return {
        **session.scene.tags,
        "TIFFTAG_SOFTWARE": f"sardino {sardino_core.__version__}",
        "SARDINO_JOB": type(job).__name__.removesuffix("Job").lower(),
        "SARDINO_MODEL": spec.name,
        "SARDINO_MODEL_SHA256": session.model_sha256,
        "SARDINO_PARAMETERS": json.dumps(settings_of(job)),
        **identity(job, session.model_sha256),
        "SARDINO_RUNTIME": session.predictor.description,
        **({"SARDINO_ATTRIBUTION": spec.attribution} if spec.attribution else {}),
    }


def identity(job: RasterJob, model_sha256: str) -> dict[str, str]:
    """Two fingerprints by which a rerun knows a result: of the scene's files, and of all that the result depends on."""
    settings = settings_of(job)
    for key in ("batch_size", "device", "precision"):
        settings.pop(key)
    source = sha256("\n".join(str(Path(name).resolve()) for name in job.scene.inputs).encode()).hexdigest()
    run = sha256(json.dumps([source, model_sha256, settings]).encode()).hexdigest()
    return {"SARDINO_SOURCE_ID": source[:16], "SARDINO_RUN_ID": run[:16]}


def settings_of(job: RasterJob | ClassifyJob) -> dict[str, Any]:
    """Everything that was asked for but where to write; files by name alone, since a map may be passed on."""
    settings = to_dict(job)
    settings = {**settings.pop("scene"), **settings.pop("run"), **settings}
    for key in ("output", "confidence", "probabilities", "report", "save_classifier", "save_codebook"):
        settings.pop(key, None)
    for key in {"inputs", "reference_scene"} & settings.keys():
        settings[key] = [Path(name).name for name in settings[key]]
    for key in {"cutline", "mask", "model", "training", "classifier", "codebook", "references"} & settings.keys():
        settings[key] = Path(settings[key]).name if settings[key] else None
    return settings


def require_data(count: int) -> None:
    """Raises NoValidData when `count`, of whatever has data, is none."""
    if not count:
        raise NoValidData(
            "The area holds no valid pixel: everything is nodata, NaN or masked.",
            "Check the raster's nodata value, the extent, the cutline and the mask.",
        )


def result_of(outputs: Mapping[str, str | None], session: Session, **values: Any) -> Result:
    """What was written, by role (None: not asked for), and what is told of the run."""
    return Result(
        outputs={role: path for role, path in outputs.items() if path is not None},
        values={"windows": session.plan.count, "model": session.spec.name, **values},
    )
