//! Repositories of our own inside of a clone's `.git`, where what a remote has is looked at: nothing in the clone changes, only what is new
//! is fetched, and nobody can commit it. The remote's settings are those of the clone.

use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use step::{Acted, Context, Failure, Permit};

use crate::{Git, Place};

/// The longest that one conversation takes.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often a ref that somebody else has moved meanwhile is moved anew.
const TURNS: usize = 12;
/// The first wait before that, and the longest.
const FIRST: Duration = Duration::from_millis(40);
const MOST: Duration = Duration::from_secs(2);

/// No part of a ref is longer.
const LENGTH: usize = 160;

/// Whether a text can be a part of a ref, the name of a folder, and a word for a shell, just as it is.
pub fn is_word(text: &str) -> bool {
    let usable = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    text.len() <= LENGTH
        && text.chars().all(usable)
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && !text.contains("..")
        && !text.ends_with(['.', '-'])
        && !text.to_ascii_lowercase().ends_with(".lock")
}

/// A name that people chose as a part of a ref: what is no word is spelt out, so that two names never become one.
pub fn component(text: &str) -> String {
    if is_word(text) && !text.contains("_x") {
        return text.to_owned();
    }
    let spell =
        |b: u8| if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { format!("_x{b:02x}") };
    let spelt: String = text.bytes().map(spell).collect();
    let cut: String = spelt.chars().take(LENGTH - 1).collect();
    format!("x{cut}")
}

/// The folder `rilis` of the clone, which all its worktrees share, and the commit that is checked out.
///
/// # Errors
/// `config`, `no-repository` outside of a clone.
pub fn own_folder(git: &Git) -> Result<(PathBuf, Option<String>), Failure> {
    let said = git.run(&["rev-parse", "--path-format=absolute", "--git-common-dir", "HEAD"], b"")?;
    let text = said.text();
    let mut lines = text.lines();
    let Some(folder) = lines.next().filter(|line| line.starts_with('/')) else {
        let message = "the working directory is in no git repository: run this in a clone of the product";
        return Err(Failure::config("no-repository", message).cause(said.stderr));
    };
    let is_id = |line: &&str| line.len() >= 40 && line.bytes().all(|b| b.is_ascii_hexdigit());
    Ok((PathBuf::from(folder).join("rilis"), lines.next().filter(is_id).map(str::to_owned)))
}

/// The bare repository of that name in the folder `own`; made once.
///
/// # Errors
/// `config`, `git-folder` when it cannot be made; as [`Git::ask`].
pub fn prepared(git: &Git, own: &Path, name: &str) -> Result<PathBuf, Failure> {
    let seen = own.join(format!("{name}.git"));
    if seen.join("config").is_file() {
        return Ok(seen);
    }
    let unusable = |e: std::io::Error| Failure::config("git-folder", format!("{}: {e}", own.display()));
    std::fs::create_dir_all(own).map_err(unusable)?;
    let half = own.join(format!("{name}.{}", std::process::id()));
    let format = git.run(&["rev-parse", "--show-object-format"], b"")?.text();
    let format = if format == "sha256" { "sha256" } else { "sha1" };
    let path = half.display().to_string();
    git.ask(&["init", "--quiet", "--bare", "--template=", &format!("--object-format={format}"), &path], b"")?;
    let include = format!("[include]\n\tpath = {:?}\n", own.with_file_name("config").display().to_string());
    let config = std::fs::File::options().append(true).open(half.join("config"));
    config.and_then(|mut file| file.write_all(include.as_bytes())).map_err(unusable)?;
    if std::fs::rename(&half, &seen).is_err() {
        // Somebody else was faster.
        let _ = std::fs::remove_dir_all(&half);
    }
    Ok(seen)
}

