//! Secrets on command lines and in files of commands: `docker login -p`, `sshpass`, `mysql -pX`, Dockerfiles, fish, `.netrc`, masks of CI.

use std::ops::Range;

use super::is_placeholder;
use super::named::{is_secret_name, value};

/// Programs, an option whose next word is a password, and an option that has it attached.
const OPTIONS: &[(&[&str], &[&str], &[&str])] = &[
    (
        &["docker login", "podman login", "helm registry login", "nerdctl login", "crane auth login"],
        &["-p"],
        &["-p"],
    ),
    (&["sshpass"], &["-p"], &["-p"]),
    (
        &["mysql", "mysqldump", "mysqladmin", "mysqlimport", "mariadb", "mariadb-dump", "mariadb-admin"],
        &[],
        &["-p"],
    ),
    (&["redis-cli", "valkey-cli"], &["-a"], &["-a"]),
    (&["mongosh", "mongodump", "mongorestore", "az login"], &["-p"], &[]),
    (&["zip", "unzip"], &["-P"], &[]),
];

/// What a rule looks for in a line. Most texts have none of the words that it needs, and are not read line by line.
struct Search {
    needs: &'static [&'static str],
    rule: fn(&str, &str) -> Vec<Range<usize>>,
}

const SEARCHES: &[Search] = &[
    Search {
        needs: &["login", "sshpass", "my", "maria", "-cli", "mongo", "zip"],
        rule: |line, _| options(line),
    },
    Search { needs: &["curl"], rule: |line, _| attached_user(line) },
    Search { needs: &["pass:"], rule: |line, _| pass(line) },
    Search { needs: &["ENV ", "ARG ", "set -", "setenv "], rule: |line, _| words(line) },
    Search { needs: &["password "], rule: netrc },
    Search { needs: &["add-mask"], rule: |line, _| mask(line) },
];

/// In each line.
pub(super) fn lines(text: &str, found: &mut Vec<Range<usize>>) {
    let needed = |search: &&Search| search.needs.iter().any(|word| text.contains(word));
    let searches: Vec<&Search> = SEARCHES.iter().filter(needed).collect();
    if searches.is_empty() {
        return;
    }
    let (mut at, mut before) = (0, "");
    for line in text.split_inclusive('\n') {
        let ranges = searches.iter().flat_map(|search| (search.rule)(line, before));
        let ranges = ranges.filter(|range| !is_placeholder(&line[range.clone()]));
        found.extend(ranges.map(|range| at + range.start..at + range.end));
        (at, before) = (at + line.len(), line.trim());
    }
}

/// Where what follows a command begins.
fn behind(line: &str, program: &str) -> Option<usize> {
    let at = line.match_indices(program).map(|(at, _)| at).find(|at| {
        let free =
            line[..*at].chars().next_back().is_none_or(|c| c.is_whitespace() || "/\"'`(;&|".contains(c));
        free && line[at + program.len()..].starts_with(' ')
    })?;
    Some(at + program.len())
}

fn options(line: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for (programs, next, attached) in OPTIONS {
        let Some(from) = programs.iter().find_map(|program| behind(line, program)) else { continue };
        for (i, word) in words_of(line, from) {
            if next.contains(&word) {
                found.extend(value(line, i + word.len(), false).map(|(range, _)| range));
            } else if let Some(option) =
                attached.iter().find(|o| word.starts_with(**o) && word.len() > o.len())
            {
                found.extend(value(line, i + option.len(), false).map(|(range, _)| range));
            }
        }
    }
    found
}

/// Words and where they begin, from a place on.
fn words_of(line: &str, from: usize) -> impl Iterator<Item = (usize, &str)> {
    let words = line[from..].split([' ', '\t', '\n']).scan(from, |at, word| {
        let here = *at;
        *at += word.len() + 1;
        Some((here, word))
    });
    words.filter(|(_, word)| !word.is_empty())
}

/// `curl -uname:password`.
fn attached_user(line: &str) -> Vec<Range<usize>> {
    let Some(from) = behind(line, "curl") else { return Vec::new() };
    let user = words_of(line, from).find(|(_, word)| word.starts_with("-u") && word.contains(':'));
    let range = user.and_then(|(i, word)| word.find(':').map(|colon| i + colon + 1..i + word.len()));
    range.into_iter().collect()
}

/// `openssl ... -passin pass:...`.
fn pass(line: &str) -> Vec<Range<usize>> {
    let options = ["-passin pass:", "-passout pass:", "-pass pass:", "--passphrase pass:"];
    let places = options.iter().filter_map(|option| Some(line.find(option)? + option.len()));
    places.filter_map(|from| Some(value(line, from, false)?.0)).collect()
}

/// `ENV NAME value` of a Dockerfile, `set -x NAME value` of fish, `setenv NAME value` of csh.
fn words(line: &str) -> Vec<Range<usize>> {
    let starts = ["ENV ", "ARG ", "set -x ", "set -gx ", "set -Ux ", "setenv "];
    let trimmed = line.trim_start_matches(['+', '>', '$', '#', ' ', '\t']);
    let Some(start) = starts.iter().find(|start| trimmed.starts_with(**start)) else { return Vec::new() };
    let from = line.len() - trimmed.len() + start.len();
    let name = line[from..].split([' ', '=', '\n']).next().unwrap_or_default();
    let behind = from + name.len();
    let secret = is_secret_name(name) && line[behind..].starts_with(' ');
    value(line, behind, false).filter(|_| secret).map(|(range, _)| range).into_iter().collect()
}

/// `password ...` below `login ...` or `machine ...`.
fn netrc(line: &str, before: &str) -> Vec<Range<usize>> {
    let trimmed = line.trim_start();
    let ours = before.starts_with("login ") || before.starts_with("machine ");
    let from = line.len() - trimmed.len() + "password ".len();
    let value = trimmed.strip_prefix("password ").filter(|_| ours).and_then(|_| value(line, from, false));
    value.map(|(range, _)| range).into_iter().collect()
}

/// What GitHub's and Azure's runners are told to mask.
fn mask(line: &str) -> Vec<Range<usize>> {
    let commands = ["::add-mask::", "##[add-mask]"];
    let places = commands.iter().filter_map(|command| Some(line.find(command)? + command.len()));
    places.map(|from| from..line.trim_end_matches(['\r', '\n', '"', '\'']).len().max(from)).collect()
}
