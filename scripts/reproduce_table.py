#!/usr/bin/env python3
"""The table of scripts/reproduce.sh: what the runs of a folder reached, beside what was published. reproduce_table.py RUNS"""
import json
import pathlib
import re
import statistics
import sys

MCMAHAN = "McMahan et al. 2017"


def lines_of(run: pathlib.Path) -> list[dict]:
    file = run / "metrics.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def rounds_to(target: float):
    """First round at the target; None where it was not reached."""
    def measure(lines):
        for line in lines:
            if line.get("common_test", {}).get("accuracy", 0) >= target:
                return line["round"]
        return None
    return measure


def best_accuracy(lines):
    return 100 * max(line["common_test"]["accuracy"] for line in lines if "common_test" in line)


def last_accuracy(lines):
    return lines[-1]["common_test"]["accuracy"]


def rounds_text(value):
    return f"{value:.0f}"


# Name of the runs (before -seedN), what is measured, how, how it is shown, what was published and by whom.
ROWS = [
    ("heart_disease-lr0.001", "accuracy, pooled test", last_accuracy, "{:.3f}".format, "0.748 +- 0.027", "FLamby, FedAvg at 0.001"),
    ("heart_disease-lr0.005", "accuracy, pooled test", last_accuracy, "{:.3f}".format, "0.748 +- 0.027", "FLamby, FedAvg at 0.001"),
    ("mnist_2nn_iid", "rounds to 97 %", rounds_to(0.97), rounds_text, "87", f"{MCMAHAN}, table 1"),
    ("mnist_2nn_pathological", "rounds to 97 %", rounds_to(0.97), rounds_text, "664", f"{MCMAHAN}, table 1"),
    ("mnist_cnn_iid", "rounds to 99 %", rounds_to(0.99), rounds_text, "20", f"{MCMAHAN}, table 2"),
    ("mnist_cnn_pathological", "rounds to 99 %", rounds_to(0.99), rounds_text, "229", f"{MCMAHAN}, table 2"),
    ("fashion_mnist_dirichlet", "best accuracy of 50 rounds, %", best_accuracy, "{:.2f}".format, "88.09 +- 0.29", "Flower niid_bench"),
]


def shown(values, text):
    reached = [value for value in values if value is not None]
    if not reached:
        return "not reached"
    result = text(statistics.mean(reached))
    if len(reached) > 1:
        result += f" +- {text(statistics.stdev(reached))}"
    if len(reached) < len(values):
        result += f" ({len(values) - len(reached)} not reached)"
    return result


def main() -> int:
    if len(sys.argv) != 2:
        print(__doc__)
        return 2
    root = pathlib.Path(sys.argv[1])
    table = [("run", "measured", "seeds", "here", "published", "source")]
    for name, what, measure, text, published, source in ROWS:
        runs = sorted(run for run in root.glob(f"{name}-seed*") if re.fullmatch(re.escape(name) + r"-seed\d+", run.name))
        logs = [lines for lines in map(lines_of, runs) if lines]
        if logs:
            table.append((name, what, str(len(logs)), shown([measure(lines) for lines in logs], text), published, source))
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    for number, row in enumerate(table):
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())
        if number == 0:
            print("  ".join("-" * width for width in widths))
    return 0 if len(table) > 1 else 1


if __name__ == "__main__":
    sys.exit(main())
