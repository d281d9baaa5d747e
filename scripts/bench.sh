#!/usr/bin/env bash
# Measures speed against PyTorch and MPI. See --help.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

usage() {
    cat << 'END'
usage: scripts/bench.sh [step|round|sum|start|secure]...     (all but secure without an argument)

  step    one training step of softmax regression, 2NN and CNN at batch 10 against PyTorch, and as a share of the core's FMA peak
  round   a whole FedAvg round over four silos against mpi4py + PyTorch
  sum     the sum of 25 million parameters, plain and secure, over 4 and 8 ranks against MPI_Allreduce of float32
  secure  seconds of secure rounds by silos, parameters, graph and leavers, over 4 ranks (an hour, 8 GB)
  start   CPU seconds from start to the first step, four ranks, against an empty MPI program

Installs what is missing (also PyTorch, mpi4py and OpenBLAS: without OpenBLAS Debian's PyTorch uses a slow reference BLAS), builds preset
release, and measures CPU time; both sides of a comparison take turns, so the machine need not be idle. Ratios repeat within some 10 %.
END
}

parts=()
for argument in "$@"; do
    case $argument in
        -h | --help)
            usage
            exit
            ;;
        step | round | sum | start | secure) parts+=("$argument") ;;
        *) fail "unknown argument \"$argument\"; see --help" 2 ;;
    esac
done
if ((${#parts[@]} == 0)); then parts=(step round sum start); fi

install_unless_told_not_to "${build_packages[@]}" python3 python3-torch python3-numpy python3-mpi4py libopenblas0-pthread
build release silosum step_bench empty_mpi
mpi_environment
export OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1
cd "$root"

for part in "${parts[@]}"; do
    say "$part"
    case $part in
        step) /usr/bin/python3 scripts/bench_step.py ;;
        round) /usr/bin/python3 scripts/bench_round.py ;;
        sum) for ranks in 4 8; do mpirun -np "$ranks" build/release/silosum bench --sizes 1663370p,25000000p --phases; done ;;
        secure)
            bench() { mpirun -np 4 build/release/silosum bench --exchange secure --graph complete,harary --dropouts 0,0.1 --phases "$@"; }
            bench --sizes 1663370p --silos 4,16,64,256 --repetitions 2
            bench --sizes 25000000p,100000000p --silos 4,16,64,256 --repetitions 1
            ;;
        start) /usr/bin/python3 scripts/bench_start.py ;;
    esac
done
