# What the runbooks share: their options, and one line for each thing that they ask the keeper of their run (release-run).
# POSIX sh, sourced. A runbook reads its words in a function, calls `keep`, then `step` for its steps, then `finish`.
#
# A run lives in runs/NAME beside the product's release.toml, and on the release remote. The keeper has its locks, gives each step the
# last document and keeps the next, decides what runs again when a run goes on, and at the end stores, unlocks and tells.
# shellcheck shell=sh disable=SC2034 # what is set here is used by the runbooks

# Whoever reads what we say may stop listening: a run does not end because of that.
trap '' PIPE

here=$(cd "$(dirname "$self")" && pwd)
self=$here/$(basename "$self")
program=$(basename "$0")
# The name that a person has called.
[ -z "${RILIS_KEEPER-}" ] || program=${RILIS_RUNBOOK-$program}

# Programs are taken from beside us where we are installed, so that no other one of the same name comes first; else from PATH, or
# where cargo leaves them.
case $here in
    */lib/rilis) PATH=${here%/lib/rilis}/bin:$PATH ;;
    *) PATH=$PATH:$here/../target/release:$here/../target/debug ;;
esac
export PATH

environment='' plan='' again='' product=. no_lock='' lift_hold='' lock_wait='' snapshot=yes waivers='' asked=''

say() { printf '%s: %s\n' "$program" "$*" >&2 || :; }
die() { code=$1; shift; say "$*"; exit "$code"; }

# The options that every runbook has; sets `shifted` to how many words it has read, 0 if the word is not one of them.
option() {
    shifted=1
    case $1 in
        -C) [ $# -ge 2 ] || die 2 "-C needs a folder"; product=$2; shifted=2 ;;
        --env) [ -n "${2-}" ] || die 2 "--env needs a name"; environment=$2; shifted=2 ;;
        --no-lock) [ -n "${2-}" ] || die 2 "--no-lock needs a reason"; no_lock=$2; shifted=2 ;;
        --waive) case ${2-} in
                ci=?*|tests=?*|checklist=?*|approval=?*|window=?*|cluster=?*) ;;
                *=?*) die 2 "there is no gate ${2%%=*}; the gates are ci, tests, checklist, approval, window and cluster" ;;
                *) die 2 "--waive needs a gate and a reason, such as --waive ci='GitHub is down'" ;;
            esac
            waivers="$waivers
$2"; shifted=2 ;;
        --lock-wait) [ -n "${2-}" ] || die 2 "--lock-wait needs a time, such as 10m"; lock_wait=$2; shifted=2 ;;
        -n|--plan|--dry-run) plan=--plan ;;
        --again) again=--again ;;
        -h|--help) usage; exit 0 ;;
        --version) release-run --version | sed "s/^release-run/$program/"; exit 0 ;;
        *) shifted=0 ;;
    esac
}

# Whether a word is `--option=value`; sets `name` and `value`.
split() {
    case $1 in --*=*) name=${1%%=*} value=${1#*=} ;; *) return 1 ;; esac
}

# Their lines in a usage text.
options() {
    cat <<TXT
  -C DIR            the product's folder (with release.toml); else the working directory
  -n, --plan        say what would be done; nothing is changed and nobody is told
  --again           begin again although this run is finished, stale, or has stopped before it changed anything
  --lock-wait TIME  wait so long for somebody else who is at work in the environment
  --waive GATE=REASON
                    go on although this gate does not say yes; who says so and why is kept, told, and owed
  --no-lock REASON  go on without the environment's lock, when the remote cannot be reached
TXT
}

# Goes into the product's folder: the one with release.toml.
enter() {
    command -v release-run >/dev/null 2>&1 || die 1 "the program release-run is not installed: make install, or put its folder into PATH"
    cd "$product" 2>/dev/null || die 2 "there is no folder $product"
    until [ -f release.toml ]; do
        [ "$PWD" != / ] || die 2 "no release.toml in $product or above it; name the product's folder with -C"
        cd ..
    done
}

