#!/usr/bin/env bash
# docs/options.md is made from the code: it must be what the program says today. options.sh SILOSUM
set -euo pipefail
if ! diff docs/options.md <("$1" --options-markdown); then
    echo "docs/options.md is not current; make it again: $1 --options-markdown > docs/options.md"
    exit 1
fi
