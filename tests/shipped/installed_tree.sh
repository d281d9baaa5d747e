#!/usr/bin/env bash
# `cmake --install` gives a tree that works where it lies, also after it was moved. installed_tree.sh BUILD_FOLDER
source tests/shipped/common.sh

DESTDIR='' cmake --install "$1" --prefix "$folder/first" > "$folder/log" || { cat "$folder/log"; fail "cmake --install failed"; }
mv "$folder/first" "$folder/moved"
prefix=$folder/moved
cd "$folder"

"$prefix/bin/silosum" --version
mpirun -np 2 "$prefix/bin/silosum" train "$prefix/share/silosum/configs/penguins.cfg" --run.dir "$folder/run" --run.rounds 2 < /dev/null
[[ -s $folder/run/model.h5 ]] || fail "no model in the run folder"
for file in share/doc/silosum/LICENSE share/doc/silosum/docs/options.md share/silosum/scripts/pytorch_logits.py; do
    [[ -s $prefix/$file ]] || fail "$file is not in the installed tree"
done
ls "$prefix"/share/modulefiles/silosum/*.lua
