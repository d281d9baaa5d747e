#!/usr/bin/env bash
# scripts/pytorch_logits.py gets from an exported model the logits that silosum predicts. pytorch_logits.sh SILOSUM PYTHON
source tests/shipped/common.sh
silosum=$1
python=$2
"$python" -c 'import torch, h5py' 2> /dev/null || { echo "no PyTorch with h5py for $python here (Debian: python3-torch python3-h5py)"; exit 77; }

# export_and_compare RUN SHARD
export_and_compare() {
    "$silosum" export --model "$1/model.h5" --format safetensors --out "$1/model.safetensors"
    "$silosum" predict --model "$1/model.h5" --data "$2" --logits --out "$1/logits.csv"
    "$python" scripts/pytorch_logits.py "$1/model.safetensors" "$2" --compare "$1/logits.csv"
}

"$silosum" train configs/penguins.cfg --run.dir "$folder/penguins" --run.rounds 3 --run.progress none
export_and_compare "$folder/penguins" configs/data/penguins/silo-Biscoe.h5

# Colour images, written as docs/formats.md says, and every kind of layer that has parameters or a shape.
"$python" - "$folder/colour.h5" << 'END'
import sys
import h5py
import numpy

numbers = numpy.random.default_rng(1)
with h5py.File(sys.argv[1], "w") as file:
    file.attrs.update({"format": "silosum-shard", "version": 1, "silo": "colour", "task": "classification", "classes": 5, "source": "random"})
    for split, rows in (("train", 40), ("test", 23)):
        group = file.create_group(split)
        x = group.create_dataset("x", data=numbers.integers(0, 256, (rows, 3, 12, 12), dtype="uint8"))
        x.attrs.update({"scale": 1 / 255, "offset": 0.0})
        group.create_dataset("y", data=numbers.integers(0, 5, rows))
END
cat > "$folder/colour.cfg" << 'END'
[run]
rounds = 2
[data]
shards = colour.h5
[model]
name = layers
layers = conv 8 3 pad=1, groupnorm 2, relu, maxpool 2, conv 6 3 stride=2, tanh, avgpool 2, dense 16, layernorm, gelu, dropout 0.2, dense outputs
[local]
batch_size = 8
lr = 0.1
END
"$silosum" train "$folder/colour.cfg" --run.dir "$folder/colour" --run.progress none
export_and_compare "$folder/colour" "$folder/colour.h5"
