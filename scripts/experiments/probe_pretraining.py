"""What a pre-trained backbone's tokens know about land cover, against the same backbone with random weights.

    python scripts/experiments/probe_pretraining.py --model run/model.safetensors --train 'train_*' --test 'val_*'

Folders hold scene.tif and labels.tif as `sardino simulate` writes them. Tokens of whole windows, one label per patch
(its majority), a linear probe and k nearest neighbours fitted on the training places, scored on the others: mIoU and
accuracy from one confusion matrix. Mean and deviation of a patch's backscatter are probed beside them. Simulated scenes
are evidence for the machinery alone.
"""

from __future__ import annotations

import glob
import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
import rasterio
import torch
from torch import Tensor

from sardino_core.contract.model_spec import ModelSpec
from sardino_core.models.model_file import load_weights, read_spec
from sardino_core.models.network import build, random_network
from sardino_core.raster.scaling import standardise
from sardino_core.training.dino.token_probe import Samples, probe, statistics, tokens_of

CLASSES = {
    80: 0,
    10: 1,
    95: 1,
    50: 2,
    20: 3,
    30: 3,
    40: 3,
    90: 3,
    60: 4,
}  # WorldCover to water, trees, built, low, bare
NAMES = ("water", "trees", "built-up", "low vegetation", "bare")


def main() -> int:
    """Print one line per backbone and probe."""
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, nargs="+", help="pre-trained model files of one architecture")
    parser.add_argument("--train", required=True, help="glob of folders whose labels fit the probes")
    parser.add_argument("--test", required=True, help="glob of folders that score them")
    parser.add_argument("--every", type=int, default=3, help="use every nth window of the training places")
    arguments = parser.parse_args()
    spec = read_spec(arguments.model[0])
    train, test = read(arguments.train, spec, arguments.every), read(arguments.test, spec, 1)
    print(f"{len(train.windows)} windows to fit on, {len(test.windows)} to score; classes: {', '.join(NAMES)}")
    seeds = range(len(arguments.model))
    report("backscatter", [probe(train, test, lambda x: statistics(x, spec.backbone.patch))])
    report("random", [probe(train, test, tokens_of(random_network(spec, seed))) for seed in seeds])
    trained = [build(read_spec(path), load_weights(path)) for path in arguments.model]
    report("pre-trained", [probe(train, test, tokens_of(network)) for network in trained])
    return 0


def read(pattern: str, spec: ModelSpec, every: int) -> Samples:
    """All windows side by side of the folders that match."""
    folders = sorted(glob.glob(pattern))  # noqa: PTH207  # takes absolute patterns
    found = [pair for folder in folders for pair in _windows(Path(folder), spec)][::every]
    return Samples(torch.stack([pair[0] for pair in found]), torch.stack([pair[1] for pair in found]))


def report(name: str, runs: list[dict[str, float]]) -> None:
    """Mean over the runs, and their range where there are several."""
    for key in runs[0]:
        values = [run[key] for run in runs]
        spread = f"  ({', '.join(f'{value:.3f}' for value in values)})" if len(values) > 1 else ""
        print(f"{name:12s} {key:16s} {np.mean(values):.3f}{spread}")


def _windows(folder: Path, spec: ModelSpec) -> Iterator[tuple[Tensor, Tensor]]:
    with rasterio.open(folder / "scene.tif") as dataset:
        db = dataset.read()
    with rasterio.open(folder / "labels.tif") as dataset:
        codes = dataset.read(1)
    valid = np.isfinite(db).all(axis=0)
    x = torch.from_numpy(standardise(np.nan_to_num(db), valid, spec.inputs.bands, spec.inputs.clip_db))
    side = spec.window
    for row in range(0, x.shape[1] - side + 1, side):
        for col in range(0, x.shape[2] - side + 1, side):
            rows, cols = slice(row, row + side), slice(col, col + side)
            yield x[:, rows, cols], _majority(codes[rows, cols], spec.backbone.patch)


def _majority(codes: np.ndarray, patch: int) -> Tensor:
    """(S, S) codes to the class of more than half of each patch's pixels (N,), or -1."""
    side = codes.shape[0] // patch
    counts = np.zeros((len(NAMES), side * side))
    for code, index in CLASSES.items():
        counts[index] += (codes == code).reshape(side, patch, side, patch).sum(axis=(1, 3)).ravel()
    return torch.from_numpy(np.where(counts.max(axis=0) > patch * patch / 2, counts.argmax(axis=0), -1))


if __name__ == "__main__":
    raise SystemExit(main())
