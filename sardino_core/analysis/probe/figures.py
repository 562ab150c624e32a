"""The report's figures, as PNG. Numbers in, pictures out; what they say is written in `report`."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from sardino_core.analysis.probe.compare import FREE
from sardino_core.analysis.probe.features import HEADS, RECIPES, SCORES, TOKENS, Looks, network_windows
from sardino_core.analysis.probe.findings import Findings
from sardino_core.analysis.probe.probes import KINDS, standardised

_DPI = 144
_SHADES = ("#1c4e80", "#d1702e", "#4f9a5b", "#8a5ea8", "#7a7a7a")  # of the sizes: free, then the equal ones
_INK = "#1c2733"
_DOTS = 3000  # patches in a scatter plot
_EXAMPLES = 4  # windows shown
_SHOWN_HEADS = 4


def sets_figure(findings: Findings) -> bytes:
    """mIoU of every feature set, a panel for each probe, a colour for each size."""
    figure = Figure((10.5, 0.42 * len(RECIPES) + 1.3), dpi=_DPI, layout="constrained")
    axes = figure.subplots(1, len(KINDS), sharey=True, sharex=True)
    sizes = findings.sizes
    for axis, probe in zip(axes, KINDS, strict=True):
        for shade, dims in zip(_SHADES, sizes, strict=False):
            shift = 0.22 * (sizes.index(dims) - (len(sizes) - 1) / 2)
            for row, recipe in enumerate(RECIPES):
                outcome = findings.outcome(recipe.name, dims, probe)
                if outcome is not None:
                    low, high = findings.interval(outcome)
                    axis.plot([low, high], [row + shift] * 2, color=shade, lw=1.6, alpha=0.55)
                    axis.plot(outcome.scores.miou, row + shift, "o", color=shade, ms=5.5 if dims == FREE else 4)
        axis.axvline(findings.chance.scores.miou, color="#888888", lw=1, ls=":")
        axis.set_title(f"{probe} probe", fontsize=10)
        axis.set_xlabel("mIoU, held-out places" if findings.folds.kind == "place" else "mIoU, held-out blocks")
        axis.grid(axis="x", color="#e3e8ec")
        axis.set_axisbelow(True)
        _plain(axis)
    axes[0].set_yticks(range(len(RECIPES)), [recipe.name for recipe in RECIPES])
    axes[0].set_ylim(len(RECIPES) - 0.5, -0.5)
    axes[0].set_xlim(left=0)
    marks = [Patch(color=shade, label=size_name(dims)) for shade, dims in zip(_SHADES, sizes, strict=False)]
    figure.legend(handles=marks, loc="outside lower center", ncols=len(marks), fontsize=8, frameon=False)
    return _png(figure)


def differences_figure(findings: Findings) -> bytes:
    """Paired differences of mIoU, those of the sets as they are and of the largest equal size."""
    sizes = dict.fromkeys((FREE, findings.sizes[-1]))
    pairs = list(dict.fromkeys((item.first, item.second) for item in findings.differences))
    figure = Figure((10.5, 0.42 * len(pairs) + 1.3), dpi=_DPI, layout="constrained")
    axes = figure.subplots(1, len(KINDS), sharey=True, sharex=True)
    for axis, probe in zip(axes, KINDS, strict=True):
        axis.axvline(0, color="#555555", lw=1)
        for number, dims in enumerate(sizes):
            shade = _SHADES[findings.sizes.index(dims)]
            shift = 0.24 * (number - (len(sizes) - 1) / 2)
            for item in findings.differences:
                if item.dims == dims and item.probe == probe:
                    row = pairs.index((item.first, item.second)) + shift
                    axis.plot([item.low, item.high], [row, row], color=shade, lw=1.8, alpha=0.6)
                    axis.plot(item.value, row, "o", color=shade, ms=5)
        axis.set_title(f"{probe} probe", fontsize=10)
        axis.set_xlabel("difference of mIoU")
        axis.grid(axis="x", color="#e3e8ec")
        axis.set_axisbelow(True)
        _plain(axis)
    axes[0].set_yticks(range(len(pairs)), [f"{first}  −  {second}" for first, second in pairs])
    axes[0].set_ylim(len(pairs) - 0.5, -0.5)
    marks = [Patch(color=_SHADES[findings.sizes.index(dims)], label=size_name(dims)) for dims in sizes]
    figure.legend(handles=marks, loc="outside lower center", ncols=len(marks), fontsize=8, frameon=False)
    return _png(figure)


def heads_figure(findings: Findings) -> bytes:
    """Layers by heads: information, held-out mIoU, evenness, distance."""
    heads = findings.heads
    distance, unit = heads.statistics["distance"] * heads.patch_px, "pixels"
    panels: list[tuple[str, NDArray[np.float64], str]] = [
        ("information within\nplaces (nats)", heads.information[HEADS], ".2f"),
        ("mIoU, linear probe", heads.miou[HEADS, "linear"], ".2f"),
        ("mIoU, forest", heads.miou[HEADS, "forest"], ".2f"),
        ("mIoU, forest,\nbefore softmax", heads.miou[SCORES, "forest"], ".2f"),
        ("entropy of the class\ntoken, over log N", heads.relative_entropy, ".2f"),
        ("attention to class token\nand registers", heads.statistics["share of prefix tokens"], ".2f"),
        (f"distance of patch\nattention ({unit})", distance, ".0f"),
    ]
    layers, count = heads.relative_entropy.shape
    written = count <= 6
    width = 1.05 + (0.42 if written else 0.24) * count
    figure = Figure((len(panels) * min(width, 3.2), 1.3 + 0.27 * layers), dpi=_DPI, layout="constrained")
    for number, (axis, (title, values, form)) in enumerate(zip(figure.subplots(1, len(panels)), panels, strict=True)):
        image = axis.imshow(values, aspect="auto", cmap="viridis", interpolation="nearest")
        axis.set_title(title, fontsize=8)
        axis.set_xticks(range(count) if count <= 12 else range(0, count, 4))
        axis.set_yticks(range(layers))
        axis.tick_params(labelsize=7, length=0)
        axis.set_xlabel("head", fontsize=8)
        if number == 0:
            axis.set_ylabel("layer", fontsize=8)
        middle = (np.nanmin(values) + np.nanmax(values)) / 2
        for (layer, head), value in np.ndenumerate(values if written else np.empty((0, 0))):
            axis.text(head, layer, format(value, form), ha="center", va="center", fontsize=6,
                      color="white" if value < middle else "black")  # fmt: skip
        if not written:
            figure.colorbar(image, ax=axis, shrink=0.7).ax.tick_params(labelsize=7)
    return _png(figure)


def tokens_figure(findings: Findings) -> bytes:
    """The token space on two principal components, by class and by place, and on two discriminants, held out."""
    samples, tokens = findings.samples, findings.tables[TOKENS]
    draw = np.random.default_rng(findings.config.seed)
    shown = draw.permutation(len(tokens))[:_DOTS]
    fit = findings.folds.groups % 2 == 0
    x, z = standardised(tokens, tokens)[0], standardised(tokens[fit], tokens[~fit])
    plane = PCA(2, random_state=findings.config.seed).fit(x)
    shares = plane.explained_variance_ratio_
    names = [f"component {i + 1} ({share:.0%})" for i, share in enumerate(shares)]
    figure = Figure((12.6, 4.2), dpi=_DPI, layout="constrained")
    axes = figure.subplots(1, 3)
    points = plane.transform(x[shown])
    colours = [item.colour for item in samples.classes]
    _scatter(axes[0], points, samples.label[shown], colours, "principal components, by class", names)
    hues = _place_colours(findings.folds.count)
    _scatter(axes[1], points, findings.folds.groups[shown], hues, f"the same, by {findings.folds.kind}", names)
    _discriminants(axes[2], z, samples.label[fit], samples.label[~fit], colours)
    handles = [Patch(color=item.colour, label=item.name) for item in samples.classes]
    figure.legend(handles=handles, loc="outside lower center", ncols=min(8, len(handles)), fontsize=8, frameon=False)
    return _png(figure)


def examples_figure(findings: Findings, network: Looks) -> tuple[bytes, list[int]]:
    """Windows of different places: backscatter, classes of the patches, and the heads that tell most of the class."""
    windows, side = findings.windows, findings.windows.side
    chosen = _example_windows(findings)
    attention = network.look(network_windows(windows, chosen, findings.spec)).attention
    information = findings.heads.information[HEADS].ravel()
    best = np.argsort(-information, kind="stable")[:_SHOWN_HEADS]
    maps = attention.reshape(len(chosen), -1, side, side)
    figure = Figure((1.75 * (2 + len(best)), 1.9 * len(chosen) + 0.2), dpi=_DPI, layout="constrained")
    axes = np.atleast_2d(np.array(figure.subplots(len(chosen), 2 + len(best)), dtype=object))
    colours = ListedColormap(["#ffffff", *(item.colour for item in findings.samples.classes)])
    index = _class_index(findings)
    for row, window in zip(axes, chosen, strict=True):
        number = list(chosen).index(window)
        db = np.where(windows.valid[window], windows.backscatter_db[window, 0], np.nan)
        row[0].imshow(db, cmap="gray", vmin=np.nanquantile(db, 0.02), vmax=np.nanquantile(db, 0.98))
        row[1].imshow(index[windows.classes[window]], cmap=colours, vmin=-0.5, vmax=colours.N - 0.5,
                      interpolation="nearest")  # fmt: skip
        for axis, column in zip(row[2:], best, strict=True):
            shown = np.sqrt(maps[number, column])  # attention is so peaked that little else would be seen
            axis.imshow(shown, cmap="magma", vmin=0, vmax=np.quantile(shown, 0.99))
        row[0].set_ylabel(findings.places[windows.place[window]].name[-28:], fontsize=6)
    titles = [f"{findings.spec.inputs.bands[0].key} (dB)", "class of the patch"]
    titles += [f"{findings.head_name(int(column))}\n{information[column]:.2f} nats" for column in best]
    for axis, title in zip(axes[0], titles, strict=True):
        axis.set_title(title, fontsize=8)
    for axis in axes.flat:
        axis.set_xticks([])
        axis.set_yticks([])
    return _png(figure), [int(column) for column in best]


def size_name(dims: int) -> str:
    """Of a number of dimensions, as tables and legends have it."""
    return "all dimensions" if dims == FREE else f"{dims} dimensions (PCA)"


def _example_windows(findings: Findings) -> NDArray[np.int64]:
    """Of each of a few places the window with the most even mixture of classes."""
    classes = findings.windows.classes.reshape(len(findings.windows.place), -1)
    mixture = np.array([_entropy(row[row >= 0]) for row in classes])
    best = [np.flatnonzero(findings.windows.place == place) for place in np.unique(findings.windows.place)]
    winners = np.array([own[np.argmax(mixture[own])] for own in best])
    if len(winners) == 1:
        winners = best[0][np.argsort(-mixture[best[0]], kind="stable")]
    return winners[np.argsort(-mixture[winners], kind="stable")][:_EXAMPLES]


def _entropy(label: NDArray[np.int64]) -> float:
    shares = np.unique(label, return_counts=True)[1] / max(1, len(label))
    return float(-(shares * np.log(shares)).sum())


def _class_index(findings: Findings) -> NDArray[np.int64]:
    """From the windows' class indices, -1 last, to 0 for none and 1, 2, ... for the classes of the samples."""
    top = int(findings.windows.classes.max())
    index = np.zeros(top + 2, np.int64)
    seen = findings.windows.classes.reshape(len(findings.windows.place), -1)
    own = seen[findings.samples.window, findings.samples.patch]
    index[own] = findings.samples.label + 1
    return index


