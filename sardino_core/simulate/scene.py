"""Write a simulated scene as GeoTIFFs, block row by block row: memory does not grow with the scene's height.

A simulated scene is for tests, demonstrations and benchmarks. It is evidence of nothing, and its tags say so.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from rasterio.crs import CRS
from rasterio.enums import ColorInterp
from rasterio.errors import RasterioError, RasterioIOError
from rasterio.windows import Window

from sardino_core.contract.errors import Cancelled, OutputUnwritable
from sardino_core.contract.jobs import SimulateJob
from sardino_core.contract.model_spec import SEASONS
from sardino_core.raster.block_cache import bounded_cache
from sardino_core.raster.grid import PixelWindow, RasterGrid
from sardino_core.raster.writing.staging import staged
from sardino_core.raster.writing.writer import check_complete
from sardino_core.simulate.geometry import Orbit
from sardino_core.simulate.noise import Float, salt_of
from sardino_core.simulate.place import place_of
from sardino_core.simulate.relief import SPACING_M
from sardino_core.simulate.render import Block, World, render

Report = Callable[[float, str], None]
BLOCK_PX = 512  # the GeoTIFF's tile
_THREADS = 2  # numpy leaves the interpreter lock for most of the work
NOTICE = "Simulated Sentinel-1 scene for tests, demonstrations and benchmarks. Not an observation; not evidence."

# ESA WorldCover's own names and colours (Product User Manual v2.0).
WORLDCOVER: dict[int, tuple[str, tuple[int, int, int]]] = {
    10: ("Tree cover", (0, 100, 0)),
    20: ("Shrubland", (255, 187, 34)),
    30: ("Grassland", (255, 255, 76)),
    40: ("Cropland", (240, 150, 255)),
    50: ("Built-up", (250, 0, 0)),
    60: ("Bare / sparse vegetation", (180, 180, 180)),
    80: ("Permanent water bodies", (0, 100, 200)),
    90: ("Herbaceous wetland", (0, 150, 160)),
}


def simulate_arrays(
    size: int,
    seed: int = 0,
    orbit: Orbit = "descending",
    season: str = "summer",
    row: int = 0,
    col: int = 0,
) -> tuple[Float, np.ndarray]:
    """A square cut of a simulated place, in memory.

    Returns sigma0 in dB, (2, size, size) float32 in the order VV, VH, and the WorldCover codes, (size, size) uint8.
    `row` and `col` are the place's coordinates of the upper left pixel: other cuts of one seed join without a seam.
    """
    block = render(PixelWindow(row, col, size, size), World(seed, orbit, (season,)))
    return block.sigma0_db, block.labels


def simulate_scene(
    job: SimulateJob,
    report: Report | None = None,
    cancelled: Callable[[], bool] | None = None,
    swath_edge: bool = False,
) -> dict[str, Path]:
    """Write `scene.tif`, `labels.tif` and `layover_shadow.tif` into the folder `job.output`, which is made if missing.

    `report` gets a fraction in 0..1 and a message; `cancelled` is asked after every block. `swath_edge` gives the scene
    an oblique edge without data. Returns the files by role. Raises OutputUnwritable and Cancelled; both leave no file.
    """
    seasons = SEASONS if job.all_seasons else (job.season,)
    world = World(job.seed, job.orbit, seasons, swath_edge, job.size, job.take)
    folder = _made(Path(job.output))
    files = {role: folder / f"{role}.tif" for role in ("scene", "labels", "layover_shadow")}
    windows = list(_windows(job.size))
    # What GDAL keeps before writing must not depend on the machine's memory.
    with staged() as staging, bounded_cache():
        try:
            aside = {role: staging.path(path) for role, path in files.items()}
            with ExitStack() as stack:
                sinks = {role: stack.enter_context(_opened(path, role, job, seasons)) for role, path in aside.items()}
                for done, (window, block) in enumerate(_rendered(windows, world, cancelled), 1):
                    _write(sinks, window, block)
                    if report:
                        report(done / len(windows), f"simulated {done} of {len(windows)} blocks")
            for path in aside.values():
                check_complete(path)
        except (RasterioError, OSError) as error:
            raise OutputUnwritable(
                f"The scene could not be written to {folder} ({error}).", "Free some space, or choose another folder."
            ) from error
    return files


def grid_of(size: int, seed: int) -> RasterGrid:
    """Where a scene claims to lie: UTM zone 33 north, 10 m; the place does not exist."""
    west = 300_000.0 + SPACING_M * (salt_of(seed, 400) % 10_000)
    north = 5_400_000.0 + SPACING_M * (salt_of(seed, 401) % 20_000)
    transform = Affine(SPACING_M, 0.0, west, 0.0, -SPACING_M, north)
    return RasterGrid(size, size, transform, CRS.from_epsg(32633))


def _made(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputUnwritable(
            f"The output folder {folder} cannot be made ({error.strerror}).", "Choose another folder."
        ) from error
    return folder


def _windows(size: int) -> Iterator[PixelWindow]:
    for row in range(0, size, BLOCK_PX):
        for col in range(0, size, BLOCK_PX):
            yield PixelWindow(row, col, min(BLOCK_PX, size - row), min(BLOCK_PX, size - col))


def _rendered(
    windows: list[PixelWindow], world: World, cancelled: Callable[[], bool] | None
) -> Iterator[tuple[PixelWindow, Block]]:
    """Blocks in order, a few computed ahead."""
    ahead: deque[tuple[PixelWindow, Future[Block]]] = deque()
    waiting = iter(windows)
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="simulate") as pool:
        try:
            while True:
                while len(ahead) <= _THREADS and (window := next(waiting, None)) is not None:
                    ahead.append((window, pool.submit(render, window, world)))
                if not ahead:
                    return
                if cancelled and cancelled():
                    raise Cancelled("The simulation was stopped.")
                window, future = ahead.popleft()
                yield window, future.result()
        finally:
            for _, future in ahead:
                future.cancel()


def _write(sinks: dict[str, Any], window: PixelWindow, block: Block) -> None:
    place = Window(window.col, window.row, window.width, window.height)
    sinks["scene"].write(block.sigma0_db, window=place)
    sinks["labels"].write(block.labels, 1, window=place)
    sinks["layover_shadow"].write(block.layover_shadow, 1, window=place)


def _opened(path: Path, role: str, job: SimulateJob, seasons: tuple[str, ...]) -> Any:
    """A GeoTIFF open for writing, with everything but pixels set."""
    grid = grid_of(job.size, job.seed)
    profile: dict[str, Any] = {
        "driver": "GTiff", "width": grid.width, "height": grid.height, "crs": grid.crs, "transform": grid.transform,
        "tiled": True, "blockxsize": BLOCK_PX, "blockysize": BLOCK_PX, "compress": "deflate", "BIGTIFF": "IF_SAFER",
        "interleave": "band",
    }  # fmt: skip
    if role == "scene":
        profile |= {"count": 2 * len(seasons), "dtype": "float32", "nodata": float("nan"), "predictor": 3, "zlevel": 3}
    else:
        profile |= {"count": 1, "dtype": "uint8", "nodata": 0 if role == "labels" else None}
    try:
        sink = rasterio.open(path, "w", **profile)
    except RasterioIOError as error:
        raise OutputUnwritable(f"{path.name} cannot be created ({error}).", "Choose another folder.") from error
    _describe(sink, role, job, seasons)
    return sink


def _describe(sink: Any, role: str, job: SimulateJob, seasons: tuple[str, ...]) -> None:
    """Band names, colours and tags."""
    sink.update_tags(
        TIFFTAG_IMAGEDESCRIPTION=NOTICE,
        TIFFTAG_SOFTWARE="sardino simulate",
        SARDINO_SIMULATED="YES",
        SARDINO_SEED=str(job.seed),
        SARDINO_PLACE=place_of(job.seed).kind,
        SARDINO_ORBIT=job.orbit,
        SARDINO_TAKE=str(job.take),
        SARDINO_SEASONS=",".join(seasons),
    )
    if role == "scene":
        names = [f"{band}_{season}" if len(seasons) > 1 else band for season in seasons for band in ("VV", "VH")]
        for number, name in enumerate(names, 1):
            sink.set_band_description(number, name)
            sink.set_band_unit(number, "dB")
        sink.update_tags(SARDINO_UNITS="dB", SARDINO_RADIOMETRY="sigma0 ellipsoid")
    elif role == "labels":
        sink.set_band_description(1, "WorldCover class")
        sink.colorinterp = [ColorInterp.palette]
        table = {value: (*colour, 255) for value, (_, colour) in WORLDCOVER.items()}
        sink.write_colormap(1, {0: (0, 0, 0, 0), **table})
        sink.update_tags(1, **{f"CLASS_{value}": name for value, (name, _) in WORLDCOVER.items()})
    else:
        sink.set_band_description(1, "1 layover, 2 shadow, 3 both")
