#!/usr/bin/env python3
"""A whole FedAvg round over four silos of 600 MNIST-shaped samples (one epoch, batches of 10) against mpi4py with PyTorch, in CPU seconds
summed over four ranks: training plus aggregation, without waiting, evaluation and files. Both sides take turns in one run.

scripts/bench.sh round installs and builds what this needs. Of silosum, the phases of metrics.jsonl are shown too: what the aggregation costs
as a share of the round, with the hash of the model apart."""
import argparse
import gzip
import json
import os
import pathlib
import random
import statistics
import struct
import subprocess
import sys
import tempfile

RANKS, SAMPLES = 4, 600
AGGREGATION = ("encode", "wire", "decode", "apply", "publish")
TARGETS = {"2nn": (5, 10), "cnn": (1.6, 2)}
CONFIGURATION = """[run]
rounds = {rounds}
progress = none
[data]
shards = shards
[model]
name = {model}
[local]
epochs = 1
batch_size = 10
lr = 0.05
[eval]
every = 0
[checkpoint]
every = 0
"""


def write_images(folder: pathlib.Path):
    """Random bytes as the four files of MNIST: speed does not depend on what the pictures show."""
    numbers = random.Random(1)
    folder.mkdir()
    for name, count in (("train", RANKS * SAMPLES), ("t10k", 10)):
        with gzip.open(folder / f"{name}-images-idx3-ubyte.gz", "wb", compresslevel=1) as file:
            file.write(struct.pack(">IIII", 0x803, count, 28, 28) + numbers.randbytes(count * 784))
        with gzip.open(folder / f"{name}-labels-idx1-ubyte.gz", "wb") as file:
            file.write(struct.pack(">II", 0x801, count) + bytes(numbers.randrange(10) for _ in range(count)))


def mpirun(*command, **environment):
    result = subprocess.run(["mpirun", "-np", str(RANKS), *command], env=dict(os.environ, **environment), text=True, capture_output=True,
                            stdin=subprocess.DEVNULL)
    if result.returncode != 0:
        sys.exit(f"{' '.join(command)} ended with {result.returncode}:\n{result.stdout}{result.stderr}")
    return result.stdout


def silosum_round(program, folder, model, rounds):
    """CPU seconds by phase of a round, summed over ranks, median over rounds but the first."""
    configuration = folder / f"{model}.cfg"
    configuration.write_text(CONFIGURATION.format(rounds=rounds + 1, model=model))
    mpirun(program, "train", str(configuration), "--run.dir", str(folder / "run"), "--run.overwrite", "true")
    lines = [json.loads(line)["seconds"] for line in (folder / "run" / "metrics.jsonl").read_text().splitlines()[1:]]
    # Every rank has one silo and one slice of the same size: rank 0's phases are a quarter of the whole.
    phases = {name for line in lines for name in line}
    return {name: RANKS * statistics.median(line.get(name, {"cpu": 0})["cpu"] for line in lines) for name in phases}


def baseline_round(model, rounds, tuned):
    script = pathlib.Path(__file__).with_name("baseline_fedavg.py")
    environment = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    if tuned:
        environment |= {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(1 << 40), "MALLOC_TOP_PAD_": str(1 << 26)}
    command = [sys.executable, str(script), "--model", model, "--rounds", str(rounds), "--samples", str(SAMPLES)]
    result = json.loads(mpirun(*command, *(["--tuned"] if tuned else []), **environment).splitlines()[-1])
    return result["train_cpu_s"] + result["aggregate_cpu_s"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default="2nn,cnn")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=5, help="of each repeat, besides a first one that does not count")
    parser.add_argument("--program", default="build/release/silosum")
    settings = parser.parse_args()
    program = str(pathlib.Path(settings.program).resolve())

    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        write_images(folder / "images")
        subprocess.run([program, "shard", "--from", f"mnist:{folder / 'images'}", "--silos", str(RANKS), "--split", "iid", "--test-fraction", "0",
                        "--out", str(folder / "shards")], check=True, stdout=subprocess.DEVNULL)
        print(f"{RANKS} ranks, {SAMPLES} samples a silo, median of {settings.repeats} repeats; CPU seconds of a round, all ranks together")
        for model in settings.models.split(","):
            own, stock, tuned = [], [], []
            for _ in range(settings.repeats):
                own.append(silosum_round(program, folder, model, settings.rounds))
                stock.append(baseline_round(model, settings.rounds, False))
                tuned.append(baseline_round(model, settings.rounds, True))
            phases = {name: statistics.median(turn.get(name, 0) for turn in own) for name in sorted({n for turn in own for n in turn})}
            aggregation = sum(phases.get(phase, 0) for phase in AGGREGATION)
            whole = phases["train"] + aggregation
            must, aim = TARGETS[model]
            print(f"\n{model}: silosum {whole:.4f}, mpi4py + PyTorch {statistics.median(stock):.4f} ({statistics.median(stock) / whole:.2f}x), "
                  f"tuned {statistics.median(tuned):.4f} ({statistics.median(tuned) / whole:.2f}x); must {must}x, aim {aim}x")
            print("  phases: " + ", ".join(f"{name} {1000 * seconds:.2f} ms" for name, seconds in phases.items()))
            print(f"  aggregation {100 * aggregation / whole:.2f} % of the round; the hash, {1000 * phases.get('hash', 0) / RANKS:.2f} ms on one rank, "
                  "is not in it", flush=True)


if __name__ == "__main__":
    main()
