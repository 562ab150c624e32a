"""What a probe is told, as `key=value` on the command line; every default is a choice that the report names."""

from __future__ import annotations

from dataclasses import dataclass

from sardino_core.contract.errors import SettingInvalid


@dataclass(frozen=True)
class ProbeConfig:
    """All settings; validated when made."""

    seed: int = 0
    source: str = ""  # only this source of the configuration; empty: all
    agree: float = 0.75  # of a patch's labelled pixels have its class, or the patch is left out as mixed
    labelled: float = 0.5  # of its pixels have a label, or it is left out
    windows: int = 400  # read and looked at, as many of every raster: bounds memory and the backbone's time
    patches: int = 4000  # of these windows, drawn by place and class: bounds the probes' time
    folds: int = 8  # up to so many places each is left out in turn; more are left out in so many groups
    inner_folds: int = 3  # within a training fold, for choosing heads and the regularisation
    dims: tuple[int, ...] = (8, 32)  # sizes to which PCA brings the feature sets, beside their own
    trees: int = 50
    balance: bool = True  # every class weighs the same in fitting: mIoU and F1 do not care how common a class is
    bins: int = 16  # of equal count, for the mutual information of one head's attention
    bootstrap: int = 2000  # draws of places for the intervals
    apart_m: float = 1000.0  # rasters nearer than this are of one place
    jobs: int = 1  # processor cores for growing trees

    def __post_init__(self) -> None:
        """Validate ranges; raises SettingInvalid naming the key."""
        _require("agree", self.agree, 0.5, 1)
        _require("labelled", self.labelled, 0.01, 1)
        _require("windows", self.windows, 2, 100_000)
        _require("patches", self.patches, 50, 1_000_000)
        _require("folds", self.folds, 2, 1000)
        _require("inner_folds", self.inner_folds, 2, 100)
        for value in self.dims:
            _require("dims", value, 1, 10_000)
        _require("trees", self.trees, 1, 10_000)
        _require("bins", self.bins, 2, 256)
        _require("bootstrap", self.bootstrap, 100, 1_000_000)
        _require("apart_m", self.apart_m, 0, 1e7)
        _require("jobs", self.jobs, 1, 1024)


def _require(key: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise SettingInvalid(f"{key} is {value:g}; allowed is {low:g} to {high:g}.")
