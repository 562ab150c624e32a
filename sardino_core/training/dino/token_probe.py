"""What a backbone's patch tokens know about land cover: a linear probe and nearest neighbours.

Tokens and labels in, mIoU and accuracy out, from one confusion matrix. Deterministic: torch's global generator is left
alone, so that a run may be probed while it trains. No files.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sardino_core.models.network import Network
from sardino_core.training.windows.probe_windows import LabelledWindows, ProbeWindows

NEIGHBOURS = 20
_LIBRARY = 10_000  # patches that neighbours are looked up in
_BATCH = 64  # windows


@dataclass(frozen=True)
class Samples:
    """Windows (W, C, S, S) in standardised dB and the majority class of each patch (W, N), -1 where there is none."""

    windows: Tensor
    labels: Tensor


@dataclass(frozen=True)
class OnlineProbe:
    """Looks at the teacher now and then while it is trained."""

    fit: Samples
    score: Samples
    every: int  # steps

    @staticmethod
    def of(found: ProbeWindows, every: int) -> OnlineProbe:
        """From arrays."""
        return OnlineProbe(_samples(found.fit), _samples(found.score), every)

    def due(self, step: int, last: bool) -> bool:
        """Whether it is time; the beginning and the end always are."""
        return last or step == 0 or (self.every > 0 and step % self.every == 0)

    def look(self, network: Network) -> dict[str, float]:
        """`probe_linear_miou`, `probe_linear_accuracy`, and the same for the neighbours."""
        found = probe(self.fit, self.score, tokens_of(network))
        return {f"probe_{name.lower().replace(' ', '_')}": value for name, value in found.items()}


def tokens_of(network: nn.Module) -> Callable[[Tensor], Tensor]:
    """Windows to patch tokens (B, N, D)."""
    network.eval()
    device = next(network.parameters()).device
    return lambda windows: network.features(windows.to(device), layers=()).tokens.float().cpu()  # type: ignore[operator]


def statistics(windows: Tensor, patch: int) -> Tensor:
    """Mean and standard deviation of every band in every patch, (B, N, 2 C)."""
    cells = windows.unfold(2, patch, patch).unfold(3, patch, patch).flatten(4)  # (B, C, n, n, patch * patch)
    return torch.cat([cells.mean(-1), cells.std(-1)], dim=1).flatten(2).transpose(1, 2)


def probe(train: Samples, test: Samples, features: Callable[[Tensor], Tensor]) -> dict[str, float]:
    """mIoU and accuracy of both probes on the test places; mIoU over the classes that occur there."""
    classes = 1 + int(max(train.labels.max(), test.labels.max()))
    x, y = table_of(train, features)
    z, truth = table_of(test, features)
    mean, std = x.mean(0), x.std(0) + 1e-6
    x, z = (x - mean) / std, (z - mean) / std
    found = {}
    for name, predicted in (("linear", linear(x, y, z, classes)), ("kNN", nearest(x, y, z, classes))):
        counts = torch.bincount(truth * classes + predicted, minlength=classes**2).view(classes, classes)
        union = counts.sum(0) + counts.sum(1) - counts.diag()
        seen = counts.sum(1) > 0
        found[f"{name} mIoU"] = float((counts.diag() / union.clamp(min=1))[seen].mean())
        found[f"{name} accuracy"] = float(counts.diag().sum() / counts.sum())
    return found


def linear(x: Tensor, y: Tensor, z: Tensor, classes: int) -> Tensor:
    """Multinomial logistic regression with a little weight decay, fitted to the end; the classes of z (M,)."""
    weight = torch.zeros(x.shape[1], classes, requires_grad=True)
    bias = torch.zeros(classes, requires_grad=True)
    solver = torch.optim.LBFGS([weight, bias], max_iter=100, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        solver.zero_grad()
        loss = F.cross_entropy(x @ weight + bias, y) + 1e-4 * weight.square().sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    solver.step(closure)  # type: ignore[no-untyped-call]
    return (z @ weight + bias).argmax(dim=1).detach()


def nearest(x: Tensor, y: Tensor, z: Tensor, classes: int) -> Tensor:
    """The commonest class among the nearest by cosine, on a fixed subset of the training patches; for z (M,)."""
    chosen = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))[:_LIBRARY]
    x, votes = F.normalize(x[chosen], dim=1), F.one_hot(y[chosen], classes)
    count = min(NEIGHBOURS, len(x))
    parts = torch.split(F.normalize(z), 2000)
    return torch.cat([votes[(part @ x.T).topk(count, dim=1).indices].sum(dim=1).argmax(dim=1) for part in parts])


def table_of(samples: Samples, features: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
    """Features (M, D) and classes (M,) of the patches that have a class."""
    with torch.inference_mode():
        found = torch.cat([features(part) for part in torch.split(samples.windows, _BATCH)]).flatten(0, 1)  # (W N, D)
    known = samples.labels.flatten() >= 0
    return found[known].clone(), samples.labels.flatten()[known]


def _samples(found: LabelledWindows) -> Samples:
    return Samples(torch.from_numpy(found.windows), torch.from_numpy(found.labels))
