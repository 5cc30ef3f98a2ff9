"""Every target of `fuzz/` for a stated number of runs, and what was found before."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("atheris", reason="pip install atheris")

ROOT = Path(__file__).parents[2]
RUNS = int(os.environ.get("FUZZ_RUNS", "20000"))
TARGETS = (
    "splitting",
    "cleaning",
    "charset",
    "docx",
    "pdf",
    "mail",
    "webpage",
    "arrays",
    "manifest",
)


@pytest.mark.parametrize("target", TARGETS)
def test_no_input_gets_past_a_refusal(target: str) -> None:
    """After FUZZ_RUNS inputs that look for new paths: no exception but refusals, no hang."""
    told = subprocess.run(
        [sys.executable, "-m", "fuzz", target, "--runs", str(RUNS)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    print(
        target, *re.findall(r"stat::(?:number_of_executed_units|peak_rss_mb):\s+\d+", told.stderr)
    )
    assert told.returncode == 0, told.stderr[-3_000:]


@pytest.mark.parametrize("target", TARGETS)
def test_what_was_found_stays_mended(target: str) -> None:
    """Every input kept in fuzz/found is tried again."""
    sys.path.insert(0, str(ROOT))
    from fuzz import targets

    for path in sorted((ROOT / "fuzz" / "found" / target).glob("*")):
        targets.TARGETS[target](path.read_bytes())
