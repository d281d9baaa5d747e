#!/usr/bin/env bash
# nothing_is_missing.sh PROGRAM: fails where the program calls a function of ours that is weak and not there.
set -euo pipefail
missing=$(nm -C "$1" | grep -E '^ +w silosum::' || true)
if [[ -n $missing ]]; then
    printf 'declared for a GPU, defined nowhere:\n%s\n' "$missing"
    exit 1
fi
