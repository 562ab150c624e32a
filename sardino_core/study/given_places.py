"""One's own rasters and the real tiles as places. No torch.

A place is ground: scenes that overlap or lie near each other are of one, and never lie on two sides of a split.
"""

from __future__ import annotations

import glob
import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from sardino_core.contract.errors import InputMissing, SettingInvalid
from sardino_core.study.config import PlacesConfig, StudyConfig
from sardino_core.study.places import Place, Role, count, doubled, with_seen
from sardino_core.training.settings.finetune_config import FinetuneConfig, SourceConfig, load_config
from sardino_core.training.windows.ground import places_of
from sardino_core.training.windows.sources import LabelledScene, SceneStore, short_name

_LEAST = 3  # places: one to train, one to validate, one to test
_REAL = "finetune-starter"  # its sources say how real tiles and their labels are read


def given_places(config: StudyConfig) -> tuple[Place, ...]:
    """One's own places, divided at random. Raises SettingInvalid when they are too few to be divided."""
    names = [source.name for source in config.finetune.sources]
    if len(set(names)) < len(names):
        raise SettingInvalid(f"Two of finetune.sources have one name: {', '.join(names)}.", "Give each its own.")
    places, wanted = _places(config.finetune, config.places.apart_m), config.places
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
    found = _places(replace(finetune, sources=usable, paths=paths), apart_m=0.0)  # none of them trains
    return tuple(replace(place, name=f"real {place.name}", role="real") for place in found)


def _places(config: FinetuneConfig, apart_m: float) -> list[Place]:
    """All scenes of all sources, those that overlap or are near as one place, in the order of their first scenes."""
    with SceneStore(config) as store:
        scenes = store.scenes
    groups: dict[int, list[LabelledScene]] = {}
    for scene, number in zip(scenes, places_of([scene.grid for scene in scenes], apart_m).tolist(), strict=True):
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
    least = wanted.validation + wanted.test + 1
    near = f"images within {wanted.apart_m:g} m of each other (places.apart_m) are of one place"
    need = f"Give {least} places or more: 1 to train, {wanted.validation} to validate and {wanted.test} to test"
    lower = f"; {_LEAST} are enough with places.validation and places.test 1 each" if least > _LEAST else ""
    if len(places) == 1:
        raise SettingInvalid(
            f"The images show a single place, {places[0].name}: no geographic split is possible; {near}.",
            f"{need}{lower}.",
        )
    if len(places) < least:
        raise SettingInvalid(
            f"The images show {count(len(places), 'place')}, which leaves none to train; {near}.", f"{need}{lower}."
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
