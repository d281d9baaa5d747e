# Shared by the scripts: where the repository is, what it needs from the system, and how mpirun is started. Sourced, not run.
# shellcheck shell=bash disable=SC2034

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cores=$(nproc)

# Debian 12 and Ubuntu 24.04 call them the same. clang tools are pinned: other versions format and warn differently.
build_packages=(cmake ninja-build g++ ccache openmpi-bin libopenmpi-dev libhdf5-dev libboost-program-options-dev libboost-context-dev libfmt-dev
    nlohmann-json3-dev libssl-dev libsodium-dev pkg-config zlib1g-dev libhwy-dev libgtest-dev libgmock-dev
    python3)
# Hashes of secure sums side by side; there is none for other processors.
if [[ $(uname -m) == x86_64 ]]; then build_packages+=(libipsec-mb-dev); fi
test_packages=(python3-numpy python3-h5py python3-venv clang-format-14 clang-tidy-14 clang-14 libclang-rt-14-dev shellcheck git)
slurm_packages=(slurm-wlm slurm-client munge)
# Opens the reports in the tests. Ubuntu has it only as a snap, which does not start in every container: that test is skipped there.
browser_packages=()
if grep -qsx 'ID=debian' /etc/os-release; then browser_packages=(chromium); fi

say() { printf '\n== %s\n' "$*"; }
fail() {
    printf '%s: %s\n' "$(basename "$0")" "$1" >&2
    exit "${2:-1}"
}

# install_packages NAME...: installs those that dpkg does not know as installed. Costs nothing when all are there.
install_packages() {
    if ! command -v dpkg-query > /dev/null; then
        fail "packages are installed on Debian 12 and Ubuntu 24.04 only; install the equivalents of: $*
(then run this script with SILOSUM_INSTALL=no)"
    fi
    local missing=() name
    for name in "$@"; do
        if [[ $(dpkg-query --show --showformat '${db:Status-Status}' "$name" 2> /dev/null) != installed ]]; then
            missing+=("$name")
        fi
    done
    if ((${#missing[@]} == 0)); then return; fi

    local as_root=()
    if (($(id -u) != 0)); then
        command -v sudo > /dev/null || fail "neither root nor sudo here; ask for these packages: ${missing[*]}"
        as_root=(sudo)
    fi
    say "installing ${missing[*]}"
    local log
    log=$(mktemp)
    # A failed update is no reason to stop: the lists that are there may be enough, and the installation says if they are not.
    "${as_root[@]}" apt-get update < /dev/null > "$log" 2>&1 || true
    if ! "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends "${missing[@]}" \
        < /dev/null >> "$log" 2>&1; then
        tail -n 30 "$log" >&2
        fail "apt-get could not install: ${missing[*]} (the whole log: $log)"
    fi
    rm -f "$log"
}

# SILOSUM_INSTALL=no leaves the system alone, for machines where the packages come from elsewhere (modules, Spack).
install_unless_told_not_to() {
    if [[ ${SILOSUM_INSTALL:-yes} != no ]]; then install_packages "$@"; fi
}

# build PRESET [TARGET...]: configures once, builds what changed. Quiet unless it fails: the log is shown then.
build() {
    local preset=$1 log="$root/build/$1.log"
    shift
    mkdir -p "$root/build"
    export CCACHE_DIR=${CCACHE_DIR:-${XDG_CACHE_HOME:-${HOME:-$root/build}/.cache}/ccache}
    say "building preset $preset (some minutes the first time; the log is $log)"
    : > "$log" || fail "cannot write $log: is this another user's copy?"
    local targets=()
    if (($# > 0)); then targets=(--target "$@"); fi
    if ! (cd "$root" && cmake --preset "$preset" && cmake --build --preset "$preset" --parallel "$cores" "${targets[@]}") \
        < /dev/null > "$log" 2>&1; then
        grep -nE -A 8 'error|FAILED|Error' "$log" | tail -n 60 >&2 || tail -n 60 "$log" >&2
        fail "preset $preset does not build (the whole log: $log)"
    fi
}

# Open MPI refuses root, and more ranks than cores, unless told otherwise; waiting ranks then have to yield. Not bound to
# cores: two programs at once would share the first ones.
mpi_environment() {
    if (($(id -u) == 0)); then export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1; fi
    export OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_mpi_yield_when_idle=1 OMPI_MCA_hwloc_base_binding_policy=none
}
