"""Claims about docs/reliability.md: what it says is proven, is."""

from __future__ import annotations

import ast
from pathlib import Path

from benchmarks.fire import faults

TESTS = Path(__file__).parent


def test_every_test_named_in_the_table_exists() -> None:
    """File and function, for every row; a renamed test fails here."""
    functions: dict[str, set[str]] = {}
    missing = []
    for name, function in {proof for row in faults() for proof in row.proofs}:
        if name not in functions:
            path = TESTS / name
            tree = ast.parse(path.read_text(encoding="utf-8")) if path.is_file() else ast.Module([])
            functions[name] = {
                one.name for one in ast.walk(tree) if isinstance(one, ast.FunctionDef)
            }
        if function not in functions[name]:
            missing.append(f"{name}::{function}")
    assert not missing


def test_every_row_has_a_proof_and_a_number_of_its_own() -> None:
    """Numbered from 1 without a gap, at least forty, each with a fault, an answer and a test."""
    rows = list(faults())

    assert [row.number for row in rows] == list(range(1, len(rows) + 1))
    assert len(rows) >= 40
    for row in rows:
        assert row.fault and row.answer and row.proofs, row.number
