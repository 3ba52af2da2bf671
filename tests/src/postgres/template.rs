//! A cluster is made by initdb once for each version of PostgreSQL, and kept beside the tests' own programs; every other one is a copy of its files,
//! which takes a twentieth of the time.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use super::{PASSWORD, as_owner, folder};
use crate::unprivileged;

/// How a cluster is made. What is written here is part of the name under which it is kept.
const ARGS: [&str; 5] =
    ["--no-sync", "--username=postgres", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"];

/// Makes a cluster of its own.
pub fn made(bin: &Path, data: &Path) {
    let initial = data.with_file_name("initial");
    std::fs::write(&initial, PASSWORD).expect("written");
    std::fs::set_permissions(&initial, PermissionsExt::from_mode(0o600)).expect("private");
    if let Some((uid, gid)) = unprivileged("postgres") {
        chown(&initial, Some(uid), Some(gid)).expect("we are root");
    }
    let mut initdb = as_owner(&bin.join("initdb"));
    let made = initdb.args(ARGS).arg(format!("--pwfile={}", initial.display())).arg(data).output();
    let made = made.expect("initdb starts");
    assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
}

/// Copies the one that is kept, which is made if there is none yet.
pub fn copied(bin: &Path, data: &Path) {
    static MAKING: Mutex<()> = Mutex::new(());
    let kept = kept(bin);
    let one = MAKING.lock().expect("nobody panicked");
    if !kept.is_dir() {
        let work = folder();
        made(bin, &work.path().join("data"));
        let own = kept.with_extension(std::process::id().to_string());
        copy(&work.path().join("data"), &own);
        // Somebody else may have been first.
        if std::fs::rename(&own, &kept).is_err() {
            std::fs::remove_dir_all(&own).expect("our own");
        }
    }
    drop(one);
    copy(&kept, data);
}

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").args(["-Rp"]).args([from, to]).output().expect("cp");
    assert!(copied.status.success(), "cp: {}", String::from_utf8_lossy(&copied.stderr));
}

/// Where it is kept: by version and by how it is made.
fn kept(bin: &Path) -> PathBuf {
    let version = Command::new(bin.join("postgres")).arg("--version").output().expect("postgres");
    let mut hash = DefaultHasher::new();
    (&version.stdout, ARGS, PASSWORD, unprivileged("postgres")).hash(&mut hash);
    let program = std::env::current_exe().expect("our own program");
    let folder = program.parent().expect("a folder").join("postgres-templates");
    std::fs::create_dir_all(&folder).expect("a folder");
    folder.join(format!("{:016x}", hash.finish()))
}
