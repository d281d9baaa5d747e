# Shared by the job scripts: how ranks are started in an allocation of SLURM, and what follows when they end. Sourced, not run.
# shellcheck shell=bash
set -euo pipefail
: "${job_script:?is set by the script that sources this one}"
jobs=$(dirname "$job_script")

# Site values. They come from the environment of sbatch; nothing else in these scripts depends on where they run.
site_program=${SILOSUM:-}                # the program; default: build/release of the checkout, the installed one beside jobs, or PATH
site_modules=${SILOSUM_MODULES:-}        # modules to load first: "openmpi/4.1 silosum"
site_container=${SILOSUM_CONTAINER:-}    # an Apptainer image that has silosum in its PATH (jobs/silosum.def)
site_launcher=${SILOSUM_LAUNCHER:-srun}  # srun or mpirun
site_mpi=${SILOSUM_MPI:-pmix}            # how srun and MPI meet; `srun --mpi=list` shows what the site has
site_stage=${SILOSUM_STAGE:-}            # a folder on every node's own disk, through which shards are read
site_end_wait=${SILOSUM_END_WAIT:-60}    # seconds a launcher may take to end after its run has

say() { printf '== %s\n' "$*"; }
fail() {
    printf 'silosum: %s\n' "$1" >&2
    exit "${2:-2}"
}

if [[ -n $site_modules ]]; then
    command -v module > /dev/null || fail "SILOSUM_MODULES is set, but this shell has no command module"
    read -ra names <<< "$site_modules"
    module load "${names[@]}"
fi

# Sets `program`. Nothing is built inside a job: many nodes would build the same, and the allocation would wait.
find_program() {
    local candidate
    if [[ -n $site_container ]]; then
        [[ -r $site_container ]] || fail "SILOSUM_CONTAINER=$site_container: there is no such image"
        program=(apptainer exec "$site_container" silosum)
        return
    fi
    for candidate in "$site_program" "$jobs/../build/release/silosum" "$jobs/../../../bin/silosum" "$(command -v silosum || true)"; do
        if [[ -x $candidate ]]; then
            program=("$(realpath "$candidate")")
            return
        fi
        if [[ -n $site_program ]]; then fail "SILOSUM=$site_program: there is no such program"; fi
    done
    fail "no silosum found: build it before (cmake --preset release && cmake --build --preset release), load its module, or set SILOSUM"
}

name_of() { basename "$1" | sed 's/\.[^.]*$//'; }

# Sets `config`, `flags` and `run_dir` from the arguments of the job.
read_arguments() {
    if (($# == 0)) || [[ $1 == -* ]]; then fail "usage: sbatch [OPTIONS OF SBATCH] $job_script CONFIG [--section.key value ...]"; fi
    config=$1
    shift
    [[ -r $config ]] || fail "there is no configuration $config (jobs run in the folder in which they were submitted)"
    flags=("$@")
    run_dir=runs/$(name_of "$config")
    if awk '/^\[/ { inside = ($0 ~ /^\[run\]/) } inside && /^dir *=/ { found = 1 } END { exit !found }' "$config"; then
        fail "$config sets run.dir; give it as --run.dir behind the configuration, so that the job knows where checkpoints are"
    fi
    local has_dir=no
    while (($# > 0)); do
        case $1 in
            --run.dir) run_dir=${2:-} has_dir=yes ;;
            --run.dir=*) run_dir=${1#*=} has_dir=yes ;;
            --run.resume | --run.resume=* | --run.overwrite | --run.overwrite=*)
                fail "${1%%=*}: a job always goes on with the run in its folder, as it may be started many times; for a new run choose another --run.dir, or remove $run_dir"
                ;;
        esac
        shift
    done
    if [[ $has_dir == no ]]; then flags+=(--run.dir "$run_dir"); fi
    flags+=(--run.resume auto)
    if [[ -n $site_stage ]]; then flags+=(--data.stage "$site_stage"); fi
    if [[ -n ${SLURM_CPUS_PER_TASK:-} && " ${flags[*]}" != *" --run.threads"* ]]; then flags+=(--run.threads "$SLURM_CPUS_PER_TASK"); fi
}

# Sets `placement`: what the launcher is told where only a part of the allocation is used. place NODES RANKS_ON_EACH
place() {
    case $site_launcher in
        srun) placement=(--nodes="$1" --ntasks="$(($1 * $2))" --ntasks-per-node="$2") ;;
        mpirun) placement=(-np "$(($1 * $2))" --map-by "ppr:$2:node") ;;
    esac
}