# Whether the keeper is above us; then we are in the product's folder.
kept() { [ -n "${RILIS_KEEPER-}" ] && release-run kept; }

# keep PROCEDURE [OPTION...] -- WORDS...: goes on below the keeper of this run; WORDS are those of the runbook.
keep() {
    procedure=$1; shift
    export RILIS_RUNBOOK="$program"
    exec release-run exec --procedure "$procedure" --env "$environment" ${plan:+"$plan"} ${again:+"$again"} \
        ${no_lock:+--no-lock "$no_lock"} ${lift_hold:+--lift-hold "$lift_hold"} ${lock_wait:+--lock-wait "$lock_wait"} "$@"
}

# step WHEN CHANGES NAME COMMAND...: WHEN it runs again in a run that goes on (once, always, until-changed, until-acted), and what it
# may change (no, aside, pause, customers).
step() {
    when=$1 changes=$2 name=$3
    shift 3
    release-run step "$name" --when "$when" --changes "$changes" -- "$@"
}

# Which gates are asked, by the policy here and on the remote's production branch; one line says it.
gates() {
    step always no gates release-gate gates --env "$environment"
    asked=$(fact gates.on)$(fact gates.record_only)
}
# The reason with which a gate is waived; nothing where it is not.
waiver() { printf '%s\n' "$waivers" | sed -n "s/^$1=//p" | tail -n 1; }
# gate NAME: asks a gate, if it is on.
gate() {
    case $asked in
        *"\"$1\""*) reason=$(waiver "$1"); step always no "$1" release-gate "$1" ${reason:+--waive "$reason"} ;;
        *) skip "$1" ;;
    esac
}
# Directly before the first change for customers: what is about this instant is asked once more, and what ships must be what was judged.
still() {
    case $asked in *'"'*) step until-changed no still release-gate still ;; *) skip still ;; esac
}
# What was waived is owed.
waived() { if [ -n "$waivers" ]; then step once no debt release-run debt; else skip debt; fi; }
# This run goes without a step; what comes after it keeps its number.
skip() { release-run skip "$1"; }
# Whether a step of this run is done.
did() { release-run did "$1"; }
# A fact of the last document.
fact() { release-run fact "$1"; }
# From now on releases to the environment are refused.
hold() { release-run hold --env "$environment" --reason "$1"; }
# The path of a file of this run, or of the last document.
path() { release-run path "$1"; }
# What was done before in this run is not taken for done: each step looks again.
doubt() { release-run doubt; }
# What follows is a document of its own.
anew() { release-run anew; }
finish() { release-run finish; }

# shellcheck disable=SC2154 # the version is read by the runbook
# agreed PROCEDURE: what another machine says it has done in this run must be what Coolify and the pages say; where that was all of it, there is nothing to do.
agreed() {
    release-run step claimed --claim -- deploy-coolify observe --claimed "$(path claim.json)" --procedure "$1" --env "$environment" --release "$version"
    if release-run ended; then exit 0; fi
}

# shellcheck disable=SC2154 # the version is read by the runbook
# could ACT: whether what lies here could be tagged so, as far as it can be seen here.
could() { tag-rc ready "$1" --env "$environment" --release "$version" >/dev/null; }
# What is older than settings allow is removed, where they say so; a run does not fail because of it.
tidy() {
    [ -n "$snapshot" ] || return 0
    db-restore prune --by-settings --fresh --env "$environment" ${plan:+"$plan"} >/dev/null ||
        say "what is older than it may be was not removed (see above); later: db-restore prune --fresh --env $environment"
}

# The way back: what runs now, the data as it is now and proven to be restorable (unless there is none), an edge that can be
# purged, a team that can be told. Without all of it nothing is changed for customers.
way_back() {
    step once no observe deploy-coolify observe
    without='--without=data'
    if [ -n "$snapshot" ]; then
        step once aside snapshot db-restore snapshot
        step once aside rehearse db-restore rehearse
        without=''
    fi
    step until-changed no edge cdn-purge --ready
    step until-changed no team notify --ready
    step until-changed no certificate release-gate certificate ${without:+"$without"}
}
