//! The settings of `[release-gate]`. A gate is asked as soon as its table is there; until then it is off.

use std::time::Duration;

use step::{ADDRESS, Context, Failure, Form, PAGE, Setting, SettingKind as Type};

/// When a suite of tests is asked for.
const PROCEDURES: &[&str] = &["candidate", "release"];

/// How the key of a work item begins.
const PREFIX: Form = Form {
    name: "capital letters and digits, such as LUX",
    pattern: "^[A-Z][A-Z0-9]{0,19}$",
    fits: |text| {
        let usable = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit();
        text.len() <= 20 && text.starts_with(|c: char| c.is_ascii_uppercase()) && text.chars().all(usable)
    },
};

/// All of them.
pub const SETTINGS: &[Setting] = &[
    Setting::new("migrations", Type::Path, "the folder of the migrations, below the repository's")
        .default("db/migrations"),
    Setting::new(
        "most_loss",
        Type::Time,
        "how far back the data may go in a rollback that nobody has told to restore it",
    )
    .default("24h"),
    Setting::new("remote", Type::Text, "git's remote that has the evidence, the approvals and the policy")
        .default("origin"),
    Setting::new("work_items", Type::List(&Type::Form(&PREFIX)), "how the keys of work items begin, such as LUX in LUX-12")
        .otherwise("none are looked for")
        .example("[\"LUX\"]"),
    // Evidence of tests.
    Setting::new(
        "signing_key",
        Type::Text,
        "the SSH key that signs evidence and approvals: a file, or a public key whose private one an agent has",
    )
    .otherwise("git's user.signingkey")
    .example("~/.ssh/id_ed25519"),
    Setting::new(
        "evidence_signers",
        Type::Text,
        "who may sign evidence: a file of the repository in the form of ssh-keygen's ALLOWED SIGNERS, as it is on the production branch",
    )
    .default(".rilis/evidence_signers"),
    Setting::new("unsigned_evidence", Type::Flag, "believe records that nobody has signed: whoever may push can make one")
        .default("false"),
    Setting::new("tests.*.required", Type::Flag, "whether a record of this name must be there").default("true"),
    Setting::new("tests.*.for", Type::List(&Type::Word(PROCEDURES)), "what it is asked for")
        .default("[\"candidate\", \"release\"]"),
    Setting::new("tests.*.min_total", Type::Whole(1, i64::MAX), "the least tests (or linted files) that must have run")
        .default("1"),
    Setting::new("tests.*.max_flaky", Type::Whole(0, i64::MAX), "the most tests that passed only when they were run again")
        .default("0"),
    Setting::new("tests.*.max_skipped", Type::Whole(0, i64::MAX), "the most tests that did not run").default("0"),
    Setting::new("tests.*.max_warnings", Type::Whole(0, i64::MAX), "the most warnings").otherwise("as many as there are").example("10"),
    Setting::new("tests.*.max_age", Type::Time, "how old a record may be").otherwise("as old as its tree").example("24h"),
    Setting::new(
        "tests.*.against",
        Type::Flag,
        "the record must have been made against a page that served this build before and after it",
    )
    .default("false"),
    Setting::new("tests.*.command", Type::Text, "the command that makes the record, for whoever is told that it is missing")
        .example("npm run test:e2e"),
    Setting::new("tests.*.record_only", Type::Flag, "record the verdict, and stop nothing").default("false"),
    // GitHub.
    Setting::new(
        "ci.provider",
        Type::Word(&["github", "git"]),
        "who knows what is reviewed: GitHub, or signed commits with Reviewed-by (then `tests` says what is green)",
    )
    .default("github"),
    Setting::new("ci.url", Type::Form(&ADDRESS), "GitHub's API; that of GitHub Enterprise is https://HOST/api/v3")
        .default("https://api.github.com"),
    Setting::new("ci.repository", Type::Text, "the repository, as owner/name")
        .otherwise("that of git's remote")
        .example("luxima/aceh-commerce"),
    Setting::new("ci.token", Type::Secret("GITHUB_TOKEN, GH_TOKEN"), "the token of GitHub"),
    Setting::new("ci.cleartext", Type::Flag, "send the token over plain HTTP").default("false"),
    Setting::new("ci.required", Type::List(&Type::Text), "the checks that must be there and have succeeded, by their names")
        .example("[\"lint\", \"unit\", \"build\"]"),
    Setting::new("ci.wait", Type::Time, "how long a check that is not over yet is waited for").default("0s"),
    Setting::new("ci.reviews", Type::Whole(0, 9), "how many people must have approved each pull request; 0 asks for none")
        .default("1"),
    Setting::new("ci.stale", Type::Flag, "count approvals of an earlier commit of the pull request").default("false"),
    Setting::new("ci.record_only", Type::Flag, "record the verdict, and stop nothing").default("false"),
    // QA's checklist.
    Setting::new("checklist.source", Type::Word(&["supabase", "database"]), "where the list is").default("supabase"),
    Setting::new("checklist.url", Type::Form(&ADDRESS), "the project's address").example("https://abcdefghijklmnopqrst.supabase.co"),
    Setting::new("checklist.key", Type::Secret("SUPABASE_KEY"), "the key: secret (sb_secret_...) or service_role"),
    Setting::new("checklist.cleartext", Type::Flag, "send the key over plain HTTP").default("false"),
    Setting::new("checklist.list", Type::Path, "a Markdown list from which the rows of each candidate are made")
        .otherwise("nobody makes them but QA")
        .example("qa.md"),
    Setting::new("checklist.table", Type::Text, "the table, or schema.table").default("qa_checks"),
    Setting::new("checklist.min_items", Type::Whole(1, i64::MAX), "the least items that there must be").default("1"),
    Setting::new("checklist.host", Type::Text, "the database's host, where the list is asked for there").example("10.0.0.12"),
    Setting::new("checklist.port", Type::Whole(1, 65535), "its port").default("5432"),
    Setting::new("checklist.database", Type::Text, "its name").example("shop"),
    Setting::new("checklist.user", Type::Text, "who asks: a role that can only read the table, and insert for --seed; never a superuser").example("release_gate"),
    Setting::new("checklist.password", Type::Secret("CHECKLIST_PASSWORD"), "the password"),
    Setting::new("checklist.tls", Type::Word(&["disable", "require", "verify-full"]), "how the way to the server is protected")
        .otherwise("verify-full; disable on this machine")
        .example("verify-full"),
    Setting::new("checklist.tls_root", Type::Path, "the CA that has signed the server's certificate")
        .otherwise("the system's trust store").example("/etc/rilis/database-ca.pem"),
    Setting::new("checklist.record_only", Type::Flag, "record the verdict, and stop nothing").default("false"),
    // Proxmox.
    Setting::new("cluster.url", Type::Form(&ADDRESS), "Proxmox, by one of its nodes").example("https://pve1.luxima.id:8006"),
    Setting::new("cluster.token", Type::Secret("PROXMOX_TOKEN"), "the token, as user@realm!name=uuid; its role is PVEAuditor"),
    Setting::new("cluster.cleartext", Type::Flag, "send the token over plain HTTP").default("false"),
    Setting::new("cluster.ca_file", Type::Path, "the CA of the cluster (/etc/pve/pve-root-ca.pem)")
        .otherwise("the system's trust store").example("/etc/pve/pve-root-ca.pem"),
    Setting::new("cluster.fingerprint", Type::Text, "the SHA-256 of its certificate, as Proxmox shows it; no other one is taken")
        .example("AB:CD:..."),
    Setting::new("cluster.nodes", Type::List(&Type::Text), "the nodes that must be online").example("[\"pve1\", \"pve2\"]"),
    Setting::new("cluster.storages", Type::List(&Type::Text), "the storages that must be active and have room, as name or node/name")
        .example("[\"pve1/local-zfs\"]"),
    Setting::new("cluster.guests", Type::List(&Type::Id), "the guests that must run and not be locked, by their numbers")
        .example("[110, 120]"),
    Setting::new("cluster.max_used", Type::Part, "the most of a storage that may be in use").default("0.9"),
    Setting::new("cluster.min_free", Type::Form(&SIZE), "what must be free on each storage").example("20GB"),
    Setting::new("cluster.standalone", Type::Flag, "it is one machine, without a quorum").default("false"),
    Setting::new("cluster.record_only", Type::Flag, "record the verdict, and stop nothing").default("false"),
    // The calendar.
    Setting::new("window.freeze", Type::List(&Type::Text), "when nothing is released")
        .example("[\"Fri 16:00..Mon 08:00\", \"2026-12-24..2027-01-02\"]"),
    Setting::new("window.timezone", Type::Text, "whose clock that is, by its name in the zone database").example("Asia/Jakarta"),
    Setting::new("window.record_only", Type::Flag, "record the verdict, and stop nothing").default("false"),
    // Approvals.
    Setting::new("approvals.*", Type::Whole(1, 9), "how many people of this role must have approved exactly what is released")
        .example("1"),
    Setting::new("roles.*", Type::List(&Type::Text), "who has this role, by the names in allowed_signers; the production branch says it")
        .example("[\"rina@luxima.id\"]"),
    Setting::new(
        "allowed_signers",
        Type::Text,
        "whose signatures count: a file of the repository in the form of ssh-keygen's ALLOWED SIGNERS, as it is on the production branch",
    )
    .default(".rilis/allowed_signers"),
    Setting::new("revoked_signers", Type::Text, "keys that count no more: a file of the repository, as it is on the production branch")
        .example(".rilis/revoked_signers"),
    Setting::new("approval.valid", Type::Time, "how long an approval counts").default("7d"),
    Setting::new("approval.releaser", Type::Flag, "the one who releases may be one of those who approve").default("false"),
    Setting::new("approval.author", Type::Flag, "the author of the last commit may be one of those who approve").default("false"),
    Setting::new(
        "approval.claimed_releaser",
        Type::Flag,
        "believe git's user.email of who releases, where no signature proves it",
    )
    .default("false"),
    Setting::new("approval.record_only", Type::Flag, "record the verdict, and stop nothing").default("false"),
    Setting::new("approval.page", Type::Form(&PAGE), "where people see what they approve, for the team's message")
        .example("https://staging.shop.example/"),
];

