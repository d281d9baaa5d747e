# Shared by these tests: a folder of their own, and mpirun as the scripts start it. Sourced, not run.
# shellcheck shell=bash
set -euo pipefail
source scripts/lib.sh
mpi_environment
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
