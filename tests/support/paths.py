"""Where things are in the repository."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "golden"
ABLATIONS = ROOT / "ablations"
SWEEPS = ROOT / "sweeps"
