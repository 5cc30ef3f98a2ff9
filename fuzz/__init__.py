"""Fuzzing guided by coverage: `python -m fuzz` (needs `pip install atheris`)."""
