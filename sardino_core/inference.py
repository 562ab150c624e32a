"""From Sentinel-1 rasters to a land-cover map, attention maps or token embeddings: the stages in order, no arithmetic.

scene -> windows read ahead -> network in batches -> blended rows -> GeoTIFF written behind, published when complete.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import numpy as np

import sardino_core
from sardino_core.contract.errors import ModelInvalid, NoValidData, SettingInvalid
from sardino_core.contract.jobs import AttentionJob, EmbedJob, RunOptions, SegmentJob
from sardino_core.contract.listener import Listener
from sardino_core.contract.messages import Result
from sardino_core.contract.serial import to_dict
from sardino_core.pipeline import Session, open_session
from sardino_core.products import (
    Int8Scale,
    Product,
    Projection,
    attention_maps,
    class_probabilities,
    classify,
    token_embeddings,
    with_nodata,
)
from sardino_core.raster.blending import Rows
from sardino_core.raster.class_legend import colour_table, legend, write_aux_xml, write_qml
from sardino_core.raster.grid import RasterGrid
from sardino_core.raster.staging import Staging, staged
from sardino_core.raster.writer import RasterLayout, RasterWriter, add_overviews, to_cog

_SAMPLE_WINDOWS = 64  # for principal components and int8 ranges: thousands of tokens for some hundred dimensions


def segment(job: SegmentJob, listener: Listener | None = None) -> Result:
    """Write the land-cover map and, where asked for, confidence and probabilities. Raises SardinoError."""
    _check_outputs_differ(job.output, job.confidence, job.probabilities, *job.scene.inputs)
    with staged() as staging, open_session(job.scene, job.run, listener or Listener()) as session, ExitStack() as stack:
        spec = session.spec
        if spec.task != "segmentation":
            raise ModelInvalid(
                f"{spec.name} is a pre-trained backbone without classes; segment needs a fine-tuned model.",
                "Fine-tune it first, or use --model starter.",
            )
        classes, names = legend(spec), [item.name for item in spec.classes]
        tags = _tags(session, job)
        maps = RasterLayout("uint8", ["land cover"], 0, tags, colour_table(classes))
        open_writer = _opener(stack, staging, session.scene.grid)
        class_map = open_writer(job.output, maps)
        confidence = open_writer(job.confidence, RasterLayout("float32", ["confidence"], np.nan, tags))
        probabilities = open_writer(job.probabilities, RasterLayout("float32", names, np.nan, tags))
        write_aux_xml(staging.path(f"{job.output}.aux.xml"), classes)
        write_qml(staging.path(Path(job.output).with_suffix(".qml")), classes)

        pixels = np.zeros(256, np.int64)
        product = class_probabilities(session.predictor, session.plan.cell_px)
        with closing(session.rows(product)) as stream:
            for rows in stream:
                decided = classify(rows, spec, job.abstain)
                class_map(decided.classes)
                confidence(decided.confidence)
                probabilities(with_nodata(rows))
                pixels += np.bincount(decided.classes.ravel(), minlength=256)
        _require_data(int(pixels[1:].sum()))
        stack.close()
        _finish(staging, job.run, [job.output, job.confidence, job.probabilities])
    outputs = {"output": job.output, "confidence": job.confidence, "probabilities": job.probabilities}
    return _result(outputs, session, pixels={item.name: int(pixels[item.value]) for item in classes})


def attention(job: AttentionJob, listener: Listener | None = None) -> Result:
    """Write the class token's attention maps, one band per head. Raises SardinoError."""
    _check_outputs_differ(job.output, *job.scene.inputs)
    with staged() as staging, open_session(job.scene, job.run, listener or Listener()) as session, ExitStack() as stack:
        product = attention_maps(session.predictor, session.plan.cell_px, job.layer, job.heads, job.resolution)
        names = [f"head {i + 1}" for i in range(product.channels)] if job.heads == "all" else [f"{job.heads} of heads"]
        meaning = "attention of the class token within one window, times the number of patches (1 = uniform)"
        tags = {**_tags(session, job), "SARDINO_MEANING": meaning}
        grid = session.cell_grid if product.scale == 1 else session.scene.grid
        write = _opener(stack, staging, grid)(job.output, RasterLayout("float32", names, np.nan, tags))
        _stream(session, product, lambda rows: write(with_nodata(rows)))
        stack.close()
        _finish(staging, job.run, [job.output])
    return _result({"output": job.output}, session, layer=job.layer % session.spec.backbone.depth)