def _scatter(
    axis: Axes, points: NDArray[Any], group: NDArray[np.int64], colours: Sequence[str], title: str, names: Sequence[str]
) -> None:
    axis.scatter(
        points[:, 0], points[:, 1], c=np.array(colours, dtype=object)[group].tolist(), s=6, alpha=0.6, linewidths=0
    )
    axis.set_title(title, fontsize=9)
    axis.set_xlabel(names[0], fontsize=8)
    axis.set_ylabel(names[1], fontsize=8)
    axis.tick_params(labelsize=7)
    _plain(axis)


def _discriminants(
    axis: Axes, pair: tuple[NDArray[Any], NDArray[Any]], label: NDArray[np.int64], held: NDArray[np.int64],
    colours: Sequence[str],
) -> None:  # fmt: skip
    """Fitted on one half of the places, shown on the other: on their own half any labels would separate.

    Two classes have one discriminant; the second axis is then the largest variance.
    """
    (x, z), kinds = pair, len(np.unique(label))
    if kinds < 2:
        axis.set_axis_off()
        axis.set_title("one half shows a single class: no discriminants", fontsize=9)
        return
    model = LinearDiscriminantAnalysis(solver="eigen", shrinkage="auto", n_components=min(2, kinds - 1)).fit(x, label)
    points, names = model.transform(z), ["discriminant 1", "discriminant 2"]
    if kinds == 2:
        points = np.hstack([points, PCA(1, random_state=0).fit(x).transform(z)])
        names[1] = "component 1"
    shown = np.random.default_rng(0).permutation(len(points))[:_DOTS]
    _scatter(axis, points[shown], held[shown], colours, "discriminants of one half, on the other half", names)


def _place_colours(count: int) -> list[str]:
    base = ["#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#bbbbbb"]  # Tol's bright scheme
    return [base[index % len(base)] for index in range(count)]


def _plain(axis: Axes) -> None:
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
    axis.tick_params(colors=_INK)


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
