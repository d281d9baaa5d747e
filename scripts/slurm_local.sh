#!/usr/bin/env bash
# A SLURM of several virtual nodes on one machine, for the tests and for trying the job scripts. See --help.
#
# As root everything runs in a PID and mount namespace of its own: when its first process, the supervisor below, ends, the kernel ends
# every daemon and task in it, so that nothing is left behind. Each slurmd has a host name of its own, as Open MPI names shared memory
# by host: ranks of two nodes with one name would map the same file and crash. Without the right to namespaces (not root), ranks of
# different nodes are kept apart by environment variables, and tasks are found by what is in their environment.
set -euo pipefail
source "$(dirname "$0")/lib.sh"
self=$(readlink -f "$0")

usage() {
    cat << 'END'
usage: scripts/slurm_local.sh start [NODES]      brings a cluster up (default: 4 nodes)
       eval "$(scripts/slurm_local.sh env)"      for the shell that talks to it: sbatch, squeue, scontrol
       scripts/slurm_local.sh wait JOB [SECONDS] until a job has ended; prints "JOB STATE EXIT:SIGNAL", ends with its exit code
       scripts/slurm_local.sh status             nodes, jobs, and the last errors of the daemons
       scripts/slurm_local.sh stop               ends the jobs and the daemons; leaves no process behind
       scripts/slurm_local.sh run [NODES] -- COMMAND...   start, COMMAND, stop
       scripts/slurm_local.sh signal NODE SIGNAL to every process of a node: KILL is a lost node, STOP a hanging one (root only)
       scripts/slurm_local.sh revive NODE        starts a killed node again

Needs slurm-wlm and munge (scripts/test.sh installs them); files and services of the machine itself are left alone.

Environment: SLURM_LOCAL_DIR    all files of the cluster (default /tmp/slurm-local-UID; at most 60 characters: sockets lie in it)
             SLURM_LOCAL_CPUS   processors that a node claims (default 8; may be more than there are)
             SLURM_LOCAL_GPUS   GPUs that a node claims (default 2): names of /dev/null, so that requests can be tried
             SLURM_LOCAL_CONF   a file with more lines for slurm.conf
             SLURM_LOCAL_MAX_S  seconds after which the cluster ends by itself (default 5400)
             SLURM_LOCAL_PLAIN  1: no namespaces, as for users who are not root
END
}

cluster=${SLURM_LOCAL_DIR:-/tmp/slurm-local-$(id -u)}
export SLURM_CONF=$cluster/slurm.conf PATH=$PATH:/usr/sbin:/sbin

is_plain() { [[ -e $cluster/plain ]]; }
# A zombie that nobody has reaped yet is not alive.
is_alive() { grep -qs '^State:[[:space:]]*[^ZX[:space:]]' "/proc/${1:-none}/status"; }
# A process may end meanwhile, or be somebody else's.
environment_of() { { tr '\0' '\n' < "/proc/$1/environ"; } 2> /dev/null || true; }
has_in_environment() { grep -qxF "$2" < <(environment_of "$1"); }
# Numbers of processes are used again: one from a file is ours only where it carries our mark.
is_ours() { is_alive "${1:-}" && has_in_environment "$1" "SLURM_LOCAL_MARK=$cluster"; }
supervisor() { cat "$cluster/supervisor.pid" 2> /dev/null || true; }
first_in_namespace() {
    local parent
    parent=$(supervisor)
    tr -d ' ' < "/proc/$parent/task/$parent/children"
}

# Runs a command where the daemons are: their files hold process numbers of their own namespace.
inside() {
    if is_plain; then "$@"; else nsenter --target "$(first_in_namespace)" --pid --mount -- "$@"; fi
}

# The first of NODES + 1 neighbouring ports that nobody listens on, below those that the system gives out.
free_ports() {
    local used base port
    used=" $(awk '$4 == "0A" { split($2, address, ":"); print address[2] }' /proc/net/tcp /proc/net/tcp6 2> /dev/null | sort -u |
        while read -r hex; do printf '%d ' "0x$hex"; done)"
    for base in $(shuf -i 15000-31000 -n 60); do
        for ((port = base; port <= base + $1; port++)); do
            if [[ $used == *" $port "* ]]; then continue 2; fi
        done
        echo "$base"
        return
    done
    fail "no free ports"
}