/// What is free on a disk.
const SIZE: Form = Form {
    name: "a size, such as 20GB (MB, GB, TB)",
    pattern: "^0*[1-9][0-9]{0,6} ?(MB|GB|TB)$",
    fits: |text| bytes(text).is_some(),
};

/// A size as people write it: at most seven digits, which is more than anybody has.
pub fn bytes(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit = match &text[digits.len()..] {
        "MB" | " MB" => 1 << 20,
        "GB" | " GB" => 1 << 30,
        "TB" | " TB" => 1_u64 << 40,
        _ => return None,
    };
    let is_plain = digits.bytes().all(|b| b.is_ascii_digit()) && digits.trim_start_matches('0').len() <= 7;
    digits.parse::<u64>().ok().filter(|n| is_plain && *n > 0).map(|n| n * unit)
}

/// What the way back is judged by.
#[derive(Debug)]
pub struct Settings {
    /// The folder, from the repository's top.
    pub migrations: String,
    /// Whether the team has said so: then it must be there.
    pub is_said: bool,
    /// The time of writes that the migrations alone may decide to take out.
    pub most_loss: Duration,
}

impl Settings {
    /// Reads the settings.
    pub fn read(context: &Context) -> Result<Self, Failure> {
        let settings = &context.settings;
        Ok(Settings {
            migrations: settings.value("migrations")?,
            is_said: settings.is_set("migrations"),
            most_loss: settings.value("most_loss")?,
        })
    }
}
