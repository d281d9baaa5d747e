#!/usr/bin/env bash
# Checks a configuration, shows what SLURM will be asked for, and submits. See --help.
set -euo pipefail
source "$(dirname "$0")/lib.sh"
job_script=$root/jobs/train.sbatch
source "$root/jobs/common.sh"

usage() {
    cat << 'END'
usage: scripts/submit.sh [--ranks N] [--seeds ARRAY] [--dry-run] CONFIG [--section.key value ...] [-- OPTIONS OF SBATCH]

Plans the run as `silosum plan` does: a typing error, a missing shard or a number of ranks that does not fit shows now, not after hours in the
queue. Then shows the command, what SLURM would do with it (sbatch --test-only), and submits jobs/train.sbatch.

  --ranks N       MPI ranks (default: one for each silo, times local.ranks_per_silo)
  --seeds ARRAY   one run for each seed, as sbatch --array writes it (1-5, or 1-20%4 for at most four at a time), and a job that
                  collects them in one table
  --dry-run       submits nothing
  -h, --help      this text

Example: scripts/submit.sh configs/penguins.cfg --run.rounds 40 -- --time 10:00 --partition main
The environment variables at the top of jobs/common.sh (SILOSUM, SILOSUM_LAUNCHER...) count as in the jobs.
END
}

ranks="" seeds="" dry_run=no
while (($# > 0)); do
    case $1 in
        --ranks | --seeds)
            (($# > 1)) || fail "$1 needs a value; see --help" 2
            if [[ $1 == --ranks ]]; then ranks=$2; else seeds=$2; fi
            shift
            ;;
        --dry-run) dry_run=yes ;;
        -h | --help) usage && exit ;;
        -*) fail "unknown argument \"$1\" before the configuration; see --help" 2 ;;
        *) break ;;
    esac
    shift
done
(($# > 0)) || fail "which configuration? See --help" 2
config=$1 flags=() options=()
shift
while (($# > 0)) && [[ $1 != -- ]]; do
    flags+=("$1")
    shift
done
if (($# > 0)); then options=("${@:2}"); fi
for option in "${options[@]}"; do
    case $option in
        -n | -n* | --ntasks | --ntasks=*) fail "$option: say --ranks N before the configuration, so that it is checked" 2 ;;
        -a | --array | --array=*) fail "$option: say --seeds ARRAY before the configuration" 2 ;;
    esac
done
command -v sbatch > /dev/null || fail "no sbatch here: submit where SLURM is, or start one for trials with scripts/slurm_local.sh start" 2
find_program
submitted=("$config" "${flags[@]}")
read_arguments "${submitted[@]}"

plan=("${program[@]}" plan "${submitted[@]}")
if [[ -n $ranks ]]; then plan+=(--ranks "$ranks"); fi
shown=$("${plan[@]}") || exit
printf '%s\n' "$shown"
ranks=${ranks:-$(sed -nE '1s/.* on ([0-9]+) rank.*/\1/p' <<< "$shown")}

if [[ -z $seeds ]]; then
    command=(sbatch --ntasks "$ranks" "${options[@]}" "$jobs/train.sbatch" "${submitted[@]}")
else
    command=(sbatch --ntasks "$ranks" "${options[@]}" --array "$seeds" "$jobs/sweep.sbatch" "${submitted[@]}")
fi
say "${command[*]}"
# Where and when it would start; or why it never would: a partition that is not there, more GPUs than a node has.
sbatch --test-only "${command[@]:1}"
if [[ $dry_run == yes ]]; then exit; fi
job=$(sbatch --parsable "${command[@]:1}")
echo "submitted job $job"
if [[ -z $seeds ]]; then exit; fi

# The runs of the array's members: 1-3,7,10-20:5%4 are 1 2 3 7 10 15 20.
runs=()
IFS=, read -ra parts <<< "${seeds%%%*}"
for part in "${parts[@]}"; do
    if [[ $part =~ ^([0-9]+)-([0-9]+)(:([0-9]+))?$ ]]; then
        read -ra members <<< "$(seq -s ' ' "${BASH_REMATCH[1]}" "${BASH_REMATCH[4]:-1}" "${BASH_REMATCH[2]}")"
    else
        members=("$part")
    fi
    for member in "${members[@]}"; do runs+=("runs/$(name_of "$config")-seed-$member"); done
done
collector=$(sbatch --parsable --dependency "afterok:$job" --kill-on-invalid-dep yes "$jobs/collect.py" "${runs[@]}")
echo "submitted job $collector, which collects the runs of job $job"
