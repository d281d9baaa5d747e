#!/usr/bin/env bash
# From a bare machine to a trained federation: three islands of penguins. See --help.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

case ${1:-} in
    "") ;;
    -h | --help)
        cat << 'END'
usage: scripts/quickstart.sh

Installs what is missing (Debian 12, Ubuntu 24.04; as root or through sudo), builds preset release, and trains a softmax regression over three
islands of penguins with three MPI ranks. Shows what each island would reach alone and what all reach together. The run is in runs/penguins.
Run again, it installs nothing and builds only what changed.

Environment: SILOSUM_INSTALL=no installs nothing; CCACHE_DIR is the compiler cache.
END
        exit
        ;;
    *) fail "unknown argument \"$1\"; see --help" 2 ;;
esac

install_unless_told_not_to "${build_packages[@]}"
build release silosum
mpi_environment

cd "$root"
command=(mpirun -np 3 build/release/silosum train configs/penguins.cfg --run.overwrite true)
say "${command[*]}"
"${command[@]}" < /dev/null
