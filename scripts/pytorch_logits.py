#!/usr/bin/env python3
"""Loads an exported model into PyTorch and compares its logits with those of `silosum predict`.

  silosum export  --model model.h5 --out model.safetensors
  silosum predict --model model.h5 --data shard.h5 --logits --out logits.csv
  scripts/pytorch_logits.py model.safetensors shard.h5 --compare logits.csv

Needs torch, numpy and h5py; not the safetensors package: the format is read here, as an example. Without --compare the logits
are printed. Ends with 1 when the largest difference is above --tolerance times the largest logit (or 1, if that is more).
"""
import argparse
import csv
import json
import struct
import sys

import h5py
import numpy as np
import torch


def read_safetensors(path):
    """Tensors by name, and the metadata: 8 bytes of header length, JSON header, raw little-endian values."""
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
        data = file.read()
    metadata = header.pop("__metadata__", {})
    tensors = {}
    for name, entry in header.items():
        if entry["dtype"] != "F32":
            sys.exit(f"{path}: tensor {name} is {entry['dtype']}, F32 expected")
        begin, end = entry["data_offsets"]
        values = np.frombuffer(data[begin:end], dtype="<f4").reshape(entry["shape"])
        tensors[name] = torch.from_numpy(values.copy())
    return tensors, metadata


def arguments_of(words, names):
    """["5", "pad=2"] with names (kernel, stride, pad) -> {"kernel": "5", "pad": "2"}."""
    values, place = {}, 0
    for word in words:
        if "=" in word:
            name, value = word.split("=")
        else:
            name, value, place = names[place], word, place + 1
        values[name] = value
    return values


class LayerList:
    """torch.nn.Sequential from the text of a layer list: "conv 32 5 pad=2, relu, maxpool 2, dense outputs"."""

    def __init__(self, feature_shape, outputs):
        self.outputs = outputs
        # Shape of one sample: (channels, height, width) or (values).
        self.shape = (1, *feature_shape) if len(feature_shape) == 2 else tuple(feature_shape)
        self.layers = []

    def append(self, layer):
        self.layers.append(layer)
        with torch.no_grad():
            self.shape = tuple(layer.eval()(torch.zeros(1, *self.shape)).shape[1:])

    def add(self, text):
        kind, *words = text.split()
        if kind == "dense":
            if len(self.shape) > 1:  # the implied flatten is a layer of its own, and counts
                self.append(torch.nn.Flatten())
            units = arguments_of(words, ["units"])["units"]
            self.append(torch.nn.Linear(self.shape[0], self.outputs if units == "outputs" else int(units)))
        elif kind == "conv":
            given = arguments_of(words, ["channels", "kernel", "stride", "pad"])
            self.append(torch.nn.Conv2d(self.shape[0], int(given["channels"]), int(given["kernel"]),
                                        stride=int(given.get("stride", 1)), padding=int(given.get("pad", 0))))
        elif kind in ("maxpool", "avgpool"):
            given = arguments_of(words, ["window", "stride", "pad"])
            window = int(given["window"])
            pool = torch.nn.MaxPool2d if kind == "maxpool" else torch.nn.AvgPool2d
            self.append(pool(window, stride=int(given.get("stride", window)), padding=int(given.get("pad", 0))))
        elif kind == "groupnorm":
            self.append(torch.nn.GroupNorm(int(arguments_of(words, ["groups"])["groups"]), self.shape[0]))
        elif kind == "layernorm":
            self.append(torch.nn.LayerNorm(self.shape))
        elif kind == "dropout":
            self.append(torch.nn.Dropout(float(arguments_of(words, ["rate"])["rate"])))
        elif kind == "gelu":
            self.append(torch.nn.GELU(approximate="tanh"))
        elif kind in ("relu", "tanh", "sigmoid", "flatten"):
            self.append({"relu": torch.nn.ReLU, "tanh": torch.nn.Tanh, "sigmoid": torch.nn.Sigmoid, "flatten": torch.nn.Flatten}[kind]())
        else:
            sys.exit(f"unknown layer \"{text}\"")


