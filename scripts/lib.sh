# What the runbooks share: a run's folder, its steps one after the other, and the one message at the end.
# POSIX sh, sourced. A runbook reads its words, calls `begin`, then `look` and `step` for each step, then `finish`.
#
# A run lives in runs/NAME beside the product's release.toml. Each step reads the last document and writes the next one,
# which is renamed into place only when it is whole: whatever kills a run, starting it again goes on where it stopped.
# shellcheck shell=sh disable=SC2034 # what is set here is used by the runbooks

here=$(dirname "$(readlink -f "$0")")
program=$(basename "$0")

# Programs are taken from PATH, else from where cargo leaves them.
PATH=$PATH:$here/../target/release:$here/../target/debug
export PATH

run='' last='' newest='' number=0 complete='' signal='' plan='' again='' product=.

say() { printf '%s: %s\n' "$program" "$*" >&2; }
die() { code=$1; shift; say "$*"; exit "$code"; }

# The options that every runbook has; sets `shifted` to how many words it has read, 0 if the word is not one of them.
option() {
    shifted=1
    case $1 in
        -C) [ $# -ge 2 ] || die 2 "-C needs a folder"; product=$2; shifted=2 ;;
        -n|--plan|--dry-run) plan=--plan ;;
        --again) again=yes ;;
        -h|--help) usage; exit 0 ;;
        *) shifted=0 ;;
    esac
}

# Goes into the product's folder: the one with release.toml.
enter() {
    cd "$product" 2>/dev/null || die 2 "there is no folder $product"
    until [ -f release.toml ]; do
        [ "$PWD" != / ] || die 2 "no release.toml in $product or above it; name the product's folder with -C"
        cd ..
    done
}

# begin KEY: goes on with the unfinished run of this key, or opens one. KEY is procedure, environment, version and commit.
begin() {
    key=$1 runs=runs
    [ -z "$plan" ] || runs=runs/plan
    mkdir -p "$runs"
    [ -f runs/.gitignore ] || echo '*' >runs/.gitignore
    for found in "$runs"/*-"$key"; do
        [ -d "$found" ] || continue
        if [ ! -f "$found/finished" ]; then
            run=$found
        elif [ -z "$again$plan" ]; then
            say "$found is finished; nothing to do (--again starts another)"
            exit 0
        fi
    done
    if [ -n "$run" ]; then
        say "going on with $run"
    else
        run=$runs/$(date -u +%Y%m%dT%H%M%SZ)-$key
        mkdir "$run"
    fi
    # One hand on a run. The lock goes when its holder ends, however it ends.
    if command -v flock >/dev/null; then
        exec 9>"$run/.lock"
        flock -n 9 || { busy=$run run=''; die 75 "somebody else is at work in $busy: wait for it"; }
    fi
    trap leave EXIT
    # The step at work ends first, and its document is kept: whoever stops us at once would lose what it did.
    trap 'signal=130' INT
    trap 'signal=143' TERM
}

# step NAME COMMAND...: a step that changes something, or sees what must be seen before: once in a run.
step() {
    count "$1"; shift
    if [ -f "$file" ]; then
        say "done before: $(basename "$file" .json)"
        last=$file newest=$file
    else
        perform "$last" "$@"
    fi
}

# look NAME COMMAND...: a step that only looks: again in each attempt, on its own document if there is one.
look() {
    count "$1"; shift
    if [ -f "$file" ]; then perform "$file" "$@"; else perform "$last" "$@"; fi
}

count() {
    number=$((number + 1))
    file=$run/$(printf %02d "$number")-$1.json
}

# The last document goes in, the next one comes out. A document with a failure is kept by another name: it is reported
# and never gone on with.
perform() {
    [ -z "$signal" ] || exit "$signal"
    input=$1; shift
    code=0
    if [ -n "$input" ]; then
        "$@" ${plan:+"$plan"} <"$input" >"$file.part" || code=$?
    else
        "$@" ${plan:+"$plan"} --fresh >"$file.part" || code=$?
    fi
    if [ "$code" -ne 0 ]; then
        if [ -s "$file.part" ]; then
            newest=${file%.json}.failed.json
            mv "$file.part" "$newest"
        else
            rm -f "$file.part"
        fi
        exit "$code"
    fi
    sync "$file.part" 2>/dev/null || sync
    mv "$file.part" "$file"
    rm -f "${file%.json}.failed.json"
    last=$file newest=$file
}

finish() {
    [ -z "$signal" ] || exit "$signal"
    complete=yes
    exit 0
}

# Whatever happened: the team is told once, and what notify says never changes how the run ended.
leave() {
    code=$?
    trap '' INT TERM
    if [ -n "$run" ] && [ -n "$newest" ] && [ -z "$plan" ]; then
        # A step that died has left no document of its failure: the one before must not be taken for the end.
        stopped=''
        [ -n "$complete" ] || case $newest in *.failed.json) ;; *) stopped="--stopped=$code" ;; esac
        notify ${stopped:+"$stopped"} <"$newest" >"$run/notify.json.part" || :
        if [ -s "$run/notify.json.part" ]; then
            mv "$run/notify.json.part" "$run/notify.json"
        else
            rm -f "$run/notify.json.part"
        fi
    fi
    if [ -n "$complete" ]; then
        [ -n "$plan" ] || : >"$run/finished"
        say "done: $run"
    elif [ -n "$run" ]; then
        say "stopped with exit $code; $run has what was done, and the same command goes on from there"
    fi
    exit "$code"
}
