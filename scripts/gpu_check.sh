#!/usr/bin/env bash
# Runs the kernels' contract tests and benchmark on this machine's GPU. See --help.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

usage() {
    cat << 'END'
usage: scripts/gpu_check.sh [--build DIR]

On a machine with an NVIDIA GPU: builds the kernels for it, runs their contract tests, and times them beside cuBLAS where that is installed.
Needs the CUDA toolkit, CMake, a C++20 compiler, fmt, Highway, OpenSSL, Boost.Program_options, nlohmann-json and GoogleTest; neither MPI nor HDF5.

  --build DIR   build folder (build/gpu)
  -h, --help    this text
END
}

folder=$root/build/gpu
while (($# > 0)); do
    case $1 in
        --build)
            (($# > 1)) || fail "--build needs a folder; see --help" 2
            folder=$2
            shift
            ;;
        -h | --help)
            usage
            exit
            ;;
        *) fail "unknown argument \"$1\"; see --help" 2 ;;
    esac
    shift
done

command -v nvidia-smi > /dev/null || fail "no NVIDIA driver on this machine (nvidia-smi is missing)"
# All of them: CUDA may number GPUs in another order. A driver that does not answer says why in place of the list.
capabilities=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader) || fail "nvidia-smi shows no GPU: $capabilities"
architectures=$(sort -u <<< "${capabilities//./}" | paste -s -d ';')
[[ $architectures =~ ^[0-9]+(;[0-9]+)*$ ]] || fail "nvidia-smi shows no GPU: $capabilities"
say "$(nvidia-smi --query-gpu=name,compute_cap,driver_version --format=csv,noheader)"

cmake -S "$root" -B "$folder" -DCMAKE_BUILD_TYPE=Release -DSILOSUM_KERNELS_ONLY=ON -DSILOSUM_CUDA=ON \
    -DSILOSUM_WERROR=OFF -DCMAKE_CUDA_ARCHITECTURES="$architectures" > /dev/null
cmake --build "$folder" --parallel "$cores" --target kernels_gpu_test gpu_bench
say "contract tests"
"$folder/tests/cuda/kernels_gpu_test" --gtest_filter='Each/*' --gtest_brief=1
say "kernels, in ms and as a share of what the GPU or cuBLAS does"
"$folder/tests/cuda/gpu_bench"
