#!/usr/bin/env bash
# Measures published results again and prints them beside the published numbers. See --help.
set -euo pipefail
source "$(dirname "$0")/lib.sh"

names=(heart_disease mnist_2nn_iid mnist_2nn_pathological mnist_cnn_iid fashion_mnist_dirichlet mnist_cnn_pathological)
default_names=("${names[@]:0:5}")

usage() {
    cat << END
usage: scripts/reproduce.sh DATA_DIR [--only NAME[,NAME...]] [--seeds S1,S2,...] [--ranks N]

Trains with the configurations of configs/ and prints a table of results beside the published ones. DATA_DIR holds
  mnist/            train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, t10k-images-idx3-ubyte.gz, t10k-labels-idx1-ubyte.gz
  fashion-mnist/    the same four files (Debian: package dataset-fashion-mnist)
  heart-disease/    heart_flamby.csv (see configs/heart_disease.cfg)
A part whose data are not there is left out, and said so. Shards go to shards/, runs to runs/reproduce/; a run that is there and finished is
not trained again, one that was interrupted goes on.

  --only NAME    ${default_names[*]}
                 (all of these without --only; mnist_cnn_pathological, which takes hours, only by its name)
  --seeds LIST   seeds of the runs (heart_disease: 42,43,44,45,46; others: 1)
  --ranks N      MPI ranks (default: the number of cores, $cores)

Environment: SILOSUM_PROGRAM is a silosum to use instead of building one.
END
}

data=
only=()
seeds=
ranks=$cores
while (($# > 0)); do
    case $1 in
        -h | --help)
            usage
            exit
            ;;
        --only | --seeds | --ranks)
            (($# > 1)) || fail "$1 needs a value; see --help" 2
            case $1 in
                --only) IFS=, read -ra only <<< "$2" ;;
                --seeds) seeds=$2 ;;
                --ranks) ranks=$2 ;;
            esac
            shift
            ;;
        -*) fail "unknown argument \"$1\"; see --help" 2 ;;
        *) data=$(cd "$1" 2> /dev/null && pwd) || fail "$1 is no folder" 2 ;;
    esac
    shift
done
[[ -n $data ]] || fail "the folder with the data is missing; see --help" 2
for name in "${only[@]}"; do
    [[ " ${names[*]} " == *" $name "* ]] || fail "unknown name \"$name\"; known: ${names[*]}" 2
done
if ((${#only[@]} == 0)); then only=("${default_names[@]}"); fi

silosum=${SILOSUM_PROGRAM:-build/release/silosum}
if [[ -z ${SILOSUM_PROGRAM:-} ]]; then
    install_unless_told_not_to "${build_packages[@]}"
    build release silosum
fi
mpi_environment
cd "$root"

# have FILE: whether the data are there; says so where not.
have() {
    if [[ -e $data/$1 || -e $data/${1%.gz} ]]; then return; fi
    say "left out: no $data/$1"
    return 1
}

# cut OUT SOURCE [shard options]: makes the shards unless they are there.
cut() {
    local out=shards/$1
    shift
    if [[ -n $(compgen -G "$out/*.h5") ]]; then return; fi
    say "silosum shard --from $*"
    "$silosum" shard --from "$@" --out "$out"
}

# train CONFIGURATION RUN [options]: goes on where it was interrupted; nothing to do where it is finished.
train() {
    local run=runs/reproduce/$2 configuration=configs/$1.cfg
    shift 2
    say "training $run"
    mpirun -np "$ranks" "$silosum" train "$configuration" --run.dir "$run" --run.resume auto "$@" < /dev/null
}

# Several seeds: each trains apart; the table has their mean and deviation.
seeds_or() { tr ',' ' ' <<< "${seeds:-$1}"; }

heart_disease() {
    have heart-disease/heart_flamby.csv || return 0
    local source=(csv:"$data/heart-disease/heart_flamby.csv" --label label --task binary --set-column set)
    cut heart "${source[@]}" --ignore center,row --split by:name
    # One shard of all rows: its test set is standardised by all train rows, as the published pooled accuracy is.
    cut heart_pooled "${source[@]}" --ignore center,row,name --silos 1
    for seed in $(seeds_or 42,43,44,45,46); do
        for lr in 0.001 0.005; do
            train heart_disease "heart_disease-lr$lr-seed$seed" --run.seed "$seed" --local.lr "$lr" \
                --eval.common_test shards/heart_pooled/silo-000.h5
        done
    done
}

mnist() { # CONFIGURATION SHARDS SPLIT
    have mnist/train-images-idx3-ubyte.gz || return 0
    cut "$2" mnist:"$data/mnist" --silos 100 --split "$3" --test-fraction 0 --seed 1
    for seed in $(seeds_or 1); do train "$1" "$1-seed$seed" --run.seed "$seed"; done
}
mnist_2nn_iid() { mnist mnist_2nn_iid mnist_iid iid; }
mnist_2nn_pathological() { mnist mnist_2nn_pathological mnist_labels2 labels:2; }
mnist_cnn_iid() { mnist mnist_cnn_iid mnist_iid iid; }
mnist_cnn_pathological() { mnist mnist_cnn_pathological mnist_labels2 labels:2; }

fashion_mnist_dirichlet() {
    have fashion-mnist/train-images-idx3-ubyte.gz || return 0
    cut fashion_dirichlet mnist:"$data/fashion-mnist" --silos 10 --split dirichlet:0.5 --test-fraction 0 --seed 1
    for seed in $(seeds_or 1); do train fashion_mnist_dirichlet "fashion_mnist_dirichlet-seed$seed" --run.seed "$seed"; done
}

for name in "${only[@]}"; do "$name"; done
say "results"
python3 scripts/reproduce_table.py runs/reproduce
