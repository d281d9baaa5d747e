#!/usr/bin/env bash
# Builds and runs every test; the last lines are the summary of ctest. See --help.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

usage() {
    cat << 'END'
usage: scripts/test.sh [--quick] [--preset NAME]

Installs what is missing (Debian 12, Ubuntu 24.04), builds, and runs the tests:
  asan     unit, mpi and cuda_emulated tests with the address and undefined-behaviour sanitizers
  tsan     the tests of threads with the thread sanitizer
  fuzz     random messages for the secure sum, for a minute
  release  all tests: unit, mpi, cuda_emulated, end_to_end, browser, slurm, fault, style (format, includes, clang-tidy)
Ends with the summary of ctest, and with its exit code. Run again, it builds only what changed.

  --quick         preset release only, unit and mpi tests only
  --preset NAME   all tests of this preset only (release, dev, asan, tsan, fuzz)
  -h, --help      this text

Environment: SILOSUM_INSTALL=no installs nothing; CCACHE_DIR is the compiler cache.
END
}

presets=(asan tsan fuzz release)
quick=no
while (($# > 0)); do
    case $1 in
        --quick) quick=yes presets=(release) ;;
        --preset)
            (($# > 1)) || fail "--preset needs a name; see --help" 2
            presets=("$2")
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

install_unless_told_not_to "${build_packages[@]}" "${test_packages[@]}"
if [[ $quick == no ]]; then install_unless_told_not_to "${slurm_packages[@]}" "${browser_packages[@]}"; fi
mpi_environment

# run_tests PRESET [ctest arguments]
run_tests() {
    local preset=$1
    shift
    say "testing preset $preset"
    ctest --test-dir "$root/build/$preset" --output-on-failure --parallel "$cores" --no-tests=error "$@" < /dev/null
}

for preset in "${presets[@]}"; do
    case $preset in
        asan)
            build asan unit_tests mpi_tests
            run_tests asan --label-regex 'unit|mpi|cuda_emulated'
            ;;
        tsan)
            build tsan threads_tests
            run_tests tsan --label-regex threads
            ;;
        fuzz)
            build fuzz secure_party_fuzz
            run_tests fuzz --label-regex fuzz
            ;;
        *)
            # Where the library was installed above, the build must not do without it unseen.
            if [[ ${SILOSUM_INSTALL:-yes} != no && $(uname -m) == x86_64 ]]; then
                (cd "$root" && cmake --preset "$preset" -DSILOSUM_IPSEC_MB=ON > /dev/null) || fail "preset $preset cannot be configured with ipsec-mb"
            fi
            build "$preset"
            if [[ $quick == yes ]]; then run_tests "$preset" --label-regex 'unit|mpi|cuda_emulated'; else run_tests "$preset"; fi
            ;;
    esac
done
