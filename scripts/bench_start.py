#!/usr/bin/env python3
"""CPU seconds of a whole job of four ranks that trains one round of one step, against an empty MPI program. The two take turns."""
import argparse
import os
import pathlib
import resource
import statistics
import subprocess
import tempfile


def cpu_of(command) -> float:
    """User and system seconds of mpirun and its ranks."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--build", default="build/release")
    settings = parser.parse_args()
    build = pathlib.Path(settings.build).resolve()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["OMPI_MCA_orte_tmpdir_base"] = folder
        launch = ["mpirun", "-np", "4"]
        empty = launch + [str(build / "tests/benchmarks/empty_mpi")]
        train = launch + [str(build / "silosum"), "train", "configs/penguins.cfg", "--run.dir", f"{folder}/run", "--run.overwrite", "true",
                          "--run.rounds", "1", "--local.epochs", "1", "--local.batch_size", "0", "--eval.every", "0", "--checkpoint.every", "0",
                          "--eval.compare_local", "false", "--run.progress", "none"]
        turns = [(cpu_of(empty), cpu_of(train)) for _ in range(settings.repeats)]
    medians = [statistics.median(column) for column in zip(*turns)]
    above = statistics.median(second - first for first, second in turns)
    print(f"empty MPI program {medians[0]:.3f} s, silosum to the end of its first step {medians[1]:.3f} s: {above:.3f} CPU s above "
          f"(median of {settings.repeats} pairs, four ranks together; must be at most 0.15)")


if __name__ == "__main__":
    main()
