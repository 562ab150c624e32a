"""`make demo`: from a scene to maps and one overview picture, by the same commands that a user would type."""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from pathlib import Path

from overview import draw_overview

from sardino_core.cli import main as sardino


def main() -> int:
    """Run the commands in order; the first that fails ends the demo with its message and status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("demo"), help="folder for everything that is made")
    parser.add_argument("--input", type=Path, help="your own Sentinel-1 raster; default: a simulated scene")
    parser.add_argument("--size", type=int, default=1024, help="pixels per side of the simulated scene")
    parser.add_argument("--seed", type=int, default=7, help="another seed is another place")
    arguments = parser.parse_args()
    out: Path = arguments.output
    out.mkdir(parents=True, exist_ok=True)

    labels: Path | None = None
    scene: Path = arguments.input
    started = time.monotonic()
    if scene is None:
        simulate = ["simulate", "--output", str(out), "--size", str(arguments.size), "--seed", str(arguments.seed)]
        if status := _run(simulate):
            return status
        scene, labels = out / "scene.tif", out / "labels.tif"
    land_cover, confidence = out / "landcover.tif", out / "confidence.tif"
    attention, tokens = out / "attention.tif", out / "tokens.tif"
    model = ["--model", "starter", "--output"]
    for command in (
        ["segment", str(scene), *model, str(land_cover), "--confidence", str(confidence)],
        ["attention", str(scene), *model, str(attention)],
        ["embed", str(scene), *model, str(tokens), "--components", "3"],
    ):
        if status := _run(command):
            return status
    picture = draw_overview(out / "overview.png", scene, land_cover, confidence, attention, tokens, labels)
    print(
        f"\nDone in {time.monotonic() - started:.0f} s. Look at {picture}; {land_cover} opens in QGIS with its legend."
    )
    return 0


def _run(command: list[str]) -> int:
    print(f"\n$ sardino {shlex.join(command)}", flush=True)
    return sardino(command)


if __name__ == "__main__":
    sys.exit(main())