write_configuration() {
    local nodes=$1 base user gpus=${SLURM_LOCAL_GPUS:-2} i resources=""
    base=$(free_ports "$nodes")
    user=$(id -un)
    mkdir -p "$cluster"/{munge,state,log,devices,tmp,spool}
    chmod 755 "$cluster" "$cluster/munge"
    chmod 1777 "$cluster/tmp"
    (umask 077 && head -c 128 /dev/urandom > "$cluster/munge/key")
    for ((i = 1; i <= nodes; i++)); do
        mkdir -p "$cluster/spool/node$i" "$cluster/tmp/node$i"
        chmod 1777 "$cluster/tmp/node$i"
    done
    : > "$cluster/gres.conf"
    if ((gpus > 0)); then
        resources=" Gres=gpu:$gpus"
        for ((i = 0; i < gpus; i++)); do
            # SLURM sets CUDA_VISIBLE_DEVICES for character devices only; without the right to make one there are just fewer tests.
            mknod -m 666 "$cluster/devices/gpu$i" c 1 3 2> /dev/null || : > "$cluster/devices/gpu$i"
            echo "Name=gpu File=$cluster/devices/gpu$i" >> "$cluster/gres.conf"
        done
    fi
    # - A requeued job waits for cred_expire; the default is 120 s. Other times are short, too: their defaults suit real clusters.
    # - TmpFS: the PMIx plugin makes a folder for each step there, which two nodes must not share.
    # - No cgroups and no accounting: any container will do.
    {
        cat << END
ClusterName=local
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort=$base
SlurmUser=$user
SlurmdUser=$user
AuthType=auth/munge
AuthInfo=socket=$cluster/munge/socket,cred_expire=5
CredType=cred/munge
StateSaveLocation=$cluster/state
SlurmdSpoolDir=$cluster/spool/%n
TmpFS=$cluster/tmp/%n
SlurmctldPidFile=$cluster/slurmctld.pid
SlurmdPidFile=$cluster/%n.pid
SlurmctldLogFile=$cluster/log/slurmctld.log
SlurmdLogFile=$cluster/log/%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=pmix
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=1,sched_min_interval=0,bf_interval=1
KillWait=3
SlurmdTimeout=10
MessageTimeout=10
BatchStartTimeout=10
InactiveLimit=0
MinJobAge=3600
ReturnToService=2
GresTypes=gpu
END
        if is_plain; then echo "TaskProlog=$cluster/task_prolog.sh"; fi
        for ((i = 1; i <= nodes; i++)); do
            echo "NodeName=node$i NodeAddr=127.0.0.1 Port=$((base + i)) CPUs=${SLURM_LOCAL_CPUS:-8} RealMemory=4000$resources State=UNKNOWN"
        done
        echo "PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP"
        if [[ -n ${SLURM_LOCAL_CONF:-} ]]; then cat "$SLURM_LOCAL_CONF"; fi
    } > "$cluster/slurm.conf"
    # What a task prolog prints as "export X=Y" comes into the environment of the task.
    cat << END > "$cluster/task_prolog.sh"
#!/bin/sh
mkdir -p "/dev/shm/slurm-local-$base-\$SLURMD_NODENAME"
echo "export OMPI_MCA_btl_vader_backing_directory=/dev/shm/slurm-local-$base-\$SLURMD_NODENAME"
END
    chmod 755 "$cluster/task_prolog.sh"
    {
        cat /etc/hosts
        for ((i = 1; i <= nodes; i++)); do echo "127.0.0.1 node$i"; done
    } > "$cluster/hosts"
    echo "$nodes" > "$cluster/nodes"
    echo "$base" > "$cluster/port"
}

client_environment() {
    echo "export SLURM_CONF='$cluster/slurm.conf'"
    # As mpi_environment in lib.sh; session folders of killed ranks stay below ours. Jobs inherit all of it.
    echo "export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1"
    echo "export OMPI_MCA_mpi_yield_when_idle=1 OMPI_MCA_hwloc_base_binding_policy=none OMPI_MCA_orte_tmpdir_base='$cluster/tmp'"
    # Ranks of mpirun on several nodes with one host name: no shared memory between them.
    if is_plain; then echo "export OMPI_MCA_btl=self,tcp"; fi
}

start_node() {
    if is_plain; then
        slurmd -N "$1"
    else
        # shellcheck disable=SC2016 # expanded by the shell inside
        inside unshare --uts sh -c 'hostname "$1" && exec slurmd -N "$1"' - "$1"
    fi
}

