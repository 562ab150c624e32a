"""One cell from its labels to what it says of other places: the same steps for every arm."""

from __future__ import annotations

from dataclasses import replace

from sardino_core.contract.listener import Listener
from sardino_core.study.arms.asking import Fit
from sardino_core.study.cells import CellJob
from sardino_core.study.records import Outcome
from sardino_core.training.landcover.plan import fraction_used, gather
from sardino_core.training.landcover.scores import Confusion
from sardino_core.training.windows.sources import SceneStore


def run_cell(job: CellJob, listener: Listener) -> Outcome:
    """Gather the labels, fit the arm, look at the places. Raises SardinoError."""
    with gather(job.config, job.init, listener) as found:
        ask = _fitter(job.arm.kind)(job, found, listener)
        sets, used = found.store.sets, found.census.used
        labels = {item.name: int(used[sets.number([item.value])]) for item in sets.classes}
        places = len({item.scene.labels for item in found.census.training if item.chosen.any()})
        share = fraction_used(found.census)
    settings = replace(found.config, sources=job.evaluate, label_fraction=1.0)
    with SceneStore(settings) as store:
        confusions: dict[str, Confusion] = {}
        for piece in ask(store, settings):
            confusion = confusions.setdefault(piece.scene.source.name, Confusion.empty(store.sets))
            confusion.add(piece.target, piece.predicted)
        members = tuple(tuple(sorted(allowed)) for allowed in store.sets.members)
    counts = {name: tuple(map(tuple, item.counts.tolist())) for name, item in confusions.items() if item.counts.any()}
    return Outcome(labels, share, places, members, counts)


def _fitter(kind: str) -> Fit:
    """Imported when needed: the forest needs no torch, the networks no scikit-learn."""
    if kind == "forest":
        from sardino_core.study.arms.forest import fit_forest

        return fit_forest
    from sardino_core.study.arms.networks import fit_network

    return fit_network
