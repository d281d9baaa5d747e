#!/usr/bin/env bash
# clang-tidy on src and kernels with the checks of .clang-tidy. tidy.sh BUILD_FOLDER
# Only files that changed since the last clean run are checked again; a changed header makes all of them count as changed.
set -euo pipefail
build=$1
stamp=$build/tidy.stamp
if ! command -v run-clang-tidy-14 > /dev/null; then
    echo "clang-tidy-14 is not installed; scripts/test.sh installs it"
    exit 77
fi

rules=(.clang-tidy tests/style/tidy.sh)
mapfile -t headers < <(find src kernels -name '*.hpp')
newer=()
if [[ -e $stamp && -z $(find "${rules[@]}" "${headers[@]}" -newer "$stamp" -print -quit) ]]; then newer=(-newer "$stamp"); fi
mapfile -t files < <(find "$PWD/src" "$PWD/kernels" -name '*.cpp' "${newer[@]}")

touch "$stamp.new"
if ((${#files[@]} > 0)); then
    # It prints every command and how many warnings it suppressed: shown only when there is something to see.
    if ! run-clang-tidy-14 -quiet -p "$build" "${files[@]}" > "$build/tidy.log" 2>&1; then
        grep -A 4 -E '(warning|error):' "$build/tidy.log"
        exit 1
    fi
fi
mv "$stamp.new" "$stamp"
echo "${#files[@]} files checked"
