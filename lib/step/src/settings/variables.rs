//! `RILIS_<STEP>_<KEY>` in the environment: a name that is nearly right must not be passed over in silence. Pure.

use super::closest;
use super::setting::Setting;
use crate::Failure;

/// Every program, by the one list of them: a variable of another one is none of our business.
pub(super) fn programs() -> impl Iterator<Item = &'static str> {
    include_str!("../../../../scripts/programs").lines()
}

/// What the runbooks and the jobs for CI use themselves, without `RILIS_`.
const OF_SCRIPTS: [&str; 5] = ["ARCHIVE", "KEEPER", "PUSH_URL", "RUNBOOK", "SHA256"];

/// The variable of a program's setting.
pub(super) fn of(program: &str, key: &str) -> String {
    format!("{}{}", prefix(program), spelt(key))
}

/// The beginning of the variables of a program.
fn prefix(program: &str) -> String {
    format!("RILIS_{}_", spelt(program))
}

fn spelt(key: &str) -> String {
    key.to_uppercase().replace(['-', '.'], "_")
}

/// Complains about a variable that means to be a setting and is none: of this step, of a program that is nearly named, or of nothing.
pub(super) fn check(name: &str, step: &str, settings: &[Setting]) -> Result<(), Failure> {
    let keys: Vec<String> = settings.iter().map(Setting::written).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    judge(name, step, &keys)
}

fn judge(name: &str, step: &str, keys: &[&str]) -> Result<(), Failure> {
    let Some(rest) = name.strip_prefix("RILIS_") else { return Ok(()) };
    let own = prefix(step);
    if let Some(key) = name.strip_prefix(&own) {
        return if keys.iter().any(|known| matches(known, key)) {
            Ok(())
        } else {
            Err(unknown(name, &advice(&own, key, step, keys)))
        };
    }
    let is_known = OF_SCRIPTS.contains(&rest) || programs().any(|program| name.starts_with(&prefix(program)));
    if is_known { Ok(()) } else { Err(unknown(name, &meant(name, step, keys))) }
}

fn advice(own: &str, key: &str, step: &str, keys: &[&str]) -> String {
    let known: Vec<String> = keys.iter().filter(|key| !key.contains('*')).map(|key| spelt(key)).collect();
    match closest(key, known.iter().map(String::as_str), 0.6) {
        Some(best) => format!("did you mean {own}{best}?"),
        None => format!("{step} has no such setting"),
    }
}

/// What a variable that begins like no program's was meant to be.
fn meant(name: &str, step: &str, keys: &[&str]) -> String {
    if let Some(meant) = programs().find_map(|program| of_program(name, program)) {
        return format!("did you mean {meant}?");
    }
    // The program's name is left out: RILIS_BRANCH.
    let key = name.trim_start_matches("RILIS_");
    if keys.iter().any(|known| matches(known, key)) {
        return format!("did you mean {}{key}?", prefix(step));
    }
    let shape = "a setting is RILIS_PROGRAM_KEY, such as RILIS_TAG_RC_BRANCH";
    format!("no program of rilis reads it ({shape}); give it another name if it is yours")
}

/// The variable of this program that this one nearly is: its first words are compared, as many as the program has, or fewer where
/// an underscore is missing.
fn of_program(name: &str, program: &str) -> Option<String> {
    let own = prefix(program);
    let bare = |text: &str| text.replace('_', "");
    let words = own.matches('_').count();
    let cuts = name.match_indices('_').map(|(at, _)| at + 1).chain([name.len()]);
    let cuts: Vec<usize> = cuts.collect();
    let same = cuts.iter().copied().find(|cut| bare(&name[..*cut]) == bare(&own));
    let cut = cuts.get(words - 1).copied().unwrap_or(name.len());
    let near = || strsim::normalized_damerau_levenshtein(&name[..cut], &own) > 0.85;
    let nearer = || {
        let cut = cuts
            .iter()
            .copied()
            .find(|cut| strsim::normalized_damerau_levenshtein(&bare(&name[..*cut]), &bare(&own)) > 0.87);
        cut.filter(|cut| *cut > "RILIS_".len())
    };
    let cut = same.or_else(|| near().then_some(cut)).or_else(nearer)?;
    Some(format!("{own}{}", &name[cut..]))
}

