"""`python -m benchmarks.fire`: every fault of docs/reliability.md tried, and what was left of them.

Runs the tests that the table names. A fault is tried when one of its tests ran, and survived when
none failed; one that misses its program is not run, and says so. With `--torture` the long ones run
as well, which takes most of an hour.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
TABLE = ROOT / "docs" / "reliability.md"

_ROW = re.compile(r"^\| (\d+) \|(.*)\|(.*)\|(.*)\|$", re.MULTILINE)
_PROOF = re.compile(r"`((?:torture/)?test_\w+\.py)::(test_\w+)`")


@dataclass(frozen=True, slots=True)
class Fault:
    """One row of the table."""

    number: int
    fault: str
    answer: str
    proofs: tuple[tuple[str, str], ...]  # file below tests/, function


def faults() -> Iterator[Fault]:
    """The rows of docs/reliability.md in order."""
    for number, fault, answer, proof in _ROW.findall(TABLE.read_text(encoding="utf-8")):
        yield Fault(int(number), fault.strip(), answer.strip(), tuple(_PROOF.findall(proof)))


def main() -> None:
    """Run the tests and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--torture", action="store_true", help="the long ones as well")
    chosen = parser.parse_args()
    print(f"{platform.machine()}, {os.cpu_count()} cores, CPython {platform.python_version()}")
    rows = list(faults())
    asked = sorted(
        {
            proof
            for row in rows
            for proof in row.proofs
            if chosen.torture or not proof[0].startswith("torture/")
        }
    )
    outcomes = _outcomes([f"tests/{file}::{test}" for file, test in asked])
    print(f"\n{'':>4s} {'passed':>6s} {'failed':>6s} {'not run':>7s}")
    survived = tried = 0
    for row in rows:
        told = [outcomes.get(proof, "not run") for proof in row.proofs]
        passed, failed = told.count("passed"), told.count("failed")
        tried += bool(passed or failed)
        survived += bool(passed) and not failed
        print(f"{row.number:4d} {passed:6d} {failed:6d} {told.count('not run'):7d}  {row.fault}")
    print(f"\nfaults in the table {len(rows)}, tried {tried}, survived {survived}")
    if survived < tried:
        sys.exit(1)


def _outcomes(tests: list[str]) -> dict[tuple[str, str], str]:
    """How each test function ended, failed where one of its cases did."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.xml")
        subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider",
             "-o", "faulthandler_timeout=7200", f"--junitxml={report}", *tests],
            cwd=ROOT, check=False,
        )  # fmt: skip
        cases = ET.parse(report).getroot().iter("testcase")
        found: dict[tuple[str, str], str] = {}
        for case in cases:
            file = case.get("classname", "").removeprefix("tests.").replace(".", "/") + ".py"
            proof = file, case.get("name", "").partition("[")[0]
            if case.find("failure") is not None or case.find("error") is not None:
                found[proof] = "failed"
            elif case.find("skipped") is None:
                found.setdefault(proof, "passed")
    return found


if __name__ == "__main__":
    main()
