//! Signatures: made as git is configured, proven before anything is pushed when they are required.

use std::process::Command;

use serde_json::{Value, json};
use testkit::exchange;
use testkit::git_servers::ssh_key;
use testkit::gnupg::Gnupg;

use crate::team::{ID, OTHER_ID, Team, changed, failed, no, opened, output, tagged, unchanged};

/// Our clone signs with an ssh key that it also trusts.
fn with_ssh(team: &Team) {
    ssh_key(&team.path("key"));
    let public = std::fs::read_to_string(team.path("key.pub")).expect("the key");
    std::fs::write(team.path("signers"), format!("rina@luxima.example {public}")).expect("written");
    let settings = [
        ("gpg.format", "ssh".to_owned()),
        ("user.signingKey", team.path("key").display().to_string()),
        ("gpg.ssh.allowedSignersFile", team.path("signers").display().to_string()),
    ];
    for (key, value) in settings {
        team.ours.git(&["config", key, &value]);
    }
}

fn verified(team: &Team, tag: &str) -> (i32, Value) {
    team.ask(&["verify", tag, "--require-signed"])
}

#[test]
fn a_tag_is_signed_as_git_is_configured() {
    let team = Team::start();
    with_ssh(&team);
    assert_eq!(team.tags(&["candidate"]), changed("v1.2.0-rc1"), "nobody wants it signed");
    assert_eq!(verified(&team, "v1.2.0-rc1").0, 1);
    assert_eq!(
        team.refused(&["candidate", "--require-signed"]),
        no("unsigned"),
        "what is there already is looked at too"
    );
    for (n, (key, args)) in [
        ("tag.gpgSign", &[][..]),
        ("tag.forceSignAnnotated", &[]),
        ("x.y", &["--sign"]),
        ("x.z", &["--require-signed"]),
    ]
    .iter()
    .enumerate()
    {
        let mut document = opened(ID);
        document["id"] = json!(format!("shop-1.2.0-20261124T120000Z-{n:04}"));
        team.ours.git(&["config", key, "true"]);
        let mut words = vec!["candidate", "--again"];
        words.extend(*args);
        let (code, done, stderr) = exchange(&mut team.command(&words), Some(&document));
        team.ours.git(&["config", "--unset", key]);
        assert_eq!(code, 0, "{key}: {stderr}");
        assert_eq!(output(&done)["signature"]["good"], true, "{key}: {done}");
        let (code, answer) = verified(&team, done["facts"]["tag"].as_str().expect("a tag"));
        assert_eq!((code, &answer["signature"]["good"]), (0, &json!(true)), "{answer}");
        assert!(
            answer["signature"]["said"].as_str().is_some_and(|s| s.contains("rina@luxima.example")),
            "{answer}"
        );
    }
    let message = team.remote.git(&["tag", "--list", "--format=%(contents:body)", "v1.2.0-rc5"]);
    assert!(message.contains("- Pay with QRIS"), "{message}");
}

#[test]
fn a_required_signature_that_cannot_be_made_or_proven_leaves_no_tag() {
    let team = Team::start();
    let args = ["candidate", "--require-signed"];
    let nothing = |reason: &str| {
        let end = team.run(&args);
        assert_eq!(failed(&end).1, reason, "{}", end.2);
        assert_eq!(end.1["failure"]["acted"], "no");
        assert!(team.remote.tags().is_empty() && team.ours.git(&["tag"]).is_empty());
    };
    team.ours.git(&["config", "gpg.format", "ssh"]);
    team.ours.git(&["config", "user.signingKey", "/nowhere/key"]);
    nothing("tag-failed");
    with_ssh(&team);
    std::fs::write(team.path("signers"), "").expect("written");
    nothing("signature");
    team.ours.git(&["config", "--unset", "gpg.ssh.allowedSignersFile"]);
    nothing("signature");
    // Where it is not required, the tag is signed and the document says what is known of it.
    let (code, done, _) = exchange(&mut team.command(&["candidate", "--sign"]), Some(&opened(ID)));
    assert_eq!((code, &output(&done)["signature"]["good"]), (0, &json!(false)), "{done}");
    let (code, answer) = team.ask(&["verify", "v1.2.0-rc1"]);
    assert_eq!(
        (code, &answer["signature"]["good"]),
        (0, &json!(false)),
        "a key that is not known is no evidence against"
    );
    assert_eq!(verified(&team, "v1.2.0-rc1").0, 1);
}

#[test]
fn killed_before_the_push_a_signed_tag_is_pushed_as_it_is() {
    let team = Team::start();
    with_ssh(&team);
    team.ours.hook("pre-push", "kill -9 $(sed 's/.*) . \\([0-9]*\\).*/\\1/' /proc/$PPID/stat); exit 1");
    let args = ["candidate", "--require-signed"];
    let mut child = team
        .command(&args)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .spawn()
        .expect("it starts");
    std::io::Write::write_all(&mut child.stdin.take().expect("a pipe"), opened(ID).to_string().as_bytes())
        .expect("it reads");
    assert_eq!(child.wait().expect("it ends").code(), None, "killed");
    std::fs::remove_file(team.ours.path().join(".git/hooks/pre-push")).expect("removed");
    let object = team.ours.git(&["rev-parse", "v1.2.0-rc1"]);
    assert_eq!(tagged(exchange(&mut team.command(&args), Some(&opened(OTHER_ID)))), changed("v1.2.0-rc1"));
    assert_eq!(team.remote.git(&["rev-parse", "refs/tags/v1.2.0-rc1"]), object);
    // A clone that never saw the tag proves it too.
    let fresh = team.remote.clone_to(&team.path("fresh"));
    fresh.git(&["switch", "--quiet", "staging"]);
    fresh.git(&["tag", "--delete", "v1.2.0-rc1"]);
    fresh.git(&["config", "gpg.ssh.allowedSignersFile", &team.path("signers").display().to_string()]);
    assert_eq!(tagged(team.run_in(fresh.path(), &args)), unchanged("v1.2.0-rc1"));
}

#[test]
fn openpgp_and_x509_are_signed_and_proven_too() {
    let team = Team::start();
    let gnupg = Gnupg::create(&team.path("gpg"));
    for (n, (format, key)) in
        [("openpgp", gnupg.openpgp_key()), ("x509", gnupg.x509_certificate())].into_iter().enumerate()
    {
        team.ours.git(&["config", "gpg.format", format]);
        team.ours.git(&["config", "user.signingKey", &key]);
        let with_home = |mut command: Command| {
            command.env("GNUPGHOME", gnupg.path());
            command
        };
        let mut document = opened(ID);
        document["id"] = json!(format!("shop-1.2.0-20261124T120000Z-{n:04}"));
        let args = ["candidate", "--again", "--require-signed"];
        let end = exchange(&mut with_home(team.command(&args)), Some(&document));
        assert_eq!(tagged(end), changed(&format!("v1.2.0-rc{}", n + 1)), "{format}");
        let tag = format!("v1.2.0-rc{}", n + 1);
        let output =
            with_home(team.command(&["verify", "--require-signed", &tag])).output().expect("it runs");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success() && said.to_lowercase().contains("good signature"),
            "{format}: {said}"
        );
        // Somebody who does not know the key cannot prove it.
        let stranger = Gnupg::create(&team.path(&format!("g{n}")));
        let output =
            team.command(&["verify", "--require-signed", &tag]).env("GNUPGHOME", stranger.path()).output();
        assert_eq!(output.expect("it runs").status.code(), Some(1), "{format}");
    }
}