def build_model(tensors, metadata):
    outputs = int(metadata["classes"]) if metadata["task"] == "classification" else 1
    layers = LayerList(json.loads(metadata["feature_shape"]), outputs)
    for text in metadata["layers"].split(","):
        layers.add(text.strip())
    model = torch.nn.Sequential(*layers.layers)
    model.load_state_dict(tensors)  # strict: every name and shape must be there
    return model.eval()


def read_features(path, split, metadata):
    """Rows as the model sees them: pixel scale of a uint8 shard, then the model's standardisation."""
    with h5py.File(path, "r") as shard:
        def values(name):
            x = shard[name]["x"]
            rows = x[...].astype(np.float64)
            return rows * float(x.attrs.get("scale", 1)) + float(x.attrs.get("offset", 0)) if x.dtype == np.uint8 else rows

        features = values(split)
        kind = metadata["standardise"]
        if kind == "none":
            return features.astype(np.float32)
        if kind == "federated":
            mean = np.array(json.loads(metadata["standardise_mean"])).reshape(features.shape[1:])
            deviation = np.array(json.loads(metadata["standardise_deviation"])).reshape(features.shape[1:])
        else:  # each silo's own, of its train rows
            train = values("train")
            mean, deviation = train.mean(axis=0), train.std(axis=0, ddof=1)
            deviation[deviation**2 <= 1e-13 * (train**2).mean(axis=0)] = 0  # constant but for rounding
    # A feature without deviation says nothing and is 0.
    return np.where(deviation > 0, (features - mean) / np.where(deviation > 0, deviation, 1), 0).astype(np.float32)


def read_logits(path):
    if path.endswith(".h5"):
        with h5py.File(path, "r") as file:
            logits = file["logit" if "logit" in file else "prediction"][...]
            if file.attrs["task"] != "regression" and "logit" not in file:
                sys.exit(f"{path} holds no logits: run silosum predict with --logits")
        return logits.reshape(len(logits), -1)
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    names = [name for name in rows[0] if name.split("_")[0] == "logit"]
    if not names and "target" in rows[0]:
        names = ["prediction"]
    if not names:
        sys.exit(f"{path} holds no logits: run silosum predict with --logits")
    return np.array([[float(row[name]) for name in names] for row in rows])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", metavar="MODEL.safetensors")
    parser.add_argument("shard", metavar="SHARD.h5")
    parser.add_argument("--split", default="test", help="train, validation or test (default)")
    parser.add_argument("--compare", metavar="FILE", help="output of silosum predict --logits, .csv or .h5")
    parser.add_argument("--tolerance", type=float, default=1e-5,
                        help="largest allowed difference over the largest logit (default 1e-5: float32 sums of thousands of terms in another order)")
    given = parser.parse_args()

    tensors, metadata = read_safetensors(given.model)
    model = build_model(tensors, metadata)
    features = torch.from_numpy(read_features(given.shard, given.split, metadata))
    if features.dim() == 3:  # (rows, height, width): one channel
        features = features.unsqueeze(1)
    with torch.no_grad():
        logits = torch.cat([model(part) for part in features.split(256)]).double().numpy()
    if not given.compare:
        np.savetxt(sys.stdout, logits, fmt="%.9g", delimiter=",")
        return
    expected = read_logits(given.compare)
    if expected.shape != logits.shape:
        sys.exit(f"{given.compare} holds {expected.shape} logits, PyTorch gives {logits.shape}: another split or shard?")
    difference = np.abs(expected - logits).max()
    limit = given.tolerance * max(1.0, np.abs(logits).max())
    verdict = "same" if difference <= limit else "DIFFERENT"
    print(f"{verdict}: {logits.shape[0]} rows, largest |difference| {difference:.3g}, allowed {limit:.3g}")
    sys.exit(0 if difference <= limit else 1)


if __name__ == "__main__":
    main()