# start_ranks VERB ARGUMENTS...: starts the ranks in the background, so that this shell can act on signals, and sets `ranks` to the
# launcher's process. On the whole allocation, unless `placement` says otherwise.
# Which GPU a rank takes the program decides, by the rank's place on its machine: all of a node's GPUs may be visible to all its ranks.
placement=()
start_ranks() {
    case $site_launcher in
        srun)
            # SLURM's own choice of fence lets ranks of other nodes begin before this one is ready: one start in ten over several nodes
            # crashed (22.05). Waiting ranks have to yield where there are more of them than cores, which srun does not tell Open MPI.
            export SLURM_PMIX_FENCE=ring OMPI_MCA_mpi_yield_when_idle=1
            # Since 22.05 a step does not take it from the job.
            if [[ -n ${SLURM_CPUS_PER_TASK:-} ]]; then export SRUN_CPUS_PER_TASK=$SLURM_CPUS_PER_TASK; fi
            local groups=()
            if ((${SLURM_HET_SIZE:-1} > 1)); then groups=(--het-group="0-$((SLURM_HET_SIZE - 1))"); fi
            # Ranks end together; where one ends alone the others would wait for it. Not --kill-on-bad-exit, which could change the code.
            srun --mpi="$site_mpi" --wait=10 "${groups[@]}" "${placement[@]}" "${program[@]}" "$@" &
            ;;
        mpirun)
            if ((${SLURM_HET_SIZE:-1} > 1)); then
                fail "mpirun starts ranks in the first group of a heterogeneous job only; set SILOSUM_LAUNCHER=srun"
            fi
            local binding=()
            if ((${SLURM_CPUS_PER_TASK:-1} > 1)); then binding=(--bind-to none); fi
            mpirun "${binding[@]}" "${placement[@]}" "${program[@]}" "$@" &
            ;;
        *) fail "SILOSUM_LAUNCHER=$site_launcher: known are srun and mpirun" ;;
    esac
    ranks=$!
}

newest_checkpoint() { compgen -G "$run_dir/checkpoints/round-*/manifest.json" | sort | tail -n 1 || true; }

# remember_signal NAME WHAT: run_ranks passes it on.
remember_signal() {
    signal=$1
    say "SIG$signal: $2"
}

# The code of the ranks, by what the run has written.
code_of_end() {
    if grep --quiet '"stop_reason": "signal' "$run_dir/summary.json"; then
        echo 75
    elif grep --quiet '"lost": \[$' "$run_dir/summary.json"; then
        echo 5
    else
        echo 0
    fi
}

# Changes when a file is written anew, whatever the clocks of the nodes say; empty where there is none yet.
state_of() { stat --format '%i %y' "$1" 2> /dev/null || true; }

# run_ranks TELL END VERB ARGUMENTS...: the ranks from their start to their end, whose code becomes `code`.
# TELL: what they are told where this job gets a signal: every five seconds, and not in the first two, as a launcher that is about to start
# them passes nothing on, or ends by it. END: the file that they write last. A launcher that stays though it is there is ended (srun and
# mpirun have both been seen to lock themselves up): is_over=yes, and the code is not that of the ranks.
run_ranks() {
    local tell=$1 end=$2 before told over=""
    before=$(state_of "$end")
    start_ranks "${@:3}"
    told=$((SECONDS - 3))
    is_over=no
    while kill -0 "$ranks" 2> /dev/null; do
        if [[ -n $signal ]] && ((SECONDS >= told + 5)); then
            kill -"$tell" "$ranks" 2> /dev/null || true # they may have ended by themselves meanwhile
            told=$SECONDS
        fi
        if [[ $is_over == no && $(state_of "$end") != "$before" ]]; then is_over=yes over=$SECONDS; fi
        if [[ $is_over == yes ]] && ((SECONDS >= over + site_end_wait)); then
            say "the run is over, but $site_launcher does not end: it is killed"
            kill -KILL "$ranks" 2> /dev/null || true # it may have ended just now; the loop looks
        fi
        sleep 0.5 &
        wait $! || true # a signal ends the waiting; only the nap's code is dropped
    done
    code=0
    wait "$ranks" || code=$?
    if ((code < 0)); then code=143; fi # bash 5.2 forgets that a child was ended by a signal which it traps itself
}

# The same job again, in the queue: it goes on from the last checkpoint.
requeue() {
    say "$1; job $SLURM_JOB_ID goes back into the queue"
    scontrol requeue "$SLURM_JOB_ID" || say "SLURM does not take job $SLURM_JOB_ID back; submit it again to go on"
}

# train CONFIG [--section.key value ...]: the whole of a job.
train() {
    signal=""
    # They finish their round, save, and end with 75.
    trap 'remember_signal USR1 "ranks are told to save and stop"' USR1
    trap 'remember_signal TERM "ranks are told to save and stop"' TERM
    find_program
    read_arguments "$@"
    say "job $SLURM_JOB_ID, restart ${SLURM_RESTART_COUNT:-0}, on ${SLURM_JOB_NODELIST:-?}: $site_launcher ${program[*]} train $config ${flags[*]}"
    local before
    before=$(newest_checkpoint)
    run_ranks USR1 "$run_dir/summary.json" train "$config" "${flags[@]}"
    if ((code > 128)) && [[ $is_over == yes ]]; then code=$(code_of_end); fi
    case $code in
        0) say "done" ;;
        5) say "done, without the silos of ranks that died: see $run_dir/summary.json" ;;
        2 | 3) say "code $code: see the message above; the same again would end the same" ;;
        *)
            if [[ $signal == TERM || (-z $signal && $code == 75) ]]; then
                # Cancelled, preempted or out of time: whether the job comes back is for SLURM to say.
                say "stopped (code $code); $(newest_checkpoint | sed 's|/manifest.json||;s|^|the last checkpoint is |;s|^$|no checkpoint|')"
            elif [[ $(newest_checkpoint) != "$before" ]]; then
                requeue "ranks ended with code $code, and this start has saved a new checkpoint"
            elif [[ $code == 75 ]]; then
                say "code $code: no round was done before the time limit came near; give the job more time (--time)"
            else
                say "code $code, and this start has saved no checkpoint: another one would hardly do better"
            fi
            ;;
    esac
    exit "$code"
}
