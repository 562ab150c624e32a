from __future__ import annotations

from sardino_core.simulate import simulate_arrays


def test_a_row_for_every_height(tmp_path):
    from bench_growth import growth

    found = growth(tmp_path, simulate_arrays(128, seed=1)[0], "starter", (64, 128, 256))
    rows = [line.split(" | ") for line in found.splitlines() if line.startswith("| 128 x ")]
    assert [row[0] for row in rows] == ["| 128 x 64", "| 128 x 128", "| 128 x 256"]
    assert all(50 < float(row[1].removesuffix(" MB")) < 1500 for row in rows)
