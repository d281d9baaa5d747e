#!/usr/bin/env bash
# Formats every C++ file in place; with --check says which ones differ instead. See --help.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

case ${1:-} in
    -h | --help)
        echo "usage: scripts/format.sh [--check]   formats src, kernels and tests in place, or lists what is not formatted"
        exit
        ;;
    --check) arguments=(--dry-run --Werror) ;;
    "") arguments=(-i) ;;
    *) fail "unknown argument \"$1\"; see --help" 2 ;;
esac
command -v clang-format-14 > /dev/null || fail "clang-format-14 is not installed; scripts/test.sh installs it" 77
cd "$root"
find src kernels tests -name '*.[hc]pp' -print0 | xargs -0 clang-format-14 "${arguments[@]}"
