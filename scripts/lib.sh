# What the runbooks share: a run's folder, its lock, its steps one after the other, and the one message at the end.
# POSIX sh, sourced. A runbook reads its words, calls `begin`, then `look`, `see` and `step` for its steps, then `finish`.
#
# A run lives in runs/NAME beside the product's release.toml, and on the release remote. Each step reads the last document and
# writes the next one, which is renamed into place only when it is whole: whatever kills a run, starting it again goes on where
# it stopped, here or on another machine.
# shellcheck shell=sh disable=SC2034 # what is set here is used by the runbooks

here=$(dirname "$(readlink -f "$0")")
program=$(basename "$0")

# Programs are taken from PATH, else from where they were installed or unpacked beside us, or where cargo leaves them.
case $here in
    */lib/rilis) PATH=$PATH:${here%/lib/rilis}/bin ;;
    *) PATH=$PATH:$here/../target/release:$here/../target/debug ;;
esac
export PATH

run='' last='' newest='' number=0 complete='' signal='' silent='' locked='' brought='' left='' ended=''
environment='' plan='' again='' product=. no_lock='' lift_hold='' despite_hold='' snapshot=yes

say() { printf '%s: %s\n' "$program" "$*" >&2; }
die() { code=$1; shift; say "$*"; exit "$code"; }

# The options that every runbook has; sets `shifted` to how many words it has read, 0 if the word is not one of them.
option() {
    shifted=1
    case $1 in
        -C) [ $# -ge 2 ] || die 2 "-C needs a folder"; product=$2; shifted=2 ;;
        --no-lock) [ -n "${2-}" ] || die 2 "--no-lock needs a reason"; no_lock=$2; shifted=2 ;;
        -n|--plan|--dry-run) plan=--plan ;;
        --again) again=yes ;;
        -h|--help) usage; exit 0 ;;
        *) shifted=0 ;;
    esac
}

# Their lines in a usage text.
options() {
    cat <<TXT
  -C DIR            the product's folder (with release.toml); else the working directory
  -n, --plan        say what would be done; nothing is changed and nobody is told
  --again           begin again although this run is finished, stale, or has stopped before it changed anything
  --no-lock REASON  go on without the environment's lock, when the remote cannot be reached
TXT
}

# Goes into the product's folder: the one with release.toml.
enter() {
    cd "$product" 2>/dev/null || die 2 "there is no folder $product"
    until [ -f release.toml ]; do
        [ "$PWD" != / ] || die 2 "no release.toml in $product or above it; name the product's folder with -C"
        cd ..
    done
}

ledger() { release-ledger --quiet "$@" >/dev/null; }

# begin KEY: goes on with the unfinished run of this key, or opens one, and takes the lock of $environment for it.
# KEY is procedure, environment, version and commit.
begin() {
    key=$1 runs=runs
    [ -z "$plan" ] || runs=runs/plan
    mkdir -p "$runs"
    [ -f runs/.gitignore ] || echo '*' >runs/.gitignore
    [ -n "$brought" ] || bring "-$key"
    # Exactly so: the name of a rollback ends with the name of what it rolls back.
    for found in "$runs"/????????T??????Z-????-"$key"; do
        [ -d "$found" ] || continue
        [ ! -f "$found/abandoned" ] || continue
        # The newest one counts.
        if [ -f "$found/finished" ]; then run='' ended=$found; else run=$found ended=''; fi
    done
    [ -z "$ended" ] || [ -n "$again$plan" ] || ended_before
    # What customers see may have been changed by it already: then it is gone on with.
    if [ -n "$run" ] && [ "$again$plan" = yes ] && [ ! -f "$run/changing.json" ]; then
        say "$run is left behind: nothing was changed by it"
        : >"$run/abandoned"
        left=$run run=''
    fi
    if [ -n "$run" ]; then
        say "going on with $run"
        hands_off
    else
        open_run
    fi
    lock
    [ -z "$left" ] || [ -z "$locked" ] || ledger store "$left" || :
    trap leave EXIT
    # The step at work ends first, and its document is kept: whoever stops us at once would lose what it did.
    trap 'signal=130' INT
    trap 'signal=143' TERM
}

