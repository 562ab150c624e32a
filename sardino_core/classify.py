"""`sardino classify`: a few labelled areas and a scene in, a land-cover map out; or a kept classifier and a scene.

Areas -> training pixels -> features -> cross-validation and classifier -> map, streamed -> report and classifier file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import numpy as np
import sklearn
import skops
from numpy.typing import NDArray

import sardino_core
from sardino_core.analysis.agreement import agreement
from sardino_core.analysis.classify.areas import Areas, draw_pixels, groups, read_areas
from sardino_core.analysis.classify.classes import classes_of, index_of
from sardino_core.analysis.classify.classifier_file import Classifier, Description, load_classifier, save_classifier
from sardino_core.analysis.classify.estimators import (
    CrossValidation,
    Ints,
    cross_validated,
    fitted,
    probabilities,
    require_enough,
)
from sardino_core.analysis.classify.features import columns, in_order, use_network
from sardino_core.analysis.classify.report import METHOD_NAMES, page, summary
from sardino_core.analysis.explore.projection import NO_PROJECTION, Projection
from sardino_core.contract.errors import ModelInvalid, SettingInvalid
from sardino_core.contract.jobs import ClassifyJob
from sardino_core.contract.listener import Listener, Part
from sardino_core.contract.messages import Result
from sardino_core.contract.model_spec import ClassSpec
from sardino_core.feature_stream import FeatureStream, open_features, with_components
from sardino_core.inference import require_data, settings_of
from sardino_core.models.model_file import resolve_model, weights_hash
from sardino_core.output_files import OutputFiles
from sardino_core.raster.blending import Rows
from sardino_core.raster.reading.sources import short
from sardino_core.raster.writing.class_legend import NODATA, colour_table, write_aux_xml, write_qml
from sardino_core.raster.writing.staging import staged
from sardino_core.raster.writing.writer import RasterLayout

_SPACING_DIFFERS = 1.25  # times: the squares of the filter are counted in pixels
_TRAINED = 0.5  # of the whole run, where there is training


def classify(job: ClassifyJob, listener: Listener | None = None) -> Result:
    """Write the map and, where asked for, confidence, report and classifier. Raises SardinoError."""
    listener = listener or Listener()
    sidecars = [f"{job.output}.aux.xml", str(Path(job.output).with_suffix(".qml"))]
    paths = [job.output, job.confidence, *sidecars, job.report, job.save_classifier]
    known = None if job.classifier is None else load_classifier(job.classifier)
    features = job.features if known is None else known.description.features
    with (
        staged() as staging,
        OutputFiles(staging, job.scene, job.run, paths, [job.training, job.classifier]) as files,
        open_features(job.scene, job.run, features, listener) as stream,
    ):
        if known is None:
            classifier = _train(job, stream, Part(listener, 0.0, _TRAINED))
        else:
            classifier = known
            _require_fit(job, stream, known, listener)
        stream = stream.projected(Projection(classifier.mean, classifier.basis, NO_PROJECTION.explained))
        said = classifier.description
        tags = _tags(job, stream, said)
        layout = RasterLayout("uint8", ["land cover"], NODATA, tags, colour_table(said.classes))
        class_map = files.open(job.output, stream.grid, layout)
        confidence = files.open(job.confidence, stream.grid, RasterLayout("float32", ["confidence"], np.nan, tags))
        write_aux_xml(files.aside(sidecars[0]), said.classes)
        pixels = np.zeros(256, np.int64)
        with closing(stream.rows(Part(listener, _TRAINED if known is None else 0.0, 1.0, quiet=True))) as rows:
            for strip in rows:
                decided, highest = _decide(strip, classifier, listener)
                class_map(decided[None])
                confidence(highest[None])
                pixels += np.bincount(decided.ravel(), minlength=256)
        require_data(int(pixels[1:].sum()))
        write_qml(files.aside(sidecars[1]), said.classes, set(np.flatnonzero(pixels).tolist()))
        found = {item.name: int(pixels[item.value]) for item in said.classes}
        _write_beside(job, files, classifier, found)
        files.finish()
    roles = {
        "output": job.output,
        "confidence": job.confidence,
        "report": job.report,
        "classifier": job.save_classifier,
    }
    outputs = {role: path for role, path in roles.items() if path is not None}
    score = agreement(np.array(said.counts)).overall
    return Result(outputs, {"pixels": found, "cross_validated_accuracy": score, "summary": summary(said)})


def _train(job: ClassifyJob, stream: FeatureStream, listener: Listener) -> Classifier:
    """From labelled areas to a classifier that knows how well it does on areas held out."""
    listener.progress(0.0, "reading the training areas")
    areas = read_areas(job.training or "", stream.grid, job.field_name)
    for level, lines in (("info", areas.notes), ("warning", areas.warnings)):
        for line in lines:
            listener.log(level, line)
    classes, method = classes_of(areas.labels, stream.spec.classes), job.method or "forest"
    class_of, group = np.array([index_of(label, classes) for label in areas.labels]), groups(areas)
    drawn = draw_pixels(areas, class_of, stream.grid, job.seed, listener.raise_if_cancelled)
    names = [item.name for item in classes]
    require_enough(class_of[drawn.area], group[drawn.area], names, method, areas.kind)  # before the network is run
    stream = with_components(stream)
    x, valid = stream.at(drawn, Part(listener, 0.0, 0.7, quiet=True))
    x, label, held = x[valid], class_of[drawn.area[valid]], group[drawn.area[valid]]
    require_enough(label, held, names, method, areas.kind)

    def report(fraction: float) -> None:
        listener.raise_if_cancelled()
        listener.progress(0.7 + 0.25 * fraction, "cross-validation")

    checked = cross_validated(method, x, label, held, job.seed, report)
    listener.raise_if_cancelled()
    listener.progress(0.95, "training")
    description = _describe(job, stream, areas, classes, class_of, label, checked)
    found = fitted(method, x, label, job.seed)
    return Classifier(description, found, stream.projection.mean, stream.projection.basis)


def _describe(
    job: ClassifyJob,
    stream: FeatureStream,
    areas: Areas,
    classes: tuple[ClassSpec, ...],
    class_of: Ints,
    label: Ints,
    checked: CrossValidation,
) -> Description:
    network = use_network(stream.features)
    return Description(
        features=stream.features,
        method=job.method or "forest",
        bands=tuple(band.key for band in stream.spec.inputs.bands),
        clip_db=stream.spec.inputs.clip_db,
        classes=classes,
        areas=tuple(np.bincount(class_of, minlength=len(classes)).tolist()),
        pixels=tuple(np.bincount(label, minlength=len(classes)).tolist()),
        counts=tuple(tuple(row) for row in checked.counts.tolist()),
        folds=checked.folds,
        groups=checked.groups,
        kind=areas.kind,
        scene=short(job.scene.inputs[0]),
        spacing_m=stream.grid.spacing_m,
        model=stream.spec.name if network else "",
        model_sha256=weights_hash(resolve_model(job.run.model)) if network else "",
        versions={"sardino": sardino_core.__version__, "scikit-learn": sklearn.__version__, "skops": skops.__version__},
    )


def _require_fit(job: ClassifyJob, stream: FeatureStream, known: Classifier, listener: Listener) -> None:
    """Raises ModelInvalid or SettingInvalid where a kept classifier takes something else than this run gives it."""
    said, name, spec = known.description, short(job.classifier or ""), stream.spec
    asked = in_order(job.features) if job.features else said.features
    if asked != said.features or (job.method or said.method) != said.method:
        raise SettingInvalid(
            f"The classifier {name} is {METHOD_NAMES[said.method]} on {','.join(said.features)}; --features and "
            f"--method ask for something else.",
            "Leave both out, or train another one.",
        )
    sha256 = weights_hash(resolve_model(job.run.model)) if use_network(said.features) else ""
    if sha256 != said.model_sha256:
        raise ModelInvalid(
            f"The classifier {name} takes what the model {said.model} ({said.model_sha256[:8]}) sees; --model is "
            f"{spec.name} ({sha256[:8]}).",
            "Give the model that it was trained with, or train it again with this one.",
        )
    bands = tuple(band.key for band in spec.inputs.bands)
    if (bands, spec.inputs.clip_db) != (said.bands, said.clip_db):
        raise ModelInvalid(
            f"The classifier {name} takes {', '.join(said.bands)} between {said.clip_db[0]:g} and {said.clip_db[1]:g} "
            f"dB; the model {spec.name} reads {', '.join(bands)} between {spec.inputs.clip_db[0]:g} and "
            f"{spec.inputs.clip_db[1]:g} dB.",
            "Give the model that it was trained with, or train it again with this one.",
        )
    tokens = "tokens" in said.features
    shape = (spec.backbone.width, len(columns(["tokens"], spec))) if tokens else (0, 0)
    if known.estimator.n_features_in_ != len(stream.columns) or known.basis.shape != shape:
        raise ModelInvalid(f"The classifier {name} does not fit its own description.", "Train the classifier again.")
    here, there = stream.grid.spacing_m, said.spacing_m
    if here and there and not 1 / _SPACING_DIFFERS <= here / there <= _SPACING_DIFFERS:
        listener.log("warning", f"{name} was trained on pixels of {there:.3g} m; these are of {here:.3g} m, so that "
                                f"its features cover other areas.")  # fmt: skip


def _decide(strip: Rows, classifier: Classifier, listener: Listener) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Classes (rows, width), 0 without data, and the highest probability, NaN without data."""
    decided = np.full(strip.valid.shape, NODATA, np.uint8)
    highest = np.full(strip.valid.shape, np.nan, np.float32)
    if strip.valid.any():
        said = probabilities(classifier.estimator, strip.values[:, strip.valid].T, listener.raise_if_cancelled)
        values = np.array([item.value for item in classifier.description.classes], np.uint8)
        decided[strip.valid], highest[strip.valid] = values[said.argmax(axis=1)], said.max(axis=1)
    return decided, highest


