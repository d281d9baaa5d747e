#!/usr/bin/env python3
"""Speed of one training step (forward, backward, SGD) against PyTorch, in samples a second of one core's CPU time.

Both sides take turns within one run, so that what else the machine does disturbs both alike; medians are printed.
scripts/bench.sh step installs and builds what this needs. PyTorch runs with one thread, OPENBLAS_NUM_THREADS=1, and its default
settings; "tuned" is foreach SGD, gradients set to None, and malloc kept from mmap."""
import argparse
import json
import os
import statistics
import subprocess
import sys
import time

STEP_BENCH = "build/release/tests/benchmarks/step_bench"
# What to reach, and what to aim for, at batch 10.
TARGETS = {"softmax": (15, 30), "2nn": (4, 6), "cnn": (1.6, 2.1)}


def torch_worker(tuned: bool):
    """Answers lines "model batch seconds" with samples a second, until its input ends."""
    import torch
    from torch.nn import functional

    from torch_models import make_model

    torch.set_num_threads(1)
    models = {}
    images, labels = torch.rand(600, 784), torch.randint(0, 10, (600,))
    print("ready", flush=True)
    for line in sys.stdin:
        name, batch, seconds = line.split()
        batch = int(batch)
        if name not in models:
            model = make_model(name)
            models[name] = model, torch.optim.SGD(model.parameters(), lr=0.01, foreach=tuned)
        model, optimizer = models[name]

        def step(number):
            first = number * batch % (600 - batch + 1)
            optimizer.zero_grad(set_to_none=tuned)
            functional.cross_entropy(model(images[first:first + batch]), labels[first:first + batch]).backward()
            optimizer.step()

        step(0)
        begin, steps = time.process_time(), 0
        while time.process_time() - begin < float(seconds):
            for _ in range(5):
                step(steps)
                steps += 1
        print(steps * batch / (time.process_time() - begin), flush=True)


class Torch:
    """A PyTorch process that waits for work."""

    def __init__(self, tuned: bool):
        environment = dict(os.environ, OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1")
        if tuned:
            environment |= {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(1 << 40), "MALLOC_TOP_PAD_": str(1 << 26)}
        command = [sys.executable, __file__, "--worker", "tuned" if tuned else "plain"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
        self.process.stdout.readline()

    def measure(self, model, batch, seconds):
        self.process.stdin.write(f"{model} {batch} {seconds}\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def silosum_step(program, model, batch, seconds):
    command = [program, "--model", model, "--batch", str(batch), "--seconds", str(seconds)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default="softmax,2nn,cnn")
    parser.add_argument("--batch", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.5, help="of CPU time, each measurement")
    parser.add_argument("--program", default=STEP_BENCH)
    parser.add_argument("--worker", choices=["plain", "tuned"], help=argparse.SUPPRESS)
    settings = parser.parse_args()
    if settings.worker:
        torch_worker(settings.worker == "tuned")
        return

    plain, tuned = Torch(False), Torch(True)
    print(f"batch {settings.batch}, median of {settings.repeats} turns of {settings.seconds} CPU seconds; samples a second of one core")
    print(f"{'model':9}{'silosum':>12}{'PyTorch':>12}{'tuned':>12}{'ratio':>8}{'(tuned)':>9}{'must':>7}{'aim':>6}{'of FMA peak':>14}")
    for model in settings.models.split(","):
        turns = []
        for _ in range(settings.repeats):
            own = silosum_step(settings.program, model, settings.batch, settings.seconds)
            turns.append((own["samples_per_s"], plain.measure(model, settings.batch, settings.seconds),
                          tuned.measure(model, settings.batch, settings.seconds), own["gflops"] / own["peak_gflops"]))
        own, stock, best, share = (statistics.median(column) for column in zip(*turns))
        must, aim = TARGETS[model]
        print(f"{model:9}{own:12.0f}{stock:12.0f}{best:12.0f}{own / stock:7.2f}x{own / best:8.2f}x{must:6}x{aim:5}x{100 * share:12.1f} %",
              flush=True)
    plain.close()
    tuned.close()


if __name__ == "__main__":
    main()