# The first process of the namespace.
supervise() {
    trap 'exit 0' TERM INT
    if ! is_plain; then
        mount --bind "$cluster/hosts" /etc/hosts
        mount -t tmpfs -o mode=1777 tmpfs /dev/shm # what killed ranks leave in it goes with us
    fi
    inside() { "$@"; } # here we are
    munged --force --socket "$cluster/munge/socket" --key-file="$cluster/munge/key" --log-file="$cluster/munge/log" \
        --pid-file="$cluster/munged.pid" --seed-file="$cluster/munge/seed"
    slurmctld -c -i
    local i end
    for ((i = 1; i <= $(cat "$cluster/nodes"); i++)); do start_node "node$i"; done
    touch "$cluster/started"
    end=$((SECONDS + ${SLURM_LOCAL_MAX_S:-5400}))
    while ((SECONDS < end)); do
        sleep 1 &
        wait $! || true
    done
    if is_plain; then exec "$self" stop; fi
}

all_nodes_idle() {
    local idle
    # A node has a line for each of its partitions.
    idle=$(timeout 5 sinfo --noheader --Node --format '%N %t' 2> /dev/null | sort -u | grep -c ' idle$' || true)
    [[ $idle == "$(cat "$cluster/nodes")" ]]
}

# Its files are run as this user, and some are removed: nobody else may have put them there. It lies in /tmp, where all may write.
expect_own_folder() {
    [[ -d $cluster && ! -L $cluster && -O $cluster ]] || fail "$cluster is not a folder of this user; set SLURM_LOCAL_DIR" 2
}

none_may_run() {
    if is_ours "$(supervisor)"; then fail "a cluster runs in $cluster already; stop it first, or set SLURM_LOCAL_DIR" 2; fi
}

