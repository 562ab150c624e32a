"""`sardino cluster`: a map of classes that nobody named. The stages in order, no arithmetic.

scene -> tokens of sampled windows -> clusters (or a codebook's) -> windows -> shares, blended -> GeoTIFF with a legend.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from sardino_core.analysis.explore.codebook import Codebook, read_codebook
from sardino_core.contract.jobs import ClusterJob
from sardino_core.contract.listener import Listener
from sardino_core.contract.messages import Result
from sardino_core.inference import result_of, stream, tags_of
from sardino_core.output_files import OutputFiles
from sardino_core.pipeline import Session, open_session
from sardino_core.products import cluster_shares
from sardino_core.raster.blending import Rows
from sardino_core.raster.writing.class_legend import NODATA, colour_table, write_aux_xml, write_qml
from sardino_core.raster.writing.staging import staged
from sardino_core.raster.writing.writer import RasterLayout
from sardino_core.token_space import measured_bands, sample_patches

_MEANING = "clusters of patch tokens, numbered from dark to bright; which land cover they are is not known"


def cluster(job: ClusterJob, listener: Listener | None = None) -> Result:
    """Write the map of clusters, its legend and, where asked for, the codebook. Raises SardinoError."""
    sidecars = [f"{job.output}.aux.xml", str(Path(job.output).with_suffix(".qml"))]
    outputs = [job.output, *sidecars, job.save_codebook]
    with (
        staged() as staging,
        OutputFiles(staging, job.scene, job.run, outputs, [job.codebook]) as files,
        open_session(job.scene, job.run, listener or Listener()) as session,
    ):
        codebook, chosen = _codebook(session, job)
        classes = codebook.classes
        for item in classes:
            session.listener.log("info", item.name)
        tags = {**tags_of(session, job), "SARDINO_MEANING": _MEANING, "SARDINO_CLUSTERS": json.dumps(chosen)}
        product = cluster_shares(session.predictor, codebook.shares, codebook.count, session.plan.cell_px, job.refine)
        grid = session.scene.grid if job.refine else session.cell_grid
        layout = RasterLayout("uint8", ["clusters"], NODATA, tags, colour_table(classes))
        write_map = files.open(job.output, grid, layout)
        write_aux_xml(files.aside(sidecars[0]), classes)

        pixels = np.zeros(256, np.int64)

        def write(rows: Rows) -> None:
            found = np.where(rows.valid, rows.values.argmax(axis=0) + 1, NODATA).astype(np.uint8)
            write_map(found[None])
            np.add(pixels, np.bincount(found.ravel(), minlength=256), out=pixels)

        stream(session, product, write)
        write_qml(files.aside(sidecars[1]), classes, set(np.flatnonzero(pixels).tolist()))
        if job.save_codebook is not None:
            files.aside(job.save_codebook).write_text(codebook.to_json(), encoding="utf-8")
        files.finish()
    roles = {"output": job.output, "codebook": job.save_codebook}
    counts = {item.name: int(pixels[item.value]) for item in classes}
    return result_of(roles, session, clusters=codebook.count, pixels=counts, **chosen)


def _codebook(session: Session, job: ClusterJob) -> tuple[Codebook, dict[str, Any]]:
    """The clusters, and what is told of how they came about."""
    if job.codebook is not None:
        width = session.spec.backbone.width
        known = read_codebook(job.codebook, session.spec.name, session.model_sha256, width)
        session.listener.log("info", f"{known.count} clusters of the codebook {Path(job.codebook).name}.")
        return known, {"chosen": f"by the codebook {Path(job.codebook).name}"}
    return _fit(session, job.clusters)


def _fit(session: Session, clusters: int) -> tuple[Codebook, dict[str, Any]]:
    from sardino_core.analysis.explore.kmeans import choose_clusters, fit_clusters, ordered  # scikit-learn

    patches = sample_patches(session)
    told: dict[str, Any] = {"chosen": "as asked for"}
    if not clusters:
        choice = choose_clusters(patches.points, lambda fraction, message: _report(session, message))
        clusters, told = choice.clusters, {"chosen": choice.reason, "agreement": choice.agreement}
        session.listener.log("info", choice.reason)
    found = ordered(patches.points, fit_clusters(patches.points, clusters), patches.backscatter_db)
    codebook = Codebook(
        model=session.spec.name,
        model_sha256=session.model_sha256,
        bands=tuple(measured_bands(session.spec)),
        backscatter_db=found.backscatter_db,
        mean=patches.space.mean,
        basis=patches.space.basis,
        centres=found.centres,
        variance=found.variance,
    )
    return codebook, told


def _report(session: Session, message: str) -> None:
    session.listener.raise_if_cancelled()
    session.listener.progress(0.0, message)