fn unknown(name: &str, advice: &str) -> Failure {
    Failure::config("unknown-setting", format!("no program knows the variable {name}; {advice}"))
}

/// Whether a key as it is declared (`channels.*.kind`) is what a variable names.
fn matches(known: &str, key: &str) -> bool {
    match spelt(known).split_once('*') {
        None => spelt(known) == key,
        Some((start, end)) => {
            let inside = key.strip_prefix(start).and_then(|rest| rest.strip_suffix(end));
            inside.is_some_and(|name| !name.is_empty())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOBODYS: &str = "no program of rilis reads it (a setting is RILIS_PROGRAM_KEY, such as RILIS_TAG_RC_BRANCH); give it another name \
                           if it is yours";

    #[test]
    fn a_misspelt_variable_or_unknown_variable_is_an_error_and_those_of_others_are_left_alone() {
        let keys = &["endpoint", "settle", "channels.*.kind"];
        for (name, said) in [
            ("RILIS_CDN_PURGE_ENDPOINT", None),
            ("RILIS_CDN_PURGE_CHANNELS_TEAM_KIND", None),
            ("RILIS_CDN_PURGE_ENDPIONT", Some("did you mean RILIS_CDN_PURGE_ENDPOINT?")),
            ("RILIS_CDN_PURGE_XYZ", Some("cdn-purge has no such setting")),
            ("RILIS_CDN_PURGE_CHANNELS_KIND", Some("cdn-purge has no such setting")),
            ("RILIS_CDN_PRUGE_ENDPOINT", Some("did you mean RILIS_CDN_PURGE_ENDPOINT?")),
            ("RILIS_DEPLOY_COLIFY_STALL", Some("did you mean RILIS_DEPLOY_COOLIFY_STALL?")),
            ("RILIS_NOTIFY_WHATEVER", None),
            ("RILIS_ARCHIVE", None),
            ("RILIS_PUSH_URL", None),
            ("RILIS_SHA256", None),
            ("RILIS_TAGRC_BRANCH", Some("did you mean RILIS_TAG_RC_BRANCH?")),
            ("RILIS_TAG_R_C_BRANCH", Some("did you mean RILIS_TAG_RC_BRANCH?")),
            ("RILIS_TAGRCBRANCH", Some(NOBODYS)),
            ("RILIS_CDNPURGE_ENDPOINT", Some("did you mean RILIS_CDN_PURGE_ENDPOINT?")),
            ("RILIS_CDNPRUGE_ENDPOINT", Some("did you mean RILIS_CDN_PURGE_ENDPOINT?")),
            ("RILIS_DEPLOYCOOLIFY_STALL", Some("did you mean RILIS_DEPLOY_COOLIFY_STALL?")),
            ("RILIS_DBRESTORE_SOURCE", Some("did you mean RILIS_DB_RESTORE_SOURCE?")),
            ("RILIS_CHANGELOGLINT_PROFILE", Some("did you mean RILIS_CHANGELOG_LINT_PROFILE?")),
            ("RILIS_NOTFY_X", Some("did you mean RILIS_NOTIFY_X?")),
            ("RILIS_ENDPOINT", Some("did you mean RILIS_CDN_PURGE_ENDPOINT?")),
            ("RILIS_VERSION", Some(NOBODYS)),
            ("RILIS_FOO", Some(NOBODYS)),
            ("RILIS_", Some(NOBODYS)),
            ("rilis_foo", None),
            ("RILISH", None),
            ("PATH", None),
        ] {
            let found = judge(name, "cdn-purge", keys).err().map(|failure| failure.message.clone());
            assert_eq!(found, said.map(|advice| format!("no program knows the variable {name}; {advice}")));
        }
    }
}
