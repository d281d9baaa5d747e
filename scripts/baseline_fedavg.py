#!/usr/bin/env python3
"""Baseline: FedAvg by mpi4py and PyTorch on random data of MNIST's shape. Every rank is a silo.

mpirun -np 4 python3 scripts/baseline_fedavg.py --model cnn

Start it with OPENBLAS_NUM_THREADS=1: torch.set_num_threads does not reach the BLAS behind nn.Linear. Rank 0 prints one JSON object:
CPU seconds of a round, summed over the ranks (median over rounds), training and aggregation apart. Waiting for others is not counted."""
import argparse
import json
import statistics
import time

import numpy as np
import torch
from mpi4py import MPI
from torch.nn import functional
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from torch_models import FLOPS, make_model


def average_flat(model, world):
    """One Allreduce of one float32 vector: the fastest plain way."""
    flat = parameters_to_vector(model.parameters()).numpy()
    mine = flat / np.float32(world.size)
    mean = np.empty_like(mine)
    world.Allreduce(mine, mean)
    vector_to_parameters(torch.from_numpy(mean), model.parameters())


def average_pickled(model, world):
    """Gather of state dicts, mean on rank 0, broadcast: what most frameworks do, less their network stack."""
    states = world.gather(model.state_dict())
    mean = None
    if world.rank == 0:
        mean = {name: sum(state[name] for state in states) / world.size for name in states[0]}
    model.load_state_dict(world.bcast(mean))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=list(FLOPS), default="2nn")
    parser.add_argument("--aggregate", choices=["flat", "pickled"], default="flat")
    parser.add_argument("--samples", type=int, default=600, help="of each silo")
    parser.add_argument("--batch", type=int, default=10)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5, help="measured ones; one more comes first")
    parser.add_argument("--tuned", action="store_true", help="foreach SGD, gradients set to None")
    settings = parser.parse_args()

    world = MPI.COMM_WORLD
    torch.set_num_threads(1)
    torch.manual_seed(1)
    model = make_model(settings.model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, foreach=settings.tuned)
    order = torch.Generator().manual_seed(world.rank)
    images = torch.rand(settings.samples, 784, generator=order)
    labels = torch.randint(0, 10, (settings.samples,), generator=order)
    average = average_flat if settings.aggregate == "flat" else average_pickled

    train_cpu, aggregate_cpu = [], []
    for _ in range(settings.rounds + 1):
        world.Barrier()
        begin = time.process_time()
        for _ in range(settings.epochs):
            for rows in torch.randperm(settings.samples, generator=order).split(settings.batch):
                optimizer.zero_grad(set_to_none=settings.tuned)
                functional.cross_entropy(model(images[rows]), labels[rows]).backward()
                optimizer.step()
        trained = time.process_time()
        world.Barrier()  # waiting for the slowest silo is nobody's cost
        ready = time.process_time()
        with torch.no_grad():
            average(model, world)
        end = time.process_time()
        train_cpu.append(world.allreduce(trained - begin))
        aggregate_cpu.append(world.allreduce(end - ready))
    if world.rank == 0:
        print(json.dumps({
            "model": settings.model, "aggregate": settings.aggregate, "tuned": settings.tuned, "ranks": world.size,
            "train_cpu_s": statistics.median(train_cpu[1:]), "aggregate_cpu_s": statistics.median(aggregate_cpu[1:]),
        }), flush=True)


if __name__ == "__main__":
    main()