# There is nothing to do, unless what was done has been taken back since.
ended_before() {
    for back in "$runs"/*-rollback-"$environment"-of-"$(basename "$ended")"; do
        [ -f "$back/finished" ] || continue
        die 1 "$ended is finished, and was rolled back by $back: to do it once more say --again --lift-hold REASON"
    done
    say "$ended is finished; nothing to do (--again starts another)"
    exit 0
}

open_run() {
    # Two machines may begin in the same second: four random digits tell their runs apart.
    run=$runs/$(date -u +%Y%m%dT%H%M%SZ)-$(od -An -N2 -tx1 /dev/urandom | tr -d ' ')-$key
    mkdir "$run"
    hands_off
}

# The runs whose name has this in it, from the remote: another machine may have begun them.
bring() {
    brought=yes
    [ -z "$plan" ] || return 0
    ledger fetch --like "$1" "$runs" || say "the runs on the remote were not seen; what is here counts"
}

# One hand on a run. The lock goes when its holder ends, however it ends.
hands_off() {
    command -v flock >/dev/null || return 0
    exec 9>"$run/.lock"
    flock -n 9 || { busy=$run run=''; die 75 "somebody else is at work in $busy: wait for it"; }
}

# The environment's lock, on the remote: two runs never change the same place. A run that cannot have it leaves nothing behind.
lock() {
    [ -z "$plan" ] || return 0
    if [ -n "$no_lock" ]; then
        say "without the lock of $environment: $no_lock"
        printf '%s\n' "$no_lock" >"$run/no-lock"
        return 0
    fi
    bury
    code=0
    ledger lock --env "$environment" --run "$(basename "$run")" --lease "$run/lease" \
        ${lift_hold:+--lift-hold "$lift_hold"} ${despite_hold:+--despite-hold} || code=$?
    if [ "$code" -eq 1 ] && [ -n "$again" ] && [ -f "$run/lease" ]; then
        say "$run is left behind"
        : >"$run/abandoned"
        open_run
        lock
        return 0
    fi
    if [ "$code" -ne 0 ]; then
        rm -f "$run/.lock"
        rmdir "$run" 2>/dev/null || :
        exit "$code"
    fi
    locked=yes
}

# Gives back what runs hold that died on this machine: where nobody has a run's local lock, nothing of it is alive.
bury() {
    command -v flock >/dev/null || return 0
    for dead in "$runs"/*/lease; do
        folder=$(dirname "$dead")
        [ "$folder" != "$run" ] || continue
        grep -q '"held":true' "$dead" 2>/dev/null || continue
        ( flock -n 8 && ledger unlock --lease "$dead" && say "gave back the lock of $folder, which died" ) 8>"$folder/.lock" || :
    done
}

# step NAME COMMAND...: a step that changes something: once in a run, and only as long as the lock is ours.
step() {
    count "$1"; shift
    done_before || { fence; changing; perform "$last" "$@"; }
}

# From a step on that customers may see, `--again` begins no other run: what ran before is known to this one alone.
changing() {
    case $file in *-snapshot.json|*-rehearse.json|*-tag.json) return 0 ;; esac
    [ -z "$plan" ] && [ ! -f "$run/changing.json" ] || return 0
    printf '{"step":"%s"}\n' "$(basename "$file" .json)" >"$run/changing.json"
    store
}

# see NAME COMMAND...: a step that looks at what the way back needs, before anything is changed: once in a run.
see() {
    count "$1"; shift
    done_before || perform "$last" "$@"
}

# look NAME COMMAND...: a step that only looks: again in each attempt, on its own document if there is one.
look() {
    count "$1"; shift
    if [ -f "$file" ]; then perform "$file" "$@"; else perform "$last" "$@"; fi
}

