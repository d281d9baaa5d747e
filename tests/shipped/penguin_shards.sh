#!/usr/bin/env bash
# The shards of the penguins are what the command in configs/data/penguins/README.md makes. penguin_shards.sh SILOSUM
source tests/shipped/common.sh
shipped=configs/data/penguins

command=$(sed -n '/^build\/release\/silosum shard/,/^```/p' "$shipped/README.md" | sed 's/\\$//; /^```/d' | tr -d '\n')
[[ $command == *"--out $shipped"* ]] || fail "no command with --out $shipped in $shipped/README.md"
command=${command/build\/release\/silosum/$1}
eval "${command/--out $shipped/--out $folder}"

compared=0
for made in "$folder"/*.h5; do
    name=$(basename "$made")
    # The same content: the HDF5 library of another year may lay out the bytes differently.
    diff <("$1" inspect "$shipped/$name" | sed 1d) <("$1" inspect "$made" | sed 1d)
    compared=$((compared + 1))
done
shards=("$shipped"/*.h5)
((compared == 3 && ${#shards[@]} == 3)) || fail "made $compared shards, shipped ${#shards[@]}, expected 3"
