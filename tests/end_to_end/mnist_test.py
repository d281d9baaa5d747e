"""Secure runs on MNIST have the bits of plain ones: 2NN and CNN, 3 to 100 silos, some of which leave. Needs the four files of MNIST in the
folder mnist of SILOSUM_DATA; skipped without."""

import gzip
import os
import pathlib
import random
import struct
import unittest

import harness

DATA = pathlib.Path(os.environ.get("SILOSUM_DATA", "")) / "mnist"
STEPS = ["train", "keys", "shares", "entry", "signature", "release"]

CONFIG = """
[run]
rounds = 2
[data]
shards = shards
[model]
name = {model}
[local]
batch_size = 10
lr = 0.1
[eval]
every = 0
[exchange]
identities = throwaway
max_weight = 4000
corrupt = {corrupt}
[checkpoint]
every = 0
"""


def first_of(name, rows, folder):
    """The first rows of an IDX file."""
    content = gzip.decompress((DATA / f"{name}.gz").read_bytes())
    magic, _, *sides = struct.unpack(">IIII", content[:16]) if "images" in name else struct.unpack(">II", content[:8])
    head = struct.pack(f">{2 + len(sides)}I", magic, rows, *sides)
    size = rows * (sides[0] * sides[1] if sides else 1)
    (folder / name).write_bytes(head + content[len(head) : len(head) + size])


@unittest.skipUnless((DATA / "train-images-idx3-ubyte.gz").exists(), "SILOSUM_DATA is not set to a folder with mnist/")
class Mnist(harness.EndToEnd):
    def compare(self, model, silos, rows):
        images = self.folder / "images"
        images.mkdir()
        for name, count in (("train", rows), ("t10k", 100)):
            first_of(f"{name}-images-idx3-ubyte", count, images)
            first_of(f"{name}-labels-idx1-ubyte", count, images)
        result = harness.run(["shard", "--from", f"mnist:{images}", "--silos", silos, "--split", "iid", "--test-fraction", 0, "--out", self.folder / "shards"])
        self.assertEqual(result.code, 0, str(result))
        config = self.write_config(CONFIG.format(model=model, corrupt=0.05 if silos > 64 else 0.2))
        names = [path.stem.removeprefix("silo-") for path in (self.folder / "shards").glob("silo-*.h5")]
        draw = random.Random(silos)
        leaving = [f"{number}:{silo}:{draw.choice(STEPS)}" for number in (1, 2) for silo in draw.sample(sorted(names), max(1, silos // 40))]
        kinds = {"all": []}
        if silos >= 5:
            kinds["leaving"] = ["--exchange.rehearse_leaving", ", ".join(leaving), "--exchange.weights", "uniform"]
        for kind, flags in kinds.items():
            self.train(config, 2, f"plain-{kind}", flags, timeout=600)
            plain = [line["model_sha256"] for line in self.metrics(f"plain-{kind}")]
            for ranks in (1, 2, 4, 8):
                name = f"{kind}-{ranks}"
                self.train(config, ranks, name, [*flags, "--exchange.secure", "true"], timeout=600)
                self.assertEqual([line["model_sha256"] for line in self.metrics(name)], plain, f"{model}, {silos} silos, {name}")
            print(f"{model}, {silos} silos, {kind}: 1, 2, 4, 8 ranks have {plain[-1][:12]}", flush=True)

    def test_2nn(self):
        for silos in (3, 10, 33, 100):
            with self.subTest(silos=silos):
                self.setUp()
                self.compare("2nn", silos, 6000)

    def test_cnn(self):
        for silos in (3, 10, 33, 100):
            with self.subTest(silos=silos):
                self.setUp()
                self.compare("cnn", silos, 2000)


if __name__ == "__main__":
    unittest.main()