impl Git<'_> {
    /// The same git in a repository of ours: nothing there is code that hooks are about, and no daemon is left behind.
    #[must_use]
    pub fn aside(&self, folder: &Path) -> Self {
        let settings = [
            ("core.hooksPath", "/dev/null"),
            ("maintenance.auto", "false"),
            ("gc.auto", "0"),
            ("fetch.unpackLimit", "1"),
            ("core.bigFileThreshold", "1m"),
            ("push.gpgSign", "false"),
            ("log.showSignature", "false"),
            ("i18n.commitEncoding", "UTF-8"),
        ];
        let git = self.clone().with("GIT_DIR", folder.display().to_string());
        settings.into_iter().fold(git, |git, (key, value)| git.set(key, value))
    }

    /// Objects by their ids, in one go; what is not there is left out.
    ///
    /// # Errors
    /// As [`Git::ask`].
    pub fn objects(&self, ids: &[&str]) -> Result<HashMap<String, Vec<u8>>, Failure> {
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let said = self.ask(&["cat-file", "--batch"], format!("{}\n", ids.join("\n")).as_bytes())?;
        Ok(batch(&said.stdout).into_iter().flatten().collect())
    }

    /// Objects by whatever names them (`COMMIT:path`), each in its place; what is larger than `limit` bytes, or no file, is left out unread.
    ///
    /// # Errors
    /// As [`Git::ask`].
    pub fn named_objects(&self, names: &[&str], limit: usize) -> Result<Vec<Option<Vec<u8>>>, Failure> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let format = "--batch-check=%(objectname) %(objecttype) %(objectsize)";
        let said = self.ask(&["cat-file", format], format!("{}\n", names.join("\n")).as_bytes())?;
        let text = said.text();
        let small = |line: &str| {
            let mut words = line.split(' ');
            let (id, kind, size) = (words.next()?, words.next()?, words.next()?);
            let is_small = kind == "blob" && size.parse().is_ok_and(|size: usize| size <= limit);
            is_small.then(|| id.to_owned())
        };
        let ids: Vec<Option<String>> = text.lines().map(small).collect();
        // What is not there keeps its place.
        let none = "0".repeat(40);
        let names: Vec<&str> = ids.iter().map(|id| id.as_deref().unwrap_or(&none)).collect();
        let said = self.ask(&["cat-file", "--batch"], format!("{}\n", names.join("\n")).as_bytes())?;
        let mut all: Vec<Option<Vec<u8>>> = batch(&said.stdout).into_iter().map(|one| Some(one?.1)).collect();
        // What was cut off is not there.
        all.resize(names.len(), None);
        Ok(all)
    }
}

/// The answer of `cat-file --batch`: each object's id and content, in the order in which they were asked for.
fn batch(mut bytes: &[u8]) -> Vec<Option<(String, Vec<u8>)>> {
    let mut all = Vec::new();
    while let Some(end) = bytes.iter().position(|b| *b == b'\n') {
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        bytes = &bytes[end + 1..];
        let words: Vec<&str> = head.split(' ').collect();
        let [id, _, size] = words[..] else {
            all.push(None);
            continue;
        };
        let Some(size) = size.parse::<usize>().ok().filter(|size| *size <= bytes.len()) else { break };
        all.push(Some((id.to_owned(), bytes[..size].to_vec())));
        bytes = bytes.get(size + 1..).unwrap_or_default();
    }
    all
}

/// A ref as it was seen, with the commit that it is at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ref {
    /// The commit's id.
    pub id: String,
    /// The ref's full name.
    pub name: String,
}

/// What one remote has, as far as it was asked for.
#[derive(Debug)]
pub struct Aside<'a> {
    context: &'a Context,
    git: Git<'a>,
    place: Place,
    who: Option<String>,
    is_sha256: bool,
}

/// The tree without anything in it, as git calls it.
const NOTHING: &str = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";
const NOTHING_256: &str = "6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321";

impl<'a> Aside<'a> {
    /// The repository of that name for a remote; asks the remote nothing.
    ///
    /// # Errors
    /// `config` outside of a clone, or when the remote is not known.
    pub fn open(context: &'a Context, remote: &str, name: &str) -> Result<Self, Failure> {
        let git = Git::new(context);
        let place = git.place(remote)?;
        let (own, _) = own_folder(&git)?;
        let folder = prepared(&git, &own, name)?;
        // What the clone has is not fetched once more.
        let objects = own.with_file_name("objects");
        let alternates = folder.join("objects/info/alternates");
        let unusable = |e: std::io::Error| Failure::config("git-folder", format!("{}: {e}", own.display()));
        // A part of a history is no base for the rest of it.
        let is_whole = !own.with_file_name("shallow").is_file();
        if !is_whole {
            let _ = std::fs::remove_file(&alternates);
        } else if !alternates.is_file() {
            std::fs::write(&alternates, format!("{}\n", objects.display())).map_err(unusable)?;
        }
        let ident = git.run(&["var", "GIT_COMMITTER_IDENT"], b"")?;
        let named = ident.text().rsplit_once("> ").map(|(name, _)| format!("{name}>"));
        let is_sha256 = git.run(&["rev-parse", "--show-object-format"], b"")?.text() == "sha256";
        let who = named.filter(|_| ident.status.success());
        Ok(Aside { context, git: git.at(&place).aside(&folder), place, who, is_sha256 })
    }

