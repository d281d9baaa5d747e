#!/usr/bin/env bash
# Runs a compiler and keeps what it says beside the object: keep_messages.sh COMPILER ... -o OBJECT ... writes OBJECT.messages. It is
# shown only where the compiler fails: ptxas tells the registers of every kernel that way.
set -uo pipefail

object=
previous=
for argument in "$@"; do
    if [[ $previous == -o ]]; then object=$argument; fi
    previous=$argument
done
if [[ -z $object ]]; then exec "$@"; fi
if ! "$@" 2> "$object.messages"; then
    cat "$object.messages" >&2
    exit 1
fi
