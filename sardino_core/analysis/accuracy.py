"""A land-cover map against a reference: estimates from sample points, else agreement; a report, and tables."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import sardino_core
from sardino_core.analysis.agreement_report import AgreementAssessment
from sardino_core.analysis.area_report import AreaAssessment
from sardino_core.analysis.class_map import ClassMap, Stratum, survey
from sardino_core.analysis.matrix_table import csv_text
from sardino_core.analysis.pixel_area import area_unit
from sardino_core.analysis.reference import (
    Legend,
    open_reference_raster,
    polygon_labels,
    raster_labels,
    tally_pixels,
    tally_points,
)
from sardino_core.analysis.report_page import Page
from sardino_core.analysis.sample_file import sample_points
from sardino_core.contract.errors import SettingInvalid
from sardino_core.contract.jobs import AccuracyJob
from sardino_core.contract.listener import Listener
from sardino_core.contract.messages import Result
from sardino_core.raster.reading.marks import of_points, read_marks
from sardino_core.raster.reading.sources import short
from sardino_core.raster.reading.vector_file import is_vector, read_vector
from sardino_core.raster.writing.staging import staged

Assessment = AreaAssessment | AgreementAssessment


def accuracy(job: AccuracyJob, listener: Listener | None = None) -> Result:
    """Write the report, and the tables as CSV beside it; the numbers come back. Raises SardinoError."""
    listener = listener or Listener()
    if not job.output.lower().endswith((".html", ".htm")):
        raise SettingInvalid(f"The output {job.output} is no HTML report.", "Give a name that ends in .html.")
    stem = Path(job.output).with_suffix("")
    outputs = {"output": job.output, "classes": f"{stem}_classes.csv", "matrix": f"{stem}_matrix.csv"}
    with staged() as staging, ClassMap(job.classified) as classified:
        aside = {role: staging.path(path) for role, path in outputs.items()}
        strata = survey(classified, listener, share=0.5)
        found = _assess(job, classified, strata, listener)
        aside["output"].write_text(_page(job, classified, found).html(), encoding="utf-8")
        aside["classes"].write_text(csv_text(found.table()), encoding="utf-8")
        aside["matrix"].write_text(csv_text(found.matrices()), encoding="utf-8")
    return Result(outputs, {**found.values(), "summary": found.summary()})


def _assess(job: AccuracyJob, classified: ClassMap, strata: tuple[Stratum, ...], listener: Listener) -> Assessment:
    legend, name, grid = Legend.of(classified, strata, job.mapping), short(job.reference), classified.grid
    if not is_vector(job.reference):
        with closing(open_reference_raster(job.reference, classified)) as raster:
            tally = tally_pixels(classified, strata, raster_labels(raster), legend, name, listener)
        return AgreementAssessment.of(tally, strata, legend, name)
    file = read_vector(job.reference, "reference", attributes=True)
    if of_points(file):
        points = sample_points(file, grid, job.field_name)
        if not any(point.reference for point in points):
            raise SettingInvalid(
                f"No point of {name} has a value in the field {job.field_name!r}.",
                "Fill it in with the names or values of classes, or name another field with --field.",
            )
        tally = tally_points(points, classified, strata, legend, name)
        return AreaAssessment.of(tally, strata, legend, area_unit(grid))
    marks = read_marks(file, grid, job.field_name, "Name the field with --field.")
    labels = polygon_labels(marks.areas(grid), legend, name)
    # The labels are classes already: mapped once is enough.
    tally = tally_pixels(classified, strata, labels, replace(legend, mapping={}), name, listener)
    return AgreementAssessment.of(tally, strata, legend, name)


def _page(job: AccuracyJob, classified: ClassMap, found: Assessment) -> Page:
    kind = "Accuracy and areas" if isinstance(found, AreaAssessment) else "Agreement"
    tags = classified.dataset.tags()
    made_by = f", made by the model {tags['SARDINO_MODEL']}" if "SARDINO_MODEL" in tags else ""
    page = Page(
        f"{kind} of {classified.name}",
        f"Map: {classified.name}{made_by}. Reference: {short(job.reference)}. sardino {sardino_core.__version__}.",
    )
    if tags.get("SARDINO_SIMULATED") == "YES":
        page.text("The map was made from a simulated scene: its figures are no evidence about any place.", "warning")
    found.write(page)
    return page
