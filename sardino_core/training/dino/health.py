"""Is the student learning, or has it collapsed? Numbers from what the step has computed anyway, and a verdict on them.

Two ways to collapse (Caron et al. 2021, arXiv 2104.14294, section 5.3): every window gets the same prototype, or every
window gets all prototypes evenly. In both the teacher's answer tells nothing about the window: the mutual information
between them is 0. A third, slower one is that the embeddings use few of their dimensions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import cast

import torch
from torch import Tensor

_LEAST_INFORMATION = 0.05  # share of what the batch could tell, log(min(batch, prototypes))
_LEAST_RANK = 0.02  # share of the embeddings' dimensions, and at least
_LEAST_DIMENSIONS = 1.5
_PATIENCE = 3  # looks in a row


@dataclass(frozen=True)
class Health:
    """One look at a batch."""

    entropy: float  # of the teacher's answer for a window, mean, nats
    spread: float  # entropy of the mean answer: log K when all prototypes are used evenly
    divergence: float  # KL(teacher || student) on the other global view, nats
    used: float  # share of the prototypes that are some window's first choice
    rank: float  # effective number of dimensions of the class tokens
    windows: int
    prototypes: int
    width: int

    @property
    def information(self) -> float:
        """Mutual information between window and answer over what this batch could show, 0 to 1."""
        possible = math.log(max(2, min(self.windows, self.prototypes)))
        return (self.spread - self.entropy) / possible

    def row(self) -> dict[str, float]:
        """For the log."""
        return {
            "teacher_entropy": self.entropy,
            "teacher_spread": self.spread,
            "information": self.information,
            "kl": self.divergence,
            "prototypes_used": self.used,
            "rank": self.rank,
        }


@torch.no_grad()
def look(teacher: Tensor, student: Tensor, tokens: Tensor, temperature: float) -> Health:
    """Judge the teacher's probabilities (2, n, K), the student's cosines (2, n, K), the class tokens (m, D)."""
    p = teacher.float()
    mean = p.mean(dim=(0, 1))
    log_q = (student.float() / temperature).log_softmax(dim=-1).flip(0)
    entropy = _entropy(p)
    cross = -(p * log_q).sum(dim=-1)
    return Health(
        entropy=float(entropy.mean()),
        spread=float(_entropy(mean)),
        divergence=float((cross - entropy).mean()),
        used=float(torch.bincount(p.argmax(dim=-1).flatten(), minlength=p.shape[-1]).count_nonzero() / p.shape[-1]),
        rank=effective_rank(tokens),
        windows=p.shape[0] * p.shape[1],
        prototypes=p.shape[-1],
        width=tokens.shape[-1],
    )


def effective_rank(embeddings: Tensor) -> float:
    """exp of the entropy of the singular values' shares (RankMe, Garrido et al. 2023, arXiv 2210.02885, eq. 1-2).

    `embeddings` (m, D), centred here: the mean says nothing about how windows differ.
    """
    centred = embeddings.float() - embeddings.float().mean(dim=0)
    values = torch.linalg.svdvals(centred.cpu())
    total = values.sum()
    if not float(total) > 1e-6 * math.sqrt(embeddings.numel()):
        return 1.0
    return float(torch.exp(_entropy(values / total)))


@dataclass
class Watch:
    """Follows a run and says once when it has collapsed."""

    collapsed: str = ""  # how; empty while all is well
    _suspicions: int = 0
    _said: set[str] = field(default_factory=set)

    def judge(self, health: Health) -> str | None:
        """A line to tell the user, once per kind of collapse, after several looks in a row; None while all is well."""
        found = diagnose(health)
        self._suspicions = self._suspicions + 1 if found else 0
        if found is None:
            self.collapsed = ""
            return None
        kind, text = found
        if self._suspicions < _PATIENCE:
            return None
        self.collapsed = kind
        if kind in self._said:
            return None
        self._said.add(kind)
        return text

    def state(self) -> dict[str, object]:
        """For the checkpoint."""
        return {"collapsed": self.collapsed, "suspicions": self._suspicions, "said": sorted(self._said)}

    @staticmethod
    def of(state: dict[str, object]) -> Watch:
        """From the checkpoint."""
        said = cast("list[str]", state["said"])
        return Watch(str(state["collapsed"]), int(str(state["suspicions"])), set(said))


def diagnose(health: Health) -> tuple[str, str] | None:
    """The kind of collapse and what to do about it, or None."""
    if health.information < _LEAST_INFORMATION:
        if health.spread < 0.5 * math.log(health.prototypes):
            return "one prototype", (
                "Training has collapsed: the teacher gives every window the same answer and uses "
                f"{health.used:.1%} of the prototypes. Likely remedy: loss.centring=sinkhorn, a higher "
                "loss.teacher_temperature, or a lower optimiser.lr."
            )
        return "even prototypes", (
            "Training has collapsed: the teacher spreads every window over all prototypes alike. Likely remedy: "
            "a lower loss.teacher_temperature (0.02), fewer head.prototypes, or a lower optimiser.lr."
        )
    if health.rank < max(_LEAST_DIMENSIONS, _LEAST_RANK * health.width):
        return "few dimensions", (
            f"The embeddings use {health.rank:.1f} of their {health.width} dimensions. Likely remedy: a higher "
            "loss.koleo (0.1), or weaker changes in views."
        )
    return None


def _entropy(p: Tensor) -> Tensor:
    """Over the last dimension, nats."""
    return cast(Tensor, torch.special.entr(p)).sum(dim=-1)
