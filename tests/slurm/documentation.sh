#!/usr/bin/env bash
# Every command of docs/slurm.md runs as it stands there, and every job that it submits ends well. documentation.sh SILOSUM
source tests/shipped/common.sh
if ! command -v sbatch > /dev/null; then
    echo "SLURM is not installed (slurm-wlm, munge); scripts/test.sh installs it"
    exit 77
fi

# As from a checkout that is built: a folder of links gives any build tree the name that the page uses.
mkdir -p "$folder/checkout/build/release"
ln -s "$1" "$folder/checkout/build/release/silosum"
for name in configs docs jobs scripts; do cp -r "$root/$name" "$folder/checkout/$name"; done
cd "$folder/checkout"

cluster=$(mktemp -d /tmp/slurm-XXXXXX) # sockets want a short path
export SLURM_LOCAL_DIR=$cluster/c
trap 'scripts/slurm_local.sh stop; rm -rf "$folder" "$cluster"' EXIT

{
    echo 'set -euo pipefail'
    # The page builds with the modules of a site; here all is built.
    echo 'module() { :; }; cmake() { :; }'
    cat << 'END'
jobs_have_ended_well() {
    while [[ -n $(squeue --noheader) ]]; do sleep 0.2; done
    local states
    states=$(scontrol --oneliner show job | sed -E 's/^JobId=([0-9]+) .*JobState=([A-Z_]*) .*/\1 \2/')
    # One is cancelled by the page.
    if (($(grep -vc ' COMPLETED$' <<< "$states") != 1 || $(grep -c ' COMPLETED$' <<< "$states") < 10)); then
        echo "not all jobs of the page ended well:"
        echo "$states"
        tail -n 20 ./*.out
        exit 1
    fi
}
END
    awk '/^```/ { inside = ($0 == "```sh"); next } inside && NF' docs/slurm.md | while IFS= read -r line; do
        if [[ $line == "scripts/slurm_local.sh stop" ]]; then echo jobs_have_ended_well; fi
        printf 'echo %q\n%s\n' "+ $line" "$line"
    done
} > "$folder/commands.sh"
(($(grep -c '^echo ' "$folder/commands.sh") > 25)) || fail "few commands found in docs/slurm.md"
bash "$folder/commands.sh" < /dev/null

# The image of jobs/silosum.def holds what the build needs: nothing that is not there, and no package that the scripts do not install.
while read -r source _; do
    [[ -e $root/$source ]] || fail "jobs/silosum.def copies $source, which is not there"
done < <(sed -n '/^%files/,/^%post/p' jobs/silosum.def | grep '^ ')
read -rd '' -a packages < <(sed -n '/apt-get install/,/[^\\]$/p' jobs/silosum.def | sed 's/.*--no-install-recommends//; s/\\$//') || true
((${#packages[@]} > 10)) || fail "no packages found in jobs/silosum.def"
for package in "${packages[@]}"; do
    [[ " ${build_packages[*]} " == *" $package "* ]] || fail "jobs/silosum.def installs $package, scripts/lib.sh does not"
done
