//! What git says of a remote that it cannot reach, and whether running it again may help. Pure.
//!
//! The words are git 2.47's, curl's and OpenSSH's own, in English because git is asked for English.

/// A trouble that no second run cures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lasting {
    /// A stable word.
    pub reason: &'static str,
    /// What it is and what to do.
    pub why: &'static str,
}

type Row = (&'static [&'static str], &'static str, &'static str);

/// The first row with one of its words decides. A star stands for anything on the same line.
const ROWS: &[Row] = &[
    (
        &["Host key verification failed", "REMOTE HOST IDENTIFICATION HAS CHANGED"],
        "remote-untrusted",
        "ssh does not know the key of its host: compare it with the one that the host publishes, and add that to known_hosts",
    ),
    (
        &[
            "SSL certificate problem",
            "certificate verify failed",
            "certificate verification failed",
            "SSL: no alternative certificate",
        ],
        "remote-untrusted",
        "its certificate is not trusted here: have it renewed, or tell git about the authority that issued it (http.sslCAInfo)",
    ),
    (
        &[
            "Permission denied (",
            "Too many authentication failures",
            "marked as read only",
            "denied to deploy key",
        ],
        "remote-denied",
        "its host does not accept the ssh key that git offers: load the right key (ssh-add -l lists them), or give this one the right",
    ),
    (
        &[
            "returned error: 401",
            "Authentication failed",
            "could not read Username",
            "could not read Password",
            "terminal prompts disabled",
        ],
        "remote-denied",
        "its host does not accept the credentials that git has, or git has none: give the right ones to git's credential helper",
    ),
    (
        &["returned error: 403", "Permission denied", "Access denied"],
        "remote-denied",
        "its host does not allow it with the credentials that git has: give their account the right, or give git other ones",
    ),
    (
        &["transport '*' not allowed"],
        "remote-refused",
        "git does not allow this kind of address (protocol.allow): use another one",
    ),
    (
        &[
            "Unable to find remote helper",
            "rotocol \"*\" not supported",
            "rotocol '*' is not supported",
            "unsupported protocol",
        ],
        "remote-refused",
        "git does not know this kind of address: correct the beginning of the URL",
    ),
    (
        &["dubious ownership"],
        "remote-denied",
        "the repository there belongs to another user, so git does not trust it",
    ),
    (
        &[
            "returned error: 404",
            "returned error: 410",
            "epository '*' not found",
            "epository not found",
            "' does not exist",
        ],
        "remote-missing",
        "there is no repository at its address, or none that these credentials may see: correct the URL, or the credentials",
    ),
    (
        &["does not appear to be a git repository", "No such file or directory", "not a git repository"],
        "remote-missing",
        "there is no repository at its address: correct the URL",
    ),
    (
        &[
            "is this a git repository?",
            "invalid server response",
            "bad line length",
            "url base from redirection",
            "Service not found",
        ],
        "remote-missing",
        "what answers at its address is no git server: correct the URL",
    ),
];

/// Finds it in what git has said; `None` when it may pass, or is not known. What the remote's own programs say (`remote: ...`) is
/// anybody's words.
pub(crate) fn lasting(stderr: &str) -> Option<Lasting> {
    let lines: Vec<&str> = stderr.lines().filter(|line| !line.starts_with("remote:")).collect();
    let said = |words: &&str| lines.iter().any(|line| says(line, words));
    let (_, reason, why) = ROWS.iter().find(|(words, ..)| words.iter().any(said))?;
    Some(Lasting { reason, why })
}

fn says(line: &str, words: &str) -> bool {
    match words.split_once('*') {
        None => line.contains(words),
        Some((start, end)) => line.split_once(start).is_some_and(|(_, rest)| rest.contains(end)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What git says, and the reason.
    const SAID: &[(&str, Option<&str>)] = &[
        ("fatal: repository 'https://git.example/shop.git/' not found", Some("remote-missing")),
        (
            "remote: Repository not found.\nfatal: repository 'https://github.com/a/b/' not found",
            Some("remote-missing"),
        ),
        (
            "ERROR: Repository not found.\nfatal: Could not read from remote repository.",
            Some("remote-missing"),
        ),
        (
            "fatal: unable to access 'https://g/x/': The requested URL returned error: 404",
            Some("remote-missing"),
        ),
        (
            "fatal: unable to access 'https://g/x/': The requested URL returned error: 403",
            Some("remote-denied"),
        ),
        ("fatal: Authentication failed for 'https://g/x/'", Some("remote-denied")),
        ("fatal: could not read Username for 'https://g': terminal prompts disabled", Some("remote-denied")),
        (
            "git@g: Permission denied (publickey).\nfatal: Could not read from remote repository.",
            Some("remote-denied"),
        ),
        ("git@g: Permission denied (publickey,password).", Some("remote-denied")),
        ("ERROR: Permission to a/b.git denied to deploy key", Some("remote-denied")),
        (
            "Host key verification failed.\nfatal: Could not read from remote repository.",
            Some("remote-untrusted"),
        ),
        (
            "fatal: unable to access 'https://g/x/': SSL certificate problem: certificate has expired",
            Some("remote-untrusted"),
        ),
        ("fatal: '/nonexistent' does not appear to be a git repository", Some("remote-missing")),
        ("fatal: repository '/nonexistent' does not exist", Some("remote-missing")),
        ("fatal: https://g/x/info/refs not valid: is this a git repository?", Some("remote-missing")),
        ("fatal: protocol error: bad line length character: <htm", Some("remote-missing")),
        ("fatal: transport 'ext' not allowed", Some("remote-refused")),
        ("fatal: Unable to find remote helper for 'htps'", Some("remote-refused")),
        ("fatal: detected dubious ownership in repository at '/srv/x'", Some("remote-denied")),
        ("fatal: unable to access 'https://g/x/': Could not resolve host: g", None),
        ("ssh: Could not resolve hostname g: Temporary failure in name resolution", None),
        ("fatal: unable to access 'https://g/x/': The requested URL returned error: 503", None),
        ("fatal: unable to access 'https://g/x/': The requested URL returned error: 429", None),
        ("ssh: connect to host g port 22: Connection timed out", None),
        ("fatal: unable to access 'https://g/x/': Failed to connect to g port 443: Connection refused", None),
        ("fatal: the remote end hung up unexpectedly", None),
        ("remote: Permission denied (a hook's words)\nfatal: the remote end hung up unexpectedly", None),
        ("", None),
    ];

    #[test]
    fn what_no_second_run_cures_is_told_from_what_may_pass() {
        for (stderr, reason) in SAID {
            assert_eq!(lasting(stderr).map(|found| found.reason), *reason, "{stderr}");
        }
    }
}
