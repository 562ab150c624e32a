"""One way from a raster to a map and its confidence, in a process of its own: what `make bench` sets side by side.

    python ways.py WAY MODEL RASTER OUTPUT REPORT

Writes OUTPUT (the map; OUTPUT.confidence.tif beside it) and, as JSON, the seconds from before the raster is opened to
after the files are closed into REPORT. Imports are not counted. `segment` is counted with the loading of its model, the
others are not, and have computed one batch before. Every way has the network, the windows' size and the overlap of
`segment`; what else a library has to be told is as it comes. Runs in the peers' environment, too (peers.txt).
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.windows import Window

from sardino_core.contract.jobs import SEGMENT_OVERLAP, RunOptions, SceneOptions, SegmentJob
from sardino_core.contract.listener import Listener
from sardino_core.contract.model_spec import ModelSpec
from sardino_core.models.model_file import load_weights, read_spec, resolve_model
from sardino_core.models.outputs import batch_on_cpu

Floats = NDArray[np.float32]


def main() -> None:
    """Prepare, and time."""
    way, model, raster, output, report = sys.argv[1:]
    work = WAYS[way](model, raster, output)
    started = time.perf_counter()
    work()
    Path(report).write_text(json.dumps(time.perf_counter() - started), encoding="utf-8")


def segment(model: str, raster: str, output: str) -> Callable[[], object]:
    """Ours."""
    from sardino_core.inference import segment as run

    scene, options = SceneOptions((raster,)), RunOptions(model)
    return lambda: run(SegmentJob(scene, options, output, confidence=_confidence(output), abstain=False))


def bare(model: str, raster: str, output: str) -> Callable[[], object]:
    """The predictor alone, over windows that lie ready: nothing is read, blended or written."""
    predictor, windows, batch = _ready(model, raster)
    return lambda: [predictor.segment(windows[start : start + batch]) for start in range(0, len(windows), batch)]


def onnxruntime(model: str, raster: str, output: str) -> Callable[[], object]:
    """ONNX Runtime alone over the same windows: logits, with its own defaults and without a softmax."""
    import onnxruntime as ort

    from sardino_core.models.export_file import LOGITS, WINDOWS, export_path

    _, windows, batch = _ready(model, raster)
    path = resolve_model(model)
    weights = load_weights(path)
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.add_external_initializers(list(weights), [ort.OrtValue.ortvalue_from_numpy(x) for x in weights.values()])
    session = ort.InferenceSession(export_path(path).read_bytes(), options, providers=["CPUExecutionProvider"])
    session.run([LOGITS], {WINDOWS: windows[:batch]})
    return lambda: [
        session.run([LOGITS], {WINDOWS: windows[start : start + batch]}) for start in range(0, len(windows), batch)
    ]


def loop(model: str, raster: str, output: str) -> Callable[[], object]:
    """rasterio and torch as one writes them down: read a window, forward, add up in memory, divide, write."""
    spec, forward, batch = _network(model)

    def work() -> None:
        with rasterio.open(raster) as source:
            height, width = source.shape
            places = [(r, c) for r in _starts(height, spec.window) for c in _starts(width, spec.window)]
            sums, counts = np.zeros((len(spec.classes), height, width), np.float32), np.zeros((height, width), np.int32)
            for start in range(0, len(places), batch):
                part = places[start : start + batch]
                read = [source.read(window=Window(c, r, spec.window, spec.window)) for r, c in part]
                for (r, c), found in zip(part, forward(_standardised(np.stack(read), spec)), strict=True):
                    sums[:, r : r + spec.window, c : c + spec.window] += found
                    counts[r : r + spec.window, c : c + spec.window] += 1
            _write(source, sums / counts, spec, output)

    return work


def torchgeo(model: str, raster: str, output: str) -> Callable[[], object]:
    """TorchGeo's dataset, grid sampler and loader; it leaves the putting together to its user."""
    from torch.utils.data import DataLoader
    from torchgeo.datasets import RasterDataset, stack_samples
    from torchgeo.samplers import GridGeoSampler

    spec, forward, batch = _network(model)

    def work() -> None:
        dataset = RasterDataset([raster])
        sampler = GridGeoSampler(dataset, size=spec.window, stride=_stride(spec.window))
        with rasterio.open(raster) as source:
            # The sampler's windows may reach over the raster's edge: a margin takes what lies there.
            margin, height, width = spec.window, *source.shape
            shape = height + 2 * margin, width + 2 * margin
            sums, counts = np.zeros((len(spec.classes), *shape), np.float32), np.zeros(shape, np.int32)
            for sample in DataLoader(dataset, batch_size=batch, sampler=sampler, collate_fn=stack_samples):
                predicted = forward(_standardised(sample["image"].numpy(), spec))
                for (x, y, _), found in zip(sample["bounds"], predicted, strict=True):
                    row, col = (round(value) + margin for value in source.index(x.start, y.stop, op=float))
                    sums[:, row : row + spec.window, col : col + spec.window] += found
                    counts[row : row + spec.window, col : col + spec.window] += 1
            inside = slice(margin, margin + height), slice(margin, margin + width)
            _write(source, sums[:, *inside] / counts[inside], spec, output)

    return work


