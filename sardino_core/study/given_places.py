"""One's own rasters and the real tiles as places. No torch.

A place is ground: scenes that overlap are dates of one, and never lie on two sides of a split. Neighbours that only
touch are places of their own.
"""

from __future__ import annotations

import glob
import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rasterio.crs import CRS

from sardino_core.contract.errors import AreaOutside, InputMissing, SettingInvalid
from sardino_core.raster.grid import RasterGrid
from sardino_core.study.config import PlacesConfig, StudyConfig
from sardino_core.study.places import Place, Role, doubled, with_seen
from sardino_core.training.settings.finetune_config import FinetuneConfig, SourceConfig, load_config
from sardino_core.training.windows.sources import LabelledScene, SceneStore, short_name

_LEAST = 3  # places: one to train, one to validate, one to test
_REAL = "finetune-starter"  # its sources say how real tiles and their labels are read
_EDGE = 0.01  # of a scene's side


def given_places(config: StudyConfig) -> tuple[Place, ...]:
    """One's own places, divided at random. Raises SettingInvalid when they are too few to be divided."""
    names = [source.name for source in config.finetune.sources]
    if len(set(names)) < len(names):
        raise SettingInvalid(f"Two of finetune.sources have one name: {', '.join(names)}.", "Give each its own.")
    places, wanted = _places(config.finetune), config.places
    _require_enough(places, wanted)
    numbers: dict[Role, int] = {"validation": wanted.validation, "test": wanted.test}
    numbers["train"] = len(places) - sum(numbers.values())
    roles = [role for role, number in numbers.items() for _ in range(number)]
    order = np.random.default_rng(wanted.seed).permutation(len(places))
    drawn = [replace(place, role=roles[order[index]]) for index, place in enumerate(places)]
    return with_seen(drawn, wanted.seen)


def real_places(folder: str, finetune: FinetuneConfig) -> tuple[Place, ...]:
    """Test places from a folder of real tiles, where their labels say anything about the study's classes.

    Raises InputMissing when the folder holds none of the tiles that are known.
    """
    paths = {"real": glob.escape(str(Path(folder).expanduser().absolute()))}
    sources = [_restricted(source, finetune, paths) for source in load_config(_REAL).sources]
    usable = tuple(source for source in sources if source.images and source.labels and source.mapping)
    if not usable:
        raise InputMissing(
            f"{folder} holds none of the real tiles that configs/{_REAL}.yaml names.", "Check `real`, or leave it out."
        )
    found = _places(replace(finetune, sources=usable, paths=paths))
    return tuple(replace(place, name=f"real {place.name}", role="real") for place in found)


def together(grids: Sequence[RasterGrid]) -> NDArray[np.int64]:
    """(N,): grids that overlap, directly or through others, get one number; without a CRS each has its own."""
    systems = {grid.crs.to_wkt(): grid.crs for grid in grids if grid.crs is not None}
    boxes = {wkt: np.array([_box(grid, crs) for grid in grids]) for wkt, crs in systems.items()}  # each (N, 4)
    found = np.arange(len(grids))
    for index, grid in enumerate(grids):
        if grid.crs is None:
            continue
        own = boxes[grid.crs.to_wkt()]
        (west, south, east, north), before = own[index], own[:index]
        meets = (before[:, 0] < east) & (west < before[:, 2]) & (before[:, 1] < north) & (south < before[:, 3])
        touched = np.unique(found[:index][meets])
        found[np.isin(found, touched)] = index
    return np.unique(found, return_inverse=True)[1]


def _places(config: FinetuneConfig) -> list[Place]:
    """All scenes of all sources, those that overlap as one place, in the order of their first scenes."""
    with SceneStore(config) as store:
        scenes = store.scenes
    groups: dict[int, list[LabelledScene]] = {}
    for scene, number in zip(scenes, together([scene.grid for scene in scenes]).tolist(), strict=True):
        groups.setdefault(number, []).append(scene)
    places: dict[str, Place] = {}
    for group in groups.values():
        name = short_name(group[0].images[0])
        place = Place(name if name not in places else f"{name} {len(places)}", "train", _source(group), stamp="")
        places[place.name] = replace(place, stamp=_stamp(group))
    return list(places.values())


def _source(group: Sequence[LabelledScene]) -> SourceConfig:
    """The first scene's source with this place's files: dates of one place are taken to be labelled alike."""
    images = dict.fromkeys(path for scene in group for path in scene.images)
    labels = dict.fromkeys(path for scene in group for path in scene.labels)
    return replace(
        group[0].source,
        images=tuple(_pattern(path) for path in images),
        labels=tuple(_pattern(path) for path in labels),
        hold_out=0.0,
    )


def _pattern(path: Path) -> str:
    return doubled(glob.escape(str(path.absolute())))


def _stamp(group: Sequence[LabelledScene]) -> str:
    files = sorted({path for scene in group for path in (*scene.images, *scene.labels)})
    told = "|".join(f"{path.name} {path.stat().st_size} {path.stat().st_mtime_ns}" for path in files)
    return hashlib.sha256(told.encode()).hexdigest()


def _require_enough(places: Sequence[Place], wanted: PlacesConfig) -> None:
    if len(places) == 1:
        raise SettingInvalid(
            f"The images show a single place, {places[0].name}: no geographic split is possible.",
            f"Give {_LEAST} places or more: one to train, one to validate and one to test at least.",
        )
    if len(places) < wanted.validation + wanted.test + 1:
        raise SettingInvalid(
            f"The images show {len(places)} places; places.validation is {wanted.validation} and places.test is "
            f"{wanted.test}, which leaves none to train.",
            f"Lower both, and give {_LEAST} places or more.",
        )


def _restricted(source: SourceConfig, finetune: FinetuneConfig, paths: dict[str, str]) -> SourceConfig:
    """A source of the starter with what there is in the folder, and with labels of the study's classes alone."""
    known = {item.value for item in finetune.classes}
    images, labels = (
        tuple(item for item in globs if "{real}" in item and glob.glob(item.format_map(paths)))  # noqa: PTH207
        for globs in (source.images, source.labels)
    )
    mapping = {value: allowed for value, allowed in source.mapping.items() if known.issuperset(allowed)}
    ignore = (*source.ignore, *(value for value in source.mapping if value not in mapping))
    return replace(source, images=images, labels=labels, mapping=mapping, ignore=ignore)


def _box(grid: RasterGrid, crs: CRS) -> tuple[float, float, float, float]:
    """West, south, east and north in a CRS, less a hundredth: tiles that share an edge do not overlap."""
    if grid.crs is None:
        return (np.nan,) * 4  # overlaps nothing
    try:
        bounds = grid.bounds if grid.crs == crs else grid.bounds_in(crs)
    except AreaOutside:
        return (np.nan,) * 4
    x, y = _EDGE * (bounds.xmax - bounds.xmin), _EDGE * (bounds.ymax - bounds.ymin)
    return bounds.xmin + x, bounds.ymin + y, bounds.xmax - x, bounds.ymax - y