start() {
    local nodes=${1:-4} attempt i
    [[ $nodes =~ ^[1-9][0-9]*$ ]] || fail "start $nodes: how many nodes?" 2
    ((${#cluster} <= 60)) || fail "SLURM_LOCAL_DIR = $cluster: at most 60 characters, as sockets lie in it" 2
    for i in munged slurmctld slurmd sinfo; do
        command -v "$i" > /dev/null || fail "$i is not installed; on Debian and Ubuntu: apt-get install ${slurm_packages[*]}" 77
    done
    mkdir -p "$(dirname "$cluster")"
    mkdir -m 755 "$cluster" 2> /dev/null || expect_own_folder
    chmod go-w "$cluster"
    none_may_run
    for attempt in 1 2 3; do
        rm -rf "$cluster"/{state,spool,munge,tmp,log,devices,started,plain} "$cluster"/*.pid
        mkdir -p "$cluster/log"
        if [[ ${SLURM_LOCAL_PLAIN:-0} == 1 ]] || ! unshare --pid --mount --uts --fork true 2> /dev/null; then touch "$cluster/plain"; fi
        write_configuration "$nodes"
        export SLURM_LOCAL_MARK=$cluster SLURM_LOCAL_DIR=$cluster
        # A session of its own, so that Ctrl-C ends the test and not the cluster; no pipe of ours stays open in it.
        local namespaces=(unshare --pid --fork --kill-child --mount --mount-proc)
        if is_plain; then namespaces=(); fi
        setsid "${namespaces[@]}" "$self" supervise > "$cluster/log/supervisor.log" 2>&1 < /dev/null &
        echo $! > "$cluster/supervisor.pid"
        for ((i = 0; i < 300; i++)); do
            sleep 0.1
            is_alive "$(supervisor)" || break
            if [[ -e $cluster/started ]] && all_nodes_idle; then return; fi
        done
        stop
        # Only a port that somebody else took meanwhile is worth another try.
        grep -qi 'already in use' "$cluster"/log/*.log || break
    done
    tail -n 5 "$cluster"/log/*.log >&2
    fail "the cluster did not come up (after $attempt tries); its logs are in $cluster/log"
}

# Without a namespace, daemons carry our mark, and tasks our SLURM_CONF and the number of a job.
end_marked_processes() {
    local signal process
    for signal in TERM KILL; do
        for process in /proc/[0-9]*; do
            process=${process#/proc/}
            if [[ $process == "$$" ]]; then continue; fi
            if is_ours "$process" || { [[ $signal == KILL ]] && has_in_environment "$process" "SLURM_CONF=$SLURM_CONF" &&
                grep -q '^SLURM_JOB_ID=' < <(environment_of "$process"); }; then
                kill -"$signal" "$process" 2> /dev/null || true
            fi
        done
        sleep 0.3
    done
    rm -rf "/dev/shm/slurm-local-$(cat "$cluster/port" 2> /dev/null || echo none)-node"*
}

stop() {
    local i first
    if is_ours "$(supervisor)" && [[ -e $cluster/started ]]; then
        timeout 5 scancel --quiet --full --user "$(id -un)" 2> /dev/null || true
        for ((i = 0; i < 20; i++)); do
            if [[ -z $(timeout 5 squeue --noheader 2> /dev/null || true) ]]; then break; fi
            sleep 0.1
        done
        timeout 5 scontrol shutdown > /dev/null 2>&1 || true
        for ((i = 0; i < 20; i++)); do
            compgen -G "$cluster/node*.pid" > /dev/null || break
            sleep 0.1
        done
    fi
    if is_plain; then
        end_marked_processes
    elif is_ours "$(supervisor)"; then
        first=$(first_in_namespace || true)
        if [[ -n $first ]]; then kill -9 "$first" 2> /dev/null || true; fi
        # It is reaped only after the kernel has ended all others in it.
        for ((i = 0; i < 100; i++)); do
            is_alive "$(supervisor)" || break
            sleep 0.05
        done
    fi
    rm -f "$cluster"/*.pid "$cluster/started" "$cluster/munge/socket" "$cluster/munge/socket.lock"
}

# sbatch --wait looks after 2, 8 and 32 s: too slow for a test. An array and a heterogeneous job have a line for each member.
wait_for_job() {
    local job=$1 end=$((SECONDS + ${2:-120})) lines
    while true; do
        lines=$(scontrol --oneliner show job "$job" 2> /dev/null) || fail "there is no job $job" 2
        grep -qE 'JobState=(PENDING|CONFIGURING|RUNNING|COMPLETING|SUSPENDED|REQUEUED|STOPPED|SIGNALING)' <<< "$lines" || break
        if ((SECONDS >= end)); then
            echo "$job has not ended" >&2
            exit 124
        fi
        sleep 0.2
    done
    # Not every state that is bad has an exit code that is: a lost node gives 0.
    sed -nE 's/^JobId=([^ ]*) .*JobState=([A-Z_]*) .* ExitCode=([0-9]+):([0-9]+) .*/\1 \2 \3:\4/p' <<< "$lines" |
        awk '{ split($3, exit_code, ":"); code = exit_code[2] ? 128 + exit_code[2] : exit_code[1]
               if (code == 0 && $2 != "COMPLETED") code = 1
               if (code > worst) worst = code
               print }
             END { exit worst }'
}

# All that shares the host name of a node: its slurmd, steps and tasks.
signal_node() {
    is_plain && fail "signal needs namespaces: start the cluster as root" 2
    # shellcheck disable=SC2016 # expanded by the shell inside
    inside sh -c 'name=$(readlink "/proc/$(cat "$1/$2.pid")/ns/uts")
        for process in /proc/[0-9]*; do
            if [ "$(readlink "$process/ns/uts")" = "$name" ]; then kill -"$3" "${process#/proc/}"; fi
        done' - "$cluster" "$1" "$2"
}

if [[ -e $cluster || -L $cluster ]]; then expect_own_folder; fi
case ${1:-} in
    start) start "${2:-4}" ;;
    stop) stop ;;
    env) client_environment ;;
    wait) wait_for_job "${2:?wait for which job?}" "${3:-120}" ;;
    status)
        sinfo --Node --format '%N %T %C %G %E'
        squeue --format '%i %j %T %M %D %R'
        # A new cluster misses the files of an old one, and PMIx removes some folders twice: no news.
        grep -hE 'error|fatal' "$cluster"/log/*.log | grep -vE 'state file|may be lost|MailProg|spmix_appdir' | tail -n 10 || true
        ;;
    run)
        shift
        nodes=4
        if [[ ${1:-} != -- ]]; then nodes=${1:-4} && shift; fi
        [[ ${1:-} == -- && $# -ge 2 ]] || fail "run [NODES] -- COMMAND...: see --help" 2
        shift
        none_may_run
        trap stop EXIT
        trap 'exit 130' INT
        trap 'exit 143' TERM
        start "$nodes"
        eval "$(client_environment)"
        "$@"
        ;;
    signal) signal_node "${2:?signal which node?}" "${3:?signal with what?}" ;;
    revive)
        export SLURM_LOCAL_MARK=$cluster
        start_node "${2:?revive which node?}"
        ;;
    supervise) supervise ;;
    -h | --help) usage ;;
    "") fail "which command? See --help" 2 ;;
    *) fail "unknown command \"$1\"; see --help" 2 ;;
esac