# still NAME COMMAND...: a step that looks whether things are still as they were planned for: again on its own document, until
# the deployment is done.
still() {
    for deployed in "$run"/[0-9][0-9]-deploy.json; do
        if [ -f "$deployed" ]; then see "$@"; return 0; fi
    done
    look "$@"
}

# anew NAME COMMAND...: a step that looks whether the way back is (still) there: again in each attempt, until the deployment is done.
anew() {
    count "$1"; shift
    for deployed in "$run"/[0-9][0-9]-deploy.json; do
        if [ -f "$deployed" ] && done_before; then return 0; fi
    done
    perform "$last" "$@"
}

# decide NAME COMMAND...: a step that only decides: again in each attempt, until something was done about it. That nobody writes
# meanwhile is not yet that.
decide() {
    count "$1"; shift
    for later in "$run/$(printf %02d $((number + 1)))"-*.json "$run/$(printf %02d $((number + 2)))"-*.json; do
        case $later in
            *.failed.json|*-stop.json) ;;
            *) if [ -f "$later" ] && done_before; then return 0; fi ;;
        esac
    done
    perform "$last" "$@"
}

# skip NAME: this run goes without a step; what comes after it keeps its number.
skip() { count "$1"; }

# fact PATH: of the last document.
fact() { release-ledger fact "$1" "$last"; }

count() {
    number=$((number + 1))
    file=$run/$(printf %02d "$number")-$1.json
}

done_before() {
    [ -f "$file" ] || return 1
    say "done before: $(basename "$file" .json)"
    last=$file newest=$file
}

# A run that has lost its lock changes nothing more, and has nothing to tell but to whoever sits here.
fence() {
    [ -n "$locked" ] || return 0
    code=0
    ledger fence --lease "$run/lease" || code=$?
    [ "$code" -eq 0 ] || { silent=yes; exit "$code"; }
}

# The way back: what runs now, the data as it is now and proven to be restorable (unless there is none), an edge that can be
# purged, a team that can be told. Without all of it nothing is changed for customers.
way_back() {
    see observe deploy-coolify observe
    without='--without=data'
    if [ -n "$snapshot" ]; then
        step snapshot db-restore snapshot
        step rehearse db-restore rehearse
        without=''
    fi
    anew edge cdn-purge --ready
    anew team notify --ready
    anew certificate release-gate certificate ${without:+"$without"}
}

# From now on releases to the environment are refused.
hold() {
    [ -n "$locked" ] || return 0
    ledger hold --env "$environment" --reason "$1" || { code=$?; silent=yes; exit "$code"; }
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
            # Where the run stands now is said once.
            rm -f "$run"/*.failed.json
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
    store
}

# The run as it is now, on the remote; that it cannot be put there stops nothing.
store() {
    [ -n "$locked" ] || return 0
    ledger store "$run" || say "the documents of $run are only here, not on the remote"
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
    tell
    if [ -n "$complete" ]; then
        [ -n "$plan" ] || : >"$run/finished"
        say "done: $run"
    else
        say "stopped with exit $code; $run has what was done, and the same command goes on from there"
    fi
    store
    [ -z "$locked" ] || ledger unlock --lease "$run/lease" || say "the lock of $environment is not given back"
    exit "$code"
}

tell() {
    [ -n "$newest" ] && [ -z "$silent$plan" ] || return 0
    # A step that died has left no document of its failure: the one before must not be taken for the end.
    stopped=''
    [ -n "$complete" ] || grep -q '"failure":{' "$newest" || stopped="--stopped=$code"
    notify ${stopped:+"$stopped"} <"$newest" >"$run/notify.json.part" || :
    if [ -s "$run/notify.json.part" ]; then
        mv "$run/notify.json.part" "$run/notify.json"
    else
        rm -f "$run/notify.json.part"
    fi
}
