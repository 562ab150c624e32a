"""A call of every algorithm, small enough for tests: what goes in, and what must come out."""

from __future__ import annotations

import json
import shutil
from itertools import product
from pathlib import Path
from typing import Any

from osgeo import gdal
from qgis.core import QgsGeometry, QgsRasterLayer, QgsRectangle

TRAINING = {"pretrain", "finetune"}
_STEPS = "optimiser.steps=2 optimiser.batch_size=2 optimiser.warm_up=1"
OUTPUTS = {
    "segment": {"OUTPUT": "map.tif"},
    "classify": {"OUTPUT": "classified.tif", "SAVE_CLASSIFIER": "kept.skops"},
    "attention": {"OUTPUT": "attention.tif"},
    "explore": {"OUTPUT": "place.tif"},
    "embeddings": {"OUTPUT": "embeddings.tif"},
    "cluster": {"OUTPUT": "clusters.tif", "SAVE_CODEBOOK": "codebook.json"},
    "similarity": {"OUTPUT": "similarity.tif"},
    "preflight": {"OUTPUT_HTML": "preflight.html"},
    "samplepoints": {"OUTPUT": "points.geojson"},
    "accuracy": {"OUTPUT_HTML": "accuracy.html"},
    "mergeclasses": {"OUTPUT": "merged.tif"},
    "composite": {"OUTPUT": "composite.tif"},
    "change": {"OUTPUT": "change.tif"},
    "pretrain": {"OUTPUT": "backbone.safetensors"},
    "finetune": {"OUTPUT": "model.safetensors"},
    "checkenvironment": {"OUTPUT_HTML": "environment.html"},
    "hectares": {"measure:Land-cover polygons": "patches.gpkg", "sort:Hectares per class and zone": "hectares.csv"},
    "checkedmap": {
        "composite:Composite": "mean.tif",
        "segment:Land cover by the model": "mean_map.tif",
        "attention:Attention": "mean_attention.tif",
        "classify:Land cover from labelled areas": "own_map.tif",
        "accuracy:Accuracy report": "own_map.html",
    },
}


def middle_of(labels: str) -> str:
    """The middle of the place, in its CRS, as Processing takes a point."""
    dataset = gdal.Open(labels)
    x0, dx, _, y0, _, dy = dataset.GetGeoTransform()
    return f"{x0 + dx * dataset.RasterXSize / 2},{y0 + dy * dataset.RasterYSize / 2}"


def marks(labels: str) -> str:
    """A point in the middle of the place, as a file beside the labels."""
    path = Path(labels).with_name("marks.geojson")
    middle = [float(part) for part in middle_of(labels).split(",")]
    crs = {"type": "name", "properties": {"name": "EPSG:32633"}}
    feature = {
        "type": "Feature",
        "properties": {"kind": "middle"},
        "geometry": {"type": "Point", "coordinates": middle},
    }
    path.write_text(json.dumps({"type": "FeatureCollection", "crs": crs, "features": [feature]}), encoding="utf-8")
    return str(path)


def inputs(name: str, scene: str, labels: str) -> dict[str, Any]:
    """The parameters that are no outputs; the labels serve as a class map, too."""
    table = [10, 1, "wood", "#1b7837", 30, 2, "", ""]
    return {
        "segment": {"INPUT": [scene]},
        "classify": {"INPUT": [scene], "TRAINING": areas(scene), "FIELD": "cover", "FEATURES": ["bands", "filtered"]},
        "attention": {"INPUT": [scene], "HEADS": "mean"},
        "explore": {"INPUT": [scene], "AT": middle_of(labels), "MODE": "attention", "HEAD": "2"},
        "embeddings": {"INPUT": [scene]},
        "cluster": {"INPUT": [scene], "CLUSTERS": 3},
        "similarity": {"INPUT": [scene], "REFERENCES": marks(labels)},
        "preflight": {"INPUT": [scene]},
        "samplepoints": {"CLASSIFIED": labels, "SIZE": 40, "MINIMUM": 2},
        "accuracy": {"CLASSIFIED": labels, "REFERENCE": labels},
        "mergeclasses": {"CLASSIFIED": labels, "CLASSES": table},
        "composite": {"INPUT": [scene], "DATES": "2024-06-18"},
        "change": {"BEFORE": dated(scene, 3), "AFTER": [scene], "DATES": "2024-06-06 2024-06-18 2024-06-30 2024-07-12"},
        "pretrain": {
            "IMAGES": [scene],
            "CONFIG": "pretrain-tiny",
            "SETTINGS": f"{_STEPS} optimiser.freeze_last_layer=1",
        },
        "finetune": {
            "IMAGES": [scene],
            "LABELS": [labels],
            "INIT_MODEL": "scratch",
            "CONFIG": "finetune-tiny",
            "SETTINGS": _STEPS,
        },
        "checkenvironment": {},
        "hectares": {"MAP": labels},
        "checkedmap": {
            "INPUT": dated(scene, 2),
            "DATES": "2024-06-06 2024-06-18",
            "TRAINING": areas(scene),
            "FIELD": "cover",
            "REFERENCE": areas(scene),
            "REFERENCE_FIELD": "cover",
        },
    }[name]


def dated(scene: str, count: int) -> list[str]:
    """Copies of the scene: dates between which nothing has changed."""
    copies = [Path(scene).with_name(f"earlier{number}.tif") for number in range(count)]
    for path in copies:
        if not path.exists():
            shutil.copy(scene, path)
    return [str(path) for path in copies]


def areas(scene: str) -> str:
    """A file beside the scene with two squares in each half, whatever they cover."""
    layer = QgsRasterLayer(scene)
    box, path = layer.extent(), Path(scene).with_name("areas.geojson")
    features = []
    for x, y in product((0.1, 0.6), (0.1, 0.6)):
        left, bottom = box.xMinimum() + x * box.width(), box.yMinimum() + y * box.height()
        square = QgsGeometry.fromRect(QgsRectangle(left, bottom, left + 0.2 * box.width(), bottom + 0.2 * box.height()))
        properties = {"cover": "left" if x < 0.5 else "right"}
        features.append({"type": "Feature", "properties": properties, "geometry": json.loads(square.asJson(6))})
    crs = {"type": "name", "properties": {"name": layer.crs().authid()}}
    path.write_text(json.dumps({"type": "FeatureCollection", "crs": crs, "features": features}), encoding="utf-8")
    return str(path)


def outputs(name: str, folder: Path) -> dict[str, str]:
    """Where its outputs go."""
    return {parameter: str(folder / file) for parameter, file in OUTPUTS[name].items()}
