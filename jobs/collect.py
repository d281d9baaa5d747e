#!/usr/bin/env python3
"""One table of several runs, from their summary.json; by hand, or as the last job of a sweep.

usage: collect.py RUN...      or: sbatch --dependency afterok:JOB --kill-on-invalid-dep yes collect.py RUN...

Ends with 1 where a run has no summary, as one that has not ended.
"""
#SBATCH --job-name=silosum-collect
#SBATCH --output=%x-%j.out
#SBATCH --ntasks=1

import json
import pathlib
import sys


def row_of(run):
    """Name, rounds, hash of the model, and the last overall test metrics."""
    summary = json.loads((run / "summary.json").read_text())
    measured = summary.get("common_test") or (summary.get("test") or {}).get("overall") or {}
    return [run.name, str(summary["rounds"]), summary["model_sha256"][:16], measured]


def main(arguments):
    if not arguments or arguments[0] in ("-h", "--help"):
        print(__doc__.strip())
        return 0 if arguments else 2
    rows, missing = [], []
    for run in map(pathlib.Path, arguments):
        try:
            rows.append(row_of(run))
        except (OSError, ValueError, KeyError) as error:
            missing.append(f"{run}: no summary of a run that ended ({error.__class__.__name__})")
    metrics = []
    for row in rows:
        metrics += [name for name, value in row[3].items() if isinstance(value, (int, float)) and name not in metrics]
    table = [["run", "rounds", "model", *metrics]]
    table += [[*row[:3], *(f"{row[3].get(name):.4g}" if row[3].get(name) is not None else "" for name in metrics)] for row in rows]
    widths = [max(len(line[column]) for line in table) for column in range(len(table[0]))]
    for line in table:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip())
    for line in missing:
        print(line, file=sys.stderr)
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
