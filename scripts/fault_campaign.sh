#!/usr/bin/env bash
# Faults at random moments of runs, which must end with the right model all the same. See --help.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

usage() {
    cat << 'END'
usage: scripts/fault_campaign.sh N [--seed S] [--kind KIND]

Builds preset release and disturbs N runs, plain and secure in turns, at random moments: a rank or all of them killed, a rank that hangs or is
slow, SIGTERM, SIGUSR1, a full disk, a damaged checkpoint, a vanished shard. After each fault the run is started again and must end with the
model of a run without any. Some seconds a fault; ends with the counts by kind, or with the first thing that is wrong.

  --seed S      other moments (default 1)
  --kind KIND   only faults with this text in their name
END
}

case ${1:-} in
    -h | --help) usage && exit ;;
    "" | *[!0-9]*) fail "how many faults? See --help" 2 ;;
esac
install_unless_told_not_to "${build_packages[@]}"
build release silosum
SILOSUM=$root/build/release/silosum PYTHONDONTWRITEBYTECODE=1 exec python3 "$root/tests/fault/campaign.py" "$@"