def terratorch(model: str, raster: str, output: str) -> Callable[[], object]:
    """TerraTorch's tiled inference of a whole raster in memory."""
    import torch
    from terratorch.tasks.tiled_inference import tiled_inference

    spec, forward, batch = _network(model)

    def work() -> None:
        with rasterio.open(raster) as source:
            whole = torch.from_numpy(_standardised(source.read()[None], spec))
            found = tiled_inference(
                lambda x, **_: torch.from_numpy(forward(x.numpy())),
                whole,
                len(spec.classes),
                crop=spec.window,
                stride=_stride(spec.window),
                batch_size=batch,
            )
            _write(source, found[0].numpy(), spec, output)

    return work


def monai(model: str, raster: str, output: str) -> Callable[[], object]:
    """MONAI's sliding windows over a whole raster in memory, with its Gaussian weights."""
    import torch
    from monai.inferers import sliding_window_inference

    spec, forward, batch = _network(model)

    def work() -> None:
        with rasterio.open(raster) as source:
            whole = torch.from_numpy(_standardised(source.read()[None], spec))
            found = sliding_window_inference(
                whole,
                (spec.window, spec.window),
                batch,
                lambda x: torch.from_numpy(forward(x.numpy())),
                overlap=SEGMENT_OVERLAP,
                mode="gaussian",
            )
            _write(source, found[0].numpy(), spec, output)

    return work


WAYS: dict[str, Callable[[str, str, str], Callable[[], object]]] = {
    way.__name__: way for way in (segment, bare, onnxruntime, loop, torchgeo, terratorch, monai)
}


def _ready(model: str, raster: str) -> tuple[Any, Floats, int]:
    """The predictor, warm, the windows (N, C, S, S) that `segment` would give it, and how many at once."""
    from sardino_core.pipeline import open_session
    from sardino_core.raster.scaling import standardise
    from sardino_core.raster.strips import read_tiles

    with open_session(SceneOptions((raster,)), RunOptions(model), Listener()) as session:
        inputs = session.spec.inputs
        windows = np.stack(
            [
                standardise(item.backscatter_db, item.valid, inputs.bands, inputs.clip_db)
                for item in read_tiles(session.scene, session.plan)
            ]
        )
    session.predictor.segment(windows[: session.batch])
    return session.predictor, windows, session.batch


def _network(model: str) -> tuple[ModelSpec, Callable[[Floats], Floats], int]:
    """The network on torch, warm: windows (B, C, S, S) to probabilities (B, K, S, S); and how many at once."""
    import torch

    from sardino_core.models.network import build

    path = resolve_model(model)
    spec = read_spec(path)
    network = build(spec, load_weights(path)).eval()
    batch = batch_on_cpu(spec)

    def forward(windows: Floats) -> Floats:
        with torch.inference_mode():
            logits = network(torch.from_numpy(windows)) / spec.calibration.temperature
            return np.asarray(logits.softmax(dim=1).numpy())

    forward(np.zeros((batch, len(spec.inputs.bands), spec.window, spec.window), np.float32))
    return spec, forward, batch


def _standardised(db: Floats, spec: ModelSpec) -> Floats:
    """(B, C, h, w) in dB to what the network takes."""
    mean, std = (
        np.array([getattr(band, name) for band in spec.inputs.bands], np.float32)[:, None, None]
        for name in ("mean_db", "std_db")
    )
    return np.asarray(np.nan_to_num((np.clip(db, *spec.inputs.clip_db) - mean) / std), np.float32)


def _stride(window: int) -> int:
    return int(window * (1 - SEGMENT_OVERLAP))


def _starts(length: int, window: int) -> Iterator[int]:
    """Where windows start; the last one ends at the edge."""
    yield from range(0, length - window, _stride(window))
    yield length - window


def _write(source: Any, probabilities: Floats, spec: ModelSpec, output: str) -> None:
    """Map and confidence of the whole raster, in the layout that `segment` writes."""
    values = np.array([item.value for item in spec.classes], np.uint8)
    profile = {**source.profile, "count": 1, "tiled": True, "blockxsize": 256, "blockysize": 256, "compress": "deflate"}
    profile.pop("interleave", None)
    for path, rows, nodata, predictor in (
        (output, values[probabilities.argmax(axis=0)], 0, 2),
        (_confidence(output), probabilities.max(axis=0), np.nan, 3),
    ):
        with rasterio.open(
            path, "w", **profile | {"dtype": rows.dtype, "nodata": nodata, "predictor": predictor}
        ) as file:
            file.write(rows, 1)


def _confidence(output: str) -> str:
    return f"{output}.confidence.tif"


if __name__ == "__main__":
    main()
