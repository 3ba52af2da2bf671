//! `RILIS_<STEP>_<KEY>` in the environment: a name that is nearly right must not be passed over in silence. Pure.

use super::closest;
use crate::Failure;

/// Every program, by the one list of them: a variable of another one is none of our business.
pub(super) fn programs() -> impl Iterator<Item = &'static str> {
    include_str!("../../../scripts/programs").lines()
}

/// The beginning of the variables of a program.
fn prefix(program: &str) -> String {
    format!("RILIS_{}_", spelt(program))
}

fn spelt(key: &str) -> String {
    key.to_uppercase().replace(['-', '.'], "_")
}

/// Complains about a variable that means to be a setting of this step and is none, or that nearly has a program's name.
pub(super) fn check(name: &str, step: &str, keys: &[&str]) -> Result<(), Failure> {
    if !name.starts_with("RILIS_") {
        return Ok(());
    }
    let own = prefix(step);
    if let Some(key) = name.strip_prefix(&own) {
        if keys.iter().any(|known| matches(known, key)) {
            return Ok(());
        }
        let known: Vec<String> = keys.iter().filter(|key| !key.contains('*')).map(|key| spelt(key)).collect();
        let advice = match closest(key, known.iter().map(String::as_str), 0.6) {
            Some(best) => format!("did you mean {own}{best}?"),
            None => format!("{step} has no such setting"),
        };
        return Err(unknown(name, &advice));
    }
    if programs().any(|program| name.starts_with(&prefix(program))) {
        return Ok(());
    }
    // Its first words are compared with each program's, as many as that has.
    let meant = programs().find_map(|program| {
        let own = prefix(program);
        let words = own.matches('_').count();
        let cut = name.match_indices('_').nth(words - 1).map_or(name.len(), |(at, _)| at + 1);
        (strsim::normalized_damerau_levenshtein(&name[..cut], &own) > 0.85)
            .then(|| format!("{own}{}", &name[cut..]))
    });
    meant.map_or(Ok(()), |meant| Err(unknown(name, &format!("did you mean {meant}?"))))
}

fn unknown(name: &str, advice: &str) -> Failure {
    Failure::config("unknown-setting", format!("{name}: unknown variable; {advice}"))
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

    #[test]
    fn a_misspelt_variable_is_an_error_and_others_are_left_alone() {
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
            ("RILIS_VERSION", None),
            ("RILIS_", None),
            ("PATH", None),
        ] {
            let found = check(name, "cdn-purge", keys).err().map(|failure| failure.message.clone());
            assert_eq!(found, said.map(|advice| format!("{name}: unknown variable; {advice}")));
        }
    }
}
