#!/usr/bin/env bash
# Every shell script of the repository through shellcheck.
set -euo pipefail
if ! command -v shellcheck > /dev/null; then
    echo "shellcheck is not installed; scripts/test.sh installs it"
    exit 77
fi
{
    printf '%s\0' .ci/run
    find scripts jobs tests '(' -name '*.sh' -o -name '*.sbatch' ')' -print0
} | xargs -0 shellcheck --external-sources --source-path=SCRIPTDIR --source-path=jobs
