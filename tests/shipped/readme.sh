#!/usr/bin/env bash
# Every command in the README runs as it stands there; scripts/test.sh does not run itself again. readme.sh SILOSUM
source tests/shipped/common.sh

# The commands expect the program in build/release: a folder of links gives any build tree that name.
mkdir -p "$folder/build/release"
ln -s "$1" "$folder/build/release/silosum"
ln -s "$root/configs" "$folder/configs"
cd "$folder"

count=0
while IFS= read -r command; do
    case $command in
        scripts/test.sh*) continue ;; # what is running now
        scripts/quickstart.sh) command="mpirun -np 3 build/release/silosum train configs/penguins.cfg --run.overwrite true" ;;
    esac
    printf '+ %s\n' "$command"
    bash -euo pipefail -c "$command" < /dev/null
    count=$((count + 1))
done < <(awk '/^```/ { inside = ($0 == "```sh"); next } inside && NF' "$root/README.md" | sed 's/ *#.*//')
((count >= 3)) || fail "only $count commands found in the README"
