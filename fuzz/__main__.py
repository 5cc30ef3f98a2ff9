"""`python -m fuzz TARGET [--runs N]`: one target under atheris, from whole inputs on.

Ends with 0 after the runs, else with the input that got through, which is left in
`fuzz/found/TARGET/`; once mended it stays there, and the tests try it again.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import atheris

FOUND = Path(__file__).parent / "found"
sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))


def main() -> None:
    """Fuzz one target."""
    with atheris.instrument_imports(include=["classifier", "service.intake"]):
        from fuzz.targets import TARGETS, seeds
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=20261124)
    chosen = parser.parse_args()
    kept = FOUND / chosen.target
    kept.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as corpus:
        for number, content in enumerate(seeds(chosen.target)):
            Path(corpus, f"seed-{number}").write_bytes(content)
        options = {
            "runs": chosen.runs,
            "seed": chosen.seed,
            "max_len": 65_536,
            "timeout": 30,
            "rss_limit_mb": 2_048,
            "artifact_prefix": f"{kept}/",
            "verbosity": 0,
            "print_final_stats": 1,
        }
        arguments = [f"-{name}={value}" for name, value in options.items()]
        atheris.Setup([sys.argv[0], *arguments, corpus], TARGETS[chosen.target])
        atheris.Fuzz()


if __name__ == "__main__":
    main()