def _write_beside(job: ClassifyJob, files: OutputFiles, classifier: Classifier, pixels: Mapping[str, int]) -> None:
    if job.report is not None:
        training = None if job.training is None else short(job.training)
        found = page(classifier.description, pixels, short(job.scene.inputs[0]), training)
        files.aside(job.report).write_text(found.html(), encoding="utf-8")
    if job.save_classifier is not None:
        save_classifier(files.aside(job.save_classifier), classifier)


def _tags(job: ClassifyJob, stream: FeatureStream, said: Description) -> dict[str, str]:
    """Provenance: what made this file, from what, and with which settings."""
    network = {"SARDINO_MODEL": said.model, "SARDINO_MODEL_SHA256": said.model_sha256} if said.model else {}
    credit = {"SARDINO_ATTRIBUTION": stream.spec.attribution} if said.model and stream.spec.attribution else {}
    return {
        **stream.scene.tags,
        "TIFFTAG_SOFTWARE": f"sardino {sardino_core.__version__}",
        "SARDINO_JOB": "classify",
        "SARDINO_MEANING": "; ".join(summary(said)),
        "SARDINO_PARAMETERS": json.dumps(settings_of(job)),
        "SARDINO_RUNTIME": stream.runtime,
        **network,
        **credit,
    }