def embed(job: EmbedJob, listener: Listener | None = None) -> Result:
    """Write the patch tokens, or their principal components, on the patch grid. Raises SardinoError."""
    _check_outputs_differ(job.output, *job.scene.inputs)
    with staged() as staging, open_session(job.scene, job.run, listener or Listener()) as session, ExitStack() as stack:
        width = session.spec.backbone.width
        if job.components > width:
            raise SettingInvalid(f"--components {job.components} is out of range; the tokens have {width} dimensions.")
        tokens = _sample_tokens(session) if job.components or job.dtype == "int8" else None
        projection = Projection.fit(tokens, job.components) if tokens is not None and job.components else None
        product = token_embeddings(session.predictor, projection)
        scale = None
        if tokens is not None and job.dtype == "int8":
            scale = Int8Scale.fit(tokens if projection is None else projection.apply(tokens))
        layout = _embedding_layout(product, job.dtype, scale, _tags(session, job), projection)
        write = _opener(stack, staging, session.cell_grid)(job.output, layout)
        _stream(session, product, lambda rows: write(with_nodata(rows) if scale is None else scale.store(rows)))
        stack.close()
        _finish(staging, job.run, [job.output])
    explained = [] if projection is None else [round(float(share), 4) for share in projection.explained]
    return _result({"output": job.output}, session, dimensions=product.channels, explained_variance=explained)


def _stream(session: Session, product: Product, write: Callable[[Rows], None]) -> None:
    seen = 0
    with closing(session.rows(product)) as stream:
        for rows in stream:
            write(rows)
            seen += int(rows.valid.sum())
    _require_data(seen)


def _opener(stack: ExitStack, staging: Staging, grid: RasterGrid) -> Callable[..., Callable[[Any], None]]:
    """A function that opens one output aside and gives back how to write to it; nothing is written for no path."""

    def open_writer(path: str | None, layout: RasterLayout) -> Callable[[Any], None]:
        if path is None:
            return lambda rows: None
        return stack.enter_context(RasterWriter(staging.path(path), grid, layout)).write

    return open_writer


def _finish(staging: Staging, run: RunOptions, paths: Sequence[str | None]) -> None:
    for path in paths:
        if path is not None:
            aside = staging.aside(path)
            if run.format == "cog":
                to_cog(aside)
            elif run.overviews:
                add_overviews(aside)


def _sample_tokens(session: Session) -> np.ndarray[Any, np.dtype[np.float32]]:
    """(samples, D) tokens of cells with data, from windows spread over the scene."""
    session.listener.progress(0.0, "sampling token space")
    found = [session.predictor.tokens(windows)[valid] for windows, valid in session.sample(_SAMPLE_WINDOWS)]
    if not found:
        _require_data(0)
    return np.concatenate(found)


def _embedding_layout(
    product: Product, dtype: str, scale: Int8Scale | None, tags: Mapping[str, str], projection: Projection | None
) -> RasterLayout:
    stem = "token" if projection is None else "component"
    names = [f"{stem} {index + 1}" for index in range(product.channels)]
    if scale is None:
        return RasterLayout(dtype, names, np.nan, tags)
    return RasterLayout("int8", names, -128, tags, scales=scale.scale.tolist(), offsets=scale.offset.tolist())


def _tags(session: Session, job: SegmentJob | AttentionJob | EmbedJob) -> dict[str, str]:
    """Provenance: what made this file, from what, and with which settings."""
    spec, settings = session.spec, {**to_dict(job.scene), **to_dict(job.run)}
    settings["inputs"] = [Path(name).name for name in settings["inputs"]]
    for key in ("cutline", "mask", "model"):  # names alone: a file that is passed on need not tell its maker's folders
        settings[key] = Path(settings[key]).name if settings[key] else None
    return {
        **session.scene.tags,
        "TIFFTAG_SOFTWARE": f"sardino {sardino_core.__version__}",
        "SARDINO_JOB": type(job).__name__.removesuffix("Job").lower(),
        "SARDINO_MODEL": spec.name,
        "SARDINO_MODEL_SHA256": session.model_sha256,
        "SARDINO_PARAMETERS": json.dumps(settings),
        "SARDINO_RUNTIME": session.predictor.description,
        **({"SARDINO_ATTRIBUTION": spec.attribution} if spec.attribution else {}),
    }


def _check_outputs_differ(*paths: str | None) -> None:
    given = [str(Path(path).resolve()) for path in paths if path is not None]
    for path in given:
        if given.count(path) > 1:
            raise SettingInvalid(f"{path} is named twice among inputs and outputs.", "Give every output its own name.")


def _require_data(valid_pixels: int) -> None:
    if not valid_pixels:
        raise NoValidData(
            "The area holds no valid pixel: everything is nodata, NaN or masked.",
            "Check the raster's nodata value, the extent, the cutline and the mask.",
        )


def _result(outputs: Mapping[str, str | None], session: Session, **values: Any) -> Result:
    return Result(
        outputs={role: path for role, path in outputs.items() if path is not None},
        values={"windows": session.plan.count, "model": session.spec.name, **values},
    )
