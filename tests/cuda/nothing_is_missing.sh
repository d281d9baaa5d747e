#!/usr/bin/env bash
# nothing_is_missing.sh PROGRAM [MAY_BE]: fails where the program calls a function of ours that is weak and not there, unless its name has
# MAY_BE in it.
set -euo pipefail
names=$(nm -C "$1")
if [[ $names != *silosum::cuda::list_devices* ]]; then
    echo "$1 has no names of functions: there is nothing to check"
    exit 1
fi
missing=$(awk -v may_be="${2:-}" '/^ +w silosum::/ && (may_be == "" || !index($0, may_be))' <<< "$names")
if [[ -n $missing ]]; then
    printf 'declared for a GPU, defined nowhere:\n%s\n' "$missing"
    exit 1
fi
