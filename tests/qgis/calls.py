"""A call of every algorithm, small enough for tests: what goes in, and what must come out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from osgeo import gdal

TRAINING = {"pretrain", "finetune"}
_STEPS = "optimiser.steps=2 optimiser.batch_size=2 optimiser.warm_up=1"
OUTPUTS = {
    "segment": {"OUTPUT": "map.tif"},
    "attention": {"OUTPUT": "attention.tif"},
    "embeddings": {"OUTPUT": "embeddings.tif"},
    "cluster": {"OUTPUT": "clusters.tif", "SAVE_CODEBOOK": "codebook.json"},
    "similarity": {"OUTPUT": "similarity.tif"},
    "preflight": {"OUTPUT_HTML": "preflight.html"},
    "samplepoints": {"OUTPUT": "points.geojson"},
    "accuracy": {"OUTPUT_HTML": "accuracy.html"},
    "mergeclasses": {"OUTPUT": "merged.tif"},
    "pretrain": {"OUTPUT": "backbone.safetensors"},
    "finetune": {"OUTPUT": "model.safetensors"},
    "checkenvironment": {"OUTPUT_HTML": "environment.html"},
    "hectares": {"measure:Land-cover polygons": "patches.gpkg", "sort:Hectares per class and zone": "hectares.csv"},
}


def marks(labels: str) -> str:
    """A point in the middle of the place, as a file beside the labels."""
    path = Path(labels).with_name("marks.geojson")
    dataset = gdal.Open(labels)
    x0, dx, _, y0, _, dy = dataset.GetGeoTransform()
    middle = [x0 + dx * dataset.RasterXSize / 2, y0 + dy * dataset.RasterYSize / 2]
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
        "attention": {"INPUT": [scene], "HEADS": "mean"},
        "embeddings": {"INPUT": [scene]},
        "cluster": {"INPUT": [scene], "CLUSTERS": 3},
        "similarity": {"INPUT": [scene], "REFERENCES": marks(labels)},
        "preflight": {"INPUT": [scene]},
        "samplepoints": {"CLASSIFIED": labels, "SIZE": 40, "MINIMUM": 2},
        "accuracy": {"CLASSIFIED": labels, "REFERENCE": labels},
        "mergeclasses": {"CLASSIFIED": labels, "CLASSES": table},
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
    }[name]


def outputs(name: str, folder: Path) -> dict[str, str]:
    """Where its outputs go."""
    return {parameter: str(folder / file) for parameter, file in OUTPUTS[name].items()}
