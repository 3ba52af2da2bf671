//! Git repositories of their own: a bare one as the remote and clones of it, without anybody's configuration.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// Keeps a command from reading the configuration of whoever runs the tests.
pub fn isolate(command: &mut Command) -> &mut Command {
    command
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null")
        .env("GIT_TERMINAL_PROMPT", "0")
}

/// Runs git in a folder, whatever comes of it.
pub fn try_git(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new("git");
    isolate(&mut command).current_dir(folder).args(args).stdin(Stdio::null()).output().expect("git starts")
}

/// What git says; panics when it fails.
fn said(folder: &Path, args: &[&str]) -> String {
    let output = try_git(folder, args);
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// A bare repository.
#[derive(Clone, Debug)]
pub struct Remote(PathBuf);

impl Remote {
    /// Makes one at a path.
    pub fn create(path: &Path) -> Self {
        std::fs::create_dir_all(path).expect("a folder");
        said(path, &["init", "--quiet", "--bare", "--initial-branch=main"]);
        Remote(path.to_owned())
    }

    /// Takes a folder that is one already.
    pub fn at(path: &Path) -> Self {
        Remote(path.to_owned())
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Runs git in it.
    pub fn git(&self, args: &[&str]) -> String {
        said(&self.0, args)
    }

    /// Its tags.
    pub fn tags(&self) -> Vec<String> {
        self.git(&["tag", "--list"]).lines().map(str::to_owned).collect()
    }

    /// The commit that a name leads to, if it does.
    pub fn commit(&self, name: &str) -> Option<String> {
        let output = try_git(&self.0, &["rev-parse", "--verify", "--quiet", &format!("{name}^{{commit}}")]);
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// From now on every push is declined.
    pub fn decline_pushes(&self) {
        self.hook("pre-receive", "echo 'not on a Friday' >&2\nexit 1");
    }

    /// Gives it a hook, in sh.
    pub fn hook(&self, name: &str, text: &str) {
        write_hook(&self.0.join("hooks").join(name), text);
    }

    /// A clone with an identity.
    pub fn clone_to(&self, path: &Path) -> Repo {
        Repo::clone(&self.0.display().to_string(), path, &[])
    }
}

fn write_hook(path: &Path, text: &str) {
    std::fs::write(path, format!("#!/bin/sh\n{text}\n")).expect("written");
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).expect("executable");
}

/// A clone.
#[derive(Clone, Debug)]
pub struct Repo(PathBuf);

impl Repo {
    /// A clone of a URL with an identity; `more` are options of `git clone`.
    pub fn clone(url: &str, path: &Path, more: &[&str]) -> Self {
        let parent = path.parent().expect("a parent");
        said(parent, &[&["clone", "--quiet"], more, &[url, &path.display().to_string()]].concat());
        let repo = Repo(path.to_owned());
        repo.git(&["config", "user.name", "Rina Wijaya"]);
        repo.git(&["config", "user.email", "rina@luxima.example"]);
        repo
    }

    /// Takes a folder that is a repository already, such as a linked worktree.
    pub fn at(path: &Path) -> Self {
        Repo(path.to_owned())
    }

    /// Gives it a hook, in sh.
    pub fn hook(&self, name: &str, text: &str) {
        write_hook(&self.0.join(".git/hooks").join(name), text);
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Runs git in it.
    pub fn git(&self, args: &[&str]) -> String {
        said(&self.0, args)
    }

    /// Writes files and commits everything.
    pub fn commit(&self, message: &str, files: &[(&str, &str)]) -> String {
        for (name, text) in files {
            let path = self.0.join(name);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
            std::fs::write(path, text).expect("written");
        }
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "--message", message]);
        self.git(&["rev-parse", "HEAD"])
    }
}
