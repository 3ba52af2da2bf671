//! How often the runbooks talk to the code host: with one that is far away each conversation is felt at 3 am.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use crate::story::{self, pull, release, run, succeeds};
use testkit::Sandbox;

/// From now on each conversation of the product's clone with its remote is written down, and takes so long.
pub struct Far {
    log: PathBuf,
}

impl Far {
    pub fn away(sandbox: &Sandbox) -> Self {
        let log = sandbox.root().join("conversations");
        for (setting, program) in [("uploadpack", "git-upload-pack"), ("receivepack", "git-receive-pack")] {
            let path = sandbox.root().join(program);
            let body = format!(
                "#!/bin/sh\necho {program} >>'{}'\nexec git {} \"$@\"\n",
                log.display(),
                &program[4..]
            );
            std::fs::write(&path, body).expect("written");
            std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).expect("executable");
            sandbox.product.git(&[
                "config",
                &format!("remote.origin.{setting}"),
                &path.display().to_string(),
            ]);
        }
        Far { log }
    }

    /// Conversations since the last question.
    fn counted(&self) -> usize {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let _ = std::fs::remove_file(&self.log);
        text.lines().count()
    }
}

pub fn counts(far: &Far, what: &str, most: usize, command: &mut Command) -> String {
    far.counted();
    let said = succeeds(command);
    let count = far.counted();
    assert!(count <= most, "{what}: {count} conversations, at most {most}\n{said}");
    said
}

#[test]
fn the_code_host_is_asked_as_seldom_as_possible() {
    let sandbox = Sandbox::start();
    sandbox.at_once();
    sandbox.product.git(&["switch", "--quiet", "staging"]);
    let far = Far::away(&sandbox);
    counts(&far, "candidate", 8, sandbox.runbook("candidate").arg("1.2.0"));
    sandbox.merge_staging_to_main();
    sandbox.product.git(&["switch", "--quiet", "main"]);
    pull(&sandbox);
    counts(&far, "release", 8, &mut release(&sandbox, "1.2.0"));
    sandbox.prepare_bad_release("1.3.0");
    pull(&sandbox);
    run(&mut release(&sandbox, "1.3.0"));
    counts(&far, "status", 1, &mut sandbox.runbook("status"));
    counts(&far, "rollback -n", 1, sandbox.runbook("rollback").arg("-n"));
    let confirmation = sandbox.confirmation();
    counts(&far, "rollback", 4, sandbox.runbook("rollback").args(["--confirm", &confirmation]));
    counts(&far, "a rollback that is done", 1, &mut sandbox.runbook("rollback"));
}

#[test]
fn two_conversations_come_before_the_first_change() {
    let sandbox = story::broken();
    let far = Far::away(&sandbox);
    let confirmation = sandbox.confirmation();
    let mut command = sandbox.runbook("rollback");
    let note = format!(
        "[ \"${{1-}}\" != restore ] || cp '{0}' '{0}.before'\nexec \"$real\" \"$@\"",
        far.log.display()
    );
    story::first_in_path(&sandbox, &mut command, "db-restore", &note);
    succeeds(command.args(["--confirm", &confirmation]));
    let before = std::fs::read_to_string(far.log.with_extension("before")).expect("noted");
    // The third one stores that it begins, beside it.
    assert!(before.lines().count() <= 3, "{before}");
}
