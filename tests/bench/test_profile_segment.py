from __future__ import annotations

import sys


def test_stages_and_the_rest_are_the_whole(monkeypatch, capsys):
    import profile_segment

    monkeypatch.setattr(sys, "argv", ["profile_segment", "--size", "160"])
    assert profile_segment.main() == 0
    rows = [line.strip("| ").split(" | ") for line in capsys.readouterr().out.splitlines()[2:]]
    assert [row[0] for row in rows[1:]] == [*profile_segment.STAGES, "all"]
    shares = [float(row[2].rstrip("%")) for row in rows]
    assert shares[-1] == 100 and abs(sum(shares[:-1]) - 100) < 1
    assert all(share >= 0 for share in shares)
