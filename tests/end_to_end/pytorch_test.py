"""An exported model gives the same logits in PyTorch, for every kind of layer, task and standardisation.

Skipped where no Python with torch, numpy and h5py is found; SILOSUM_TORCH_PYTHON names one."""

import os
import subprocess
import sys
import unittest

import harness

SCRIPT = harness.ROOT / "scripts" / "pytorch_logits.py"

# Shards that `silosum shard` does not make: images of three channels, and a regression. Arguments: folder, task, classes, shape of x.
MAKE_SHARDS = """
import sys, h5py, numpy
folder, task, classes, *shape = sys.argv[1], sys.argv[2], int(sys.argv[3]), *map(int, sys.argv[4:])
draw = numpy.random.default_rng(1)
for silo in ("north", "south"):
    with h5py.File(f"{folder}/{silo}.h5", "w") as file:
        file.attrs.update(format="silosum-shard", version=1, silo=silo, task=task, classes=classes)
        for split, rows in (("train", 50), ("test", 30)):
            x = draw.normal(size=(rows, *shape))
            first = x.reshape(rows, -1)[:, 0]
            group = file.create_group(split)
            if len(shape) == 3:
                group["x"] = numpy.clip(x * 40 + 128, 0, 255).astype("u1")
                group["x"].attrs.update(scale=1 / 255, offset=-0.5)
            else:
                group["x"] = (x * 3 + 7).astype("f4")
            group["y"] = first.astype("f4") if task == "regression" else (numpy.abs(first) * 2).astype("i8") % classes
"""

EVERY_LAYER = (
    "conv 6 3 pad=1, relu, maxpool 2, groupnorm 3, conv 8 3 stride=2 pad=1, gelu, layernorm, avgpool 2, dropout 0.25, "
    "dense 10, tanh, layernorm, flatten, dense 12, sigmoid, dense outputs"
)


def python_with_torch():
    for python in (os.environ.get("SILOSUM_TORCH_PYTHON"), sys.executable, "/usr/bin/python3"):
        if python and subprocess.run([python, "-c", "import torch, numpy, h5py"], capture_output=True).returncode == 0:
            return python
    return None


PYTHON = python_with_torch()


@unittest.skipIf(PYTHON is None, "no Python with torch, numpy and h5py")
class PyTorch(harness.EndToEnd):
    def python(self, *arguments):
        result = subprocess.run([PYTHON, *map(str, arguments)], capture_output=True, text=True, timeout=120)
        return harness.Result(result.returncode, result.stdout, result.stderr)

    def good(self, result):
        self.assertEqual(result.code, 0, str(result))
        return result

    def train_layers(self, layers, standardise, task, classes, *shape):
        shards = self.folder / "shards"
        shards.mkdir(exist_ok=True)
        self.good(self.python("-c", MAKE_SHARDS, shards, task, classes, *shape))
        config = self.write_config(
            f"[run]\nrounds = 2\n[data]\nshards = shards\nstandardise = {standardise}\n[model]\nname = layers\nlayers = {layers}\n"
            "[local]\nbatch_size = 16\nlr = 0.02\n"
        )
        self.train(config, ranks=1, flags=["--run.overwrite", "true"])

    def compare(self, predictions="logits.csv", predicted_shard="north", shard="north"):
        model, exported = self.folder / "run" / "model.h5", self.folder / "model.safetensors"
        data = self.folder / "shards"
        self.good(harness.run(["export", "--model", model, "--out", exported]))
        self.good(harness.run(["predict", "--model", model, "--data", data / f"{predicted_shard}.h5", "--logits", "--out", self.folder / predictions]))
        return self.python(SCRIPT, exported, data / f"{shard}.h5", "--compare", self.folder / predictions)

    def test_every_layer_has_the_same_logits(self):
        for standardise in ("none", "federated", "silo"):
            self.train_layers(EVERY_LAYER, standardise, "classification", 4, 3, 8, 8)
            self.good(self.compare())
        self.good(self.compare("logits.h5"))

    def test_every_task_has_the_same_logits(self):
        self.train_layers("conv 4 3, tanh, maxpool 3 stride=2 pad=1, dense outputs", "none", "binary", 2, 9, 8)
        self.good(self.compare())
        self.train_layers("dense 5, gelu, dense outputs", "federated", "regression", 0, 6)
        self.good(self.compare())

    def test_other_logits_are_noticed(self):
        self.train_layers("dense outputs", "none", "binary", 2, 6)
        result = self.compare(predicted_shard="south")
        self.assertEqual(result.code, 1, str(result))
        self.assertIn("DIFFERENT", result.out)


if __name__ == "__main__":
    unittest.main()
