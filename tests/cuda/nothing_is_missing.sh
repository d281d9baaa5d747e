#!/usr/bin/env bash
# nothing_is_missing.sh PROGRAM [MAY_BE]: fails where the program calls a function of ours that is weak and not there, unless its name has
# MAY_BE in it.
set -euo pipefail
missing=$(nm -C "$1" | grep -E '^ +w silosum::' | grep -v "${2:-nothing may be missing}" || true)
if [[ -n $missing ]]; then
    printf 'declared for a GPU, defined nowhere:\n%s\n' "$missing"
    exit 1
fi