    /// The same although a signal came: what has to be put in order at the end.
    #[must_use]
    pub fn regardless(mut self) -> Self {
        self.git = self.git.regardless();
        self
    }

    /// Who works here, as git knows them: `Name <mail>`.
    pub fn who(&self) -> Option<&str> {
        self.who.as_deref()
    }

    /// The tree without anything in it.
    pub fn nothing(&self) -> &'static str {
        if self.is_sha256 { NOTHING_256 } else { NOTHING }
    }

    /// The remote's name.
    pub fn remote(&self) -> &str {
        self.place.name()
    }

    /// Git in this repository, to look.
    pub fn git(&self) -> &Git<'a> {
        &self.git
    }

    /// Brings refs of the remote, each by a refspec with `*` in it, or by one whose ref is known to be there. One conversation.
    ///
    /// # Errors
    /// `temporary`, `remote-unreachable`; `config` when no second run cures it.
    pub fn fetch(&self, specs: &[&str]) -> Result<(), Failure> {
        let fixed = [
            "fetch",
            "--quiet",
            "--no-tags",
            "--no-filter",
            "--prune",
            "--no-recurse-submodules",
            "--no-write-fetch-head",
        ];
        let words = [&fixed[..], &["--", self.place.source()], specs].concat();
        for turn in 1.. {
            let said = self.git.clone().within(PATIENCE).run(&words, b"")?;
            if said.status.success() {
                return Ok(());
            }
            // Another program of this clone fetches the same.
            let is_race = ["cannot lock ref", "unable to update local ref"]
                .iter()
                .any(|word| said.stderr.contains(word));
            if !is_race || turn >= TURNS {
                return Err(self.place.unreadable(&self.git, &said));
            }
            self.context.pause(step::backoff(FIRST, u32::try_from(turn).unwrap_or(1), MOST))?;
        }
        Ok(())
    }

    /// The refs below a name, as they were last brought; what is no commit is left out.
    ///
    /// # Errors
    /// As [`Git::ask`].
    pub fn refs(&self, below: &str) -> Result<Vec<Ref>, Failure> {
        let format = "--format=%(objecttype) %(objectname) %(refname)";
        let said = self.git.ask(&["for-each-ref", format, below], b"")?;
        let one = |line: &str| {
            let (id, name) = line.strip_prefix("commit ")?.split_once(' ')?;
            Some(Ref { id: id.to_owned(), name: name.to_owned() })
        };
        Ok(String::from_utf8_lossy(&said.stdout).lines().filter_map(one).collect())
    }

    /// A file of a commit, if it is there and at most `limit` bytes long.
    ///
    /// # Errors
    /// As [`Git::ask`].
    pub fn file(&self, commit: &str, path: &str, limit: usize) -> Result<Option<Vec<u8>>, Failure> {
        // A batch would take a path for several words.
        let said = self.git.run(
            &["rev-parse", "--verify", "--quiet", "--end-of-options", &format!("{commit}:{path}")],
            b"",
        )?;
        if !said.status.success() {
            return Ok(None);
        }
        let id = said.text();
        let is_small = self
            .git
            .ask(&["cat-file", "-s", &id], b"")?
            .text()
            .parse()
            .is_ok_and(|size: usize| size <= limit);
        if !is_small {
            let message = format!("{path} of {}'s {commit} is larger than {limit} bytes", self.remote());
            return Err(Failure::refused("too-large", message));
        }
        Ok(self.git.objects(&[&id])?.remove(&id))
    }

    /// Puts files into a ref of the remote, behind what it has there: the ref's history grows, and whoever is faster is followed. `files` is
    /// asked anew each time for what belongs behind the commit that is there. The new commit's id.
    ///
    /// # Errors
    /// `temporary`, `remote-unreachable`; `failed`, `refs-refused`, `ref-contended`; whatever `files` says.
    pub fn append(
        &self,
        permit: &Permit,
        name: &str,
        message: &str,
        files: impl Fn(Option<&str>) -> Result<Vec<(String, Vec<u8>)>, Failure>,
    ) -> Result<String, Failure> {
        for turn in 0..TURNS {
            if turn > 0 {
                let nap = step::backoff(FIRST, u32::try_from(turn).unwrap_or(1), MOST);
                self.context.pause(nap)?;
            }
            self.fetch(&[&format!("+{name}*:{name}*")])?;
            let before = self.refs(name)?.into_iter().find(|one| one.name == name).map(|one| one.id);
            let id = self.commit(before.as_deref(), message, &files(before.as_deref())?)?;
            if self.push(permit, name, before.as_deref(), &id)? {
                return Ok(id);
            }
        }
        let message = format!(
            "{name} was not taken by {}: somebody else writes it all the time, or something that is none of ours lies there (git ls-remote {} '{name}*'): remove that, or run it again",
            self.remote(),
            self.remote()
        );
        Err(Failure::temporary("ref-contended", message))
    }

    /// Makes a commit here, with these files and no others.
    fn commit(
        &self,
        before: Option<&str>,
        message: &str,
        files: &[(String, Vec<u8>)],
    ) -> Result<String, Failure> {
        let who = self.who.as_deref().unwrap_or("somebody <unknown>");
        let (name, mail) = who.split_once(" <").unwrap_or((who, "unknown>"));
        let plain = |text: &str| text.replace(['<', '>', '\n', '\0'], " ");
        let now = jiff::Timestamp::now().as_second();
        let aside = format!("refs/out/{}", std::process::id());
        let by = format!("{} <{}> {now} +0000", plain(name), plain(mail.trim_end_matches('>')));
        let mut stream = format!("commit {aside}\nmark :1\ncommitter {by}\n").into_bytes();
        data(&mut stream, message.as_bytes());
        if let Some(before) = before {
            stream.extend(format!("from {before}\ndeleteall\n").as_bytes());
        }
        for (name, content) in files {
            stream.extend(format!("M 100644 inline {name}\n").as_bytes());
            data(&mut stream, content);
        }
        stream.extend(
            format!(
                "\nget-mark :1\nreset {aside}\nfrom {}\n\ndone\n",
                "0".repeat(if self.is_sha256 { 64 } else { 40 })
            )
            .as_bytes(),
        );
        let words = ["fast-import", "--quiet", "--force", "--done", "--date-format=raw"];
        Ok(self.git.ask(&words, &stream)?.text())
    }

    /// Moves a ref of the remote from what was seen; whether it has: `false` when somebody else was faster.
    fn push(&self, permit: &Permit, name: &str, before: Option<&str>, id: &str) -> Result<bool, Failure> {
        let lease = format!("--force-with-lease={name}:{}", before.unwrap_or_default());
        let spec = format!("{id}:{name}");
        let fixed = ["push", "--porcelain", "--no-verify", "--no-follow-tags", "--no-recurse-submodules"];
        let words = [&fixed[..], &[&lease, "--", self.remote(), &spec]].concat();
        let said = self.git.clone().within(PATIENCE).change(permit, &words, b"");
        let words = match said {
            Ok(said) if said.status.success() => return Ok(true),
            Ok(said) => {
                if let Some(closed) = self.place.closed(&said.stderr) {
                    return Err(closed);
                }
                said.words()
            }
            Err(failure) => failure.message.clone(),
        };
        // Its answer may have been lost: it is asked what it has.
        let unknown = |failure: Failure| {
            let message =
                format!("whether {} has what was pushed is not known: {}", self.remote(), failure.message);
            Failure::temporary("remote-unreachable", message).cause(&words).acted(Acted::Unknown)
        };
        let now = self.git.remote_refs(&self.place, &[name]).map_err(unknown)?;
        let has = now.iter().find(|(_, full)| full == name).map(|(id, _)| id.as_str());
        if has == Some(id) {
            return Ok(true);
        }
        if has != before || words.contains("stale info") || words.contains("cannot lock ref") {
            return Ok(false);
        }
        let message = format!(
            "{} does not take {name}: it must allow refs below refs/rilis/ to be pushed",
            self.remote()
        );
        Err(Failure::failed("refs-refused", message).cause(words))
    }
}

fn data(stream: &mut Vec<u8>, bytes: &[u8]) {
    stream.extend(format!("data {}\n", bytes.len()).as_bytes());
    stream.extend(bytes);
    stream.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_read_whatever_is_in_it() {
        let found = batch(b"aa commit 5\na\n\nbc\nbb missing\ncc blob 0\n\n");
        let one = |id: &str, content: &[u8]| Some((id.to_owned(), content.to_vec()));
        assert_eq!(found, [one("aa", b"a\n\nbc"), None, one("cc", b"")]);
        assert!(batch(b"aa commit 500\nshort").is_empty());
    }
}
