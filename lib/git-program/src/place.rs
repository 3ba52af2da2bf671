//! Where a remote is. Git fetches from one URL and may push to others (`pushurl`, `pushInsteadOf`, `insteadOf`, several URLs):
//! what counts is the place that is pushed to, so that is what is read as well.

use std::path::{Path, PathBuf};

use step::{Failure, Secret};

use crate::trouble::lasting;
use crate::{Git, Said};

/// The name under which git knows the place that is pushed to, where it is not the one that is fetched from.
const ASIDE: &str = "rilis-place";

/// A remote that is pushed to at exactly one place.
#[derive(Clone, Debug)]
pub struct Place {
    name: String,
    /// What names the place in a command that reads: the remote itself, or [`ASIDE`].
    source: String,
    settings: Vec<(String, String)>,
    url: String,
    /// Where it is fetched from, if that is elsewhere; without credentials.
    apart: Option<String>,
    /// The remotes that the repository has.
    remotes: Vec<String>,
}

impl Place {
    /// The remote's name or URL, as it was said: what is pushed to.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What to read it by (`git ls-remote`, `git fetch`), with a git that is [`Git::at`] it.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Says that the remote is read where it is pushed to, because it is fetched from elsewhere.
    pub fn note(&self) -> Option<String> {
        let from = self.apart.as_ref()?;
        let (name, to) = (&self.name, without_credentials(&self.url));
        Some(format!("{name} is fetched from {from} but pushed to {to}: what {to} has is what counts"))
    }

    /// Its folder, where it is one on this machine.
    pub fn folder(&self) -> Option<PathBuf> {
        if let Some(path) = self.url.strip_prefix("file://") {
            return Some(PathBuf::from(path));
        }
        is_path(&self.url).then(|| PathBuf::from(&self.url))
    }

    /// Why it cannot be read: what no second run cures is told from what may pass.
    pub fn unreadable(&self, git: &Git, said: &Said) -> Failure {
        let unknown = !self.remotes.contains(&self.name) && is_path(&self.name);
        if unknown && said.stderr.contains("does not appear to be a git repository") {
            return unknown_remote(&self.name, &self.remotes, &group(git, &self.name));
        }
        let message = format!("the remote {} cannot be read", self.name);
        match lasting(&said.stderr) {
            Some(lasting) => {
                self.advised(Failure::config(lasting.reason, format!("{message}: {}", lasting.why)))
            }
            None => Failure::temporary("remote-unreachable", message),
        }
        .cause(&said.stderr)
    }

    /// Why nothing can be pushed to it, where no second run cures it and nothing has arrived there.
    pub fn closed(&self, stderr: &str) -> Option<Failure> {
        let lasting = lasting(stderr)?;
        let message = format!("nothing can be pushed to {}: {}", self.name, lasting.why);
        Some(self.advised(Failure::config(lasting.reason, message)).cause(stderr))
    }

    /// With a command that shows what git uses, or that lets a person answer where git may ask.
    fn advised(&self, failure: Failure) -> Failure {
        let is_known = self.remotes.contains(&self.name);
        match failure.reason.as_str() {
            "remote-missing" | "remote-refused" if is_known => {
                failure.command(["git", "remote", "get-url", "--push", "--", self.name.as_str()])
            }
            "remote-missing" | "remote-refused" => failure.command(["git", "remote", "--verbose"]),
            _ => failure.command(["git", "ls-remote", "--heads", "--", self.name.as_str()]),
        }
    }
}

impl<'a> Git<'a> {
    /// Finds out where a remote is pushed to, as git itself resolves its name or URL.
    ///
    /// # Errors
    /// `config`: `remote-without-url`, `remote-several` when it is pushed to more than one place; as [`Git::ask`].
    pub fn place(&self, name: &str) -> Result<Place, Failure> {
        let listed = self.listed()?;
        let remotes: Vec<String> = listed.iter().map(|l| l.name.clone()).collect();
        let known = listed.into_iter().find(|l| l.name == name);
        let is_known = known.is_some();
        let found = match known {
            Some(found) => found,
            None => self.listed_url(name)?,
        };
        found.urls().for_each(|url| _ = hide_credentials(url));
        let url = found.one(name)?;
        let mut place = Place {
            name: name.to_owned(),
            source: name.to_owned(),
            settings: Vec::new(),
            apart: None,
            remotes,
            url,
        };
        if is_known {
            // A mirror takes no single ref, and pushes every other.
            place.settings.push((format!("remote.{name}.mirror"), "false".to_owned()));
            // Looking does not note down which branch the remote prefers.
            place.settings.push((format!("remote.{name}.followRemoteHEAD"), "never".to_owned()));
        }
        if found.fetch.as_ref() != Some(&place.url) {
            place.apart = Some(found.fetch.as_deref().map_or("nowhere".to_owned(), without_credentials));
            self.read_where_pushed(&mut place)?;
        }
        Ok(place)
    }

    /// The same git, with what the place needs.
    #[must_use]
    pub fn at(&self, place: &Place) -> Self {
        place.settings.iter().fold(self.clone(), |git, (key, value)| git.set(key, value))
    }

    /// The refs of a place that match patterns, as object and name.
    ///
    /// # Errors
    /// `temporary`, `remote-unreachable`; `config`, `remote-unknown`.
    pub fn remote_refs(&self, place: &Place, patterns: &[&str]) -> Result<Vec<(String, String)>, Failure> {
        let said = self.at(place).run(&[&["ls-remote", "--", &place.source], patterns].concat(), b"")?;
        if !said.status.success() {
            return Err(place.unreadable(self, &said));
        }
        let pair = |line: &str| line.split_once('\t').map(|(id, name)| (id.to_owned(), name.to_owned()));
        Ok(said.text().lines().filter_map(pair).collect())
    }

    /// All remotes with their effective URLs.
    fn listed(&self) -> Result<Vec<Listed>, Failure> {
        let said = self.run(&["remote", "-v"], b"")?;
        // Outside of a repository a URL can be read all the same.
        if said.status.success() || said.stderr.contains("not a git repository") {
            return Ok(parse(&String::from_utf8_lossy(&said.stdout)));
        }
        Err(Failure::failed("git-failed", "git cannot list the remotes").cause(said.stderr))
    }

    /// A URL, after all rewriting.
    fn listed_url(&self, url: &str) -> Result<Listed, Failure> {
        let listed = self.clone().set(&format!("remote.{ASIDE}.url"), url).listed()?;
        let as_it_is =
            || Listed { name: String::new(), fetch: Some(url.to_owned()), push: vec![url.to_owned()] };
        Ok(listed.into_iter().find(|l| l.name == ASIDE).unwrap_or_else(as_it_is))
    }

    /// A remote of another name for what is pushed to, with the settings of the first one that say how to get there.
    fn read_where_pushed(&self, place: &mut Place) -> Result<(), Failure> {
        ASIDE.clone_into(&mut place.source);
        let url = place.url.clone();
        let mut set = |key: String, value: &str| place.settings.push((key, value.to_owned()));
        set(format!("remote.{ASIDE}.url"), &url);
        // What git has rewritten already is not rewritten once more: the longest match wins.
        set(format!("url.{url}.insteadOf"), &url);
        let said = self.run(&["config", "-z", "--get-regexp", "^remote\\."], b"")?;
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        let start = format!("remote.{}.", place.name);
        for (key, value) in said.split('\0').filter_map(|entry| entry.split_once('\n')) {
            let word = key.strip_prefix(&start).unwrap_or_default();
            if ["proxy", "proxyauthmethod", "uploadpack", "vcs", "serveroption"].contains(&word) {
                set(format!("remote.{ASIDE}.{word}"), value);
            }
        }
        Ok(())
    }
}

/// A remote as `git remote -v` shows it, after all rewriting.
#[derive(Debug, Default, PartialEq, Eq)]
struct Listed {
    name: String,
    fetch: Option<String>,
    push: Vec<String>,
}

impl Listed {
    fn urls(&self) -> impl Iterator<Item = &str> {
        self.fetch.iter().chain(&self.push).map(String::as_str)
    }

    /// The one URL that is pushed to.
    fn one(&self, name: &str) -> Result<String, Failure> {
        match &self.push[..] {
            [one] => Ok(one.clone()),
            [] => {
                let message = format!("the remote {name} has no URL, so nothing can be pushed to it");
                Err(Failure::config("remote-without-url", message)
                    .command(["git", "remote", "set-url", name, "URL"]))
            }
            several => {
                let shown: Vec<String> = several.iter().map(|url| without_credentials(url)).collect();
                let message = format!(
                    "the remote {name} pushes to {} places ({}), which cannot all be the one that counts: name it with --remote URL \
                     or `remote` in release.toml, or give it a remote of its own (git remote add release URL)",
                    several.len(),
                    shown.join(", ")
                );
                Err(Failure::config("remote-several", message))
            }
        }
    }
}

/// Reads `NAME<tab>URL (fetch)`, perhaps with ` [blob:none]` behind it, and `NAME<tab>URL (push)`; a remote without URL has
/// none of it behind its name.
fn parse(text: &str) -> Vec<Listed> {
    let mut all: Vec<Listed> = Vec::new();
    for line in text.lines() {
        let (name, rest) = line.split_once('\t').unwrap_or((line, ""));
        if all.last().is_none_or(|last| last.name != name) {
            all.push(Listed { name: name.to_owned(), ..Listed::default() });
        }
        let Some(last) = all.last_mut() else { continue };
        if let Some(url) = rest.strip_suffix(" (push)") {
            if !url.is_empty() && !last.push.iter().any(|known| known == url) {
                last.push.push(url.to_owned());
            }
        } else if let Some((url, _)) = rest.rsplit_once(" (fetch)") {
            last.fetch = Some(url.to_owned()).filter(|url| !url.is_empty());
        }
    }
    all
}

/// Whether git takes this for a path: no scheme, and no `host:` before the first slash.
fn is_path(url: &str) -> bool {
    let before_slash = url.split('/').next().unwrap_or_default();
    !url.contains("://") && !before_slash.contains(':')
}

/// The user part of a URL, and where it begins and ends. Also where the scheme is broken or missing: then a part with a password in
/// it counts, and `git@host` does not, because a person needs to see it.
fn user_part(url: &str) -> Option<(usize, usize)> {
    let letters = url.bytes().take_while(|b| b.is_ascii_alphanumeric() || b"+-.".contains(b)).count();
    let slashes =
        url[letters..].strip_prefix(':').map_or(0, |rest| rest.len() - rest.trim_start_matches('/').len());
    let start = if slashes == 0 { 0 } else { letters + 1 + slashes };
    let host = url[start..].split('/').next().unwrap_or_default();
    if let (Some(at), true) = (host.rfind('@'), slashes >= 2) {
        return Some((start, start + at));
    }
    // A password may hold what ends a host's name; a port does not begin one.
    let port = host
        .rsplit_once(':')
        .is_some_and(|(_, port)| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()));
    let end = if host.contains('@') { host.rfind('@') } else { url[start..].find('@').filter(|_| !port) }?;
    url[start..start + end].contains(':').then_some((start, start + end))
}

/// A URL as it may be shown.
fn without_credentials(url: &str) -> String {
    user_part(url)
        .map_or_else(|| url.to_owned(), |(start, end)| format!("{}{}", &url[..start], &url[end + 1..]))
}

/// From now on the credentials in a URL are shown by nobody, whoever prints the URL. Says whether it has any.
pub fn hide_credentials(url: &str) -> bool {
    let Some((start, end)) = user_part(url) else { return false };
    let user = &url[start..end];
    match user.split_once(':') {
        Some((_, password)) => drop(Secret::new(password)),
        // Tokens stand there alone; a person's name is shorter.
        None if user.len() >= 20 => drop(Secret::new(user)),
        None => return url.starts_with("http"),
    }
    true
}

/// The remotes behind the name of a group, if it is one.
fn group(git: &Git, name: &str) -> Vec<String> {
    let said = git.run(&["config", "--get-all", &format!("remotes.{name}")], b"");
    let said = said.ok().filter(|said| said.status.success()).map(|said| said.text()).unwrap_or_default();
    said.split_whitespace().map(str::to_owned).collect()
}

fn unknown_remote(name: &str, remotes: &[String], group: &[String]) -> Failure {
    const NAME: &str = "remote-unknown";
    if !group.is_empty() {
        let message = format!("{name} is a group of remotes ({}): name one of them", group.join(", "));
        return Failure::config(NAME, message);
    }
    let missing = if Path::new(name).components().count() > 1 {
        format!("there is no repository at {name}, and no remote of that name")
    } else {
        format!("there is no remote {name} here")
    };
    let near = remotes.iter().map(|r| (strsim::jaro_winkler(name, r), r)).filter(|(score, _)| *score > 0.8);
    let hint = match (near.max_by(|a, b| a.0.total_cmp(&b.0)), remotes) {
        (Some((_, near)), _) => format!("; did you mean {near}?"),
        (None, []) => "; add it with: git remote add origin URL".to_owned(),
        (None, remotes) => format!("; the remotes are {}", remotes.join(", ")),
    };
    Failure::config(NAME, format!("{missing}{hint}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remotes_are_read_as_git_lists_them() {
        let text = "bare\t\nnone\norigin\thttps://mirror/y.git (fetch)\norigin\tssh://h/one (push)\norigin\tssh://h/two (push)\n\
                    partial\thttps://p/q (fetch) [blob:none]\npartial\tssh://real/q (push)\nteam/one\t../with space (fetch)\n\
                    team/one\t../with space (push)\ntwice\tu (fetch)\ntwice\tu (push)\ntwice\tu (push)\npush\t\npush\tssh://h/p (push)\n";
        let all = parse(text);
        let of = |name: &str| {
            let found = all.iter().find(|l| l.name == name).unwrap_or_else(|| panic!("{name}"));
            (found.fetch.as_deref(), found.push.iter().map(String::as_str).collect::<Vec<_>>())
        };
        assert_eq!(of("bare"), (None, vec![]));
        assert_eq!(of("none"), (None, vec![]));
        assert_eq!(of("origin"), (Some("https://mirror/y.git"), vec!["ssh://h/one", "ssh://h/two"]));
        assert_eq!(of("partial"), (Some("https://p/q"), vec!["ssh://real/q"]));
        assert_eq!(of("team/one"), (Some("../with space"), vec!["../with space"]));
        assert_eq!(of("twice"), (Some("u"), vec!["u"]));
        assert_eq!(of("push"), (None, vec!["ssh://h/p"]));
        assert_eq!(all.len(), 7);
    }

    #[test]
    fn a_url_is_shown_without_whoever_is_in_it() {
        for (url, shown) in [
            ("https://rina:secret@git.example/shop.git", "https://git.example/shop.git"),
            ("https://ghp_abc@git.example:8443/a@b.git", "https://git.example:8443/a@b.git"),
            ("https://rina:se@cret@git.example/x", "https://git.example/x"),
            ("ssh://git@git.example/x", "ssh://git.example/x"),
            ("git@git.example:shop.git", "git@git.example:shop.git"),
            ("/srv/git/a@b.git", "/srv/git/a@b.git"),
            ("https://git.example", "https://git.example"),
            ("bob:hunter2secret@host/o.git", "host/o.git"),
            ("https:/bob:hunter2secret@host/o.git", "https:/host/o.git"),
            ("https:bob:hunter2secret@host/o.git", "host/o.git"),
            ("https:///bob:hunter2secret@host/o.git", "https:///host/o.git"),
            ("htps://bob:hunter2secret@host/o.git", "htps://host/o.git"),
            ("//bob:hunter2secret@host/o.git", "host/o.git"),
            ("https://bob:hunter2/secret@host/o.git", "https://host/o.git"),
            ("bob:hunter2/secret@host/o.git", "host/o.git"),
            ("https://git.example:8443/shop", "https://git.example:8443/shop"),
            ("host:dir/shop.git", "host:dir/shop.git"),
            ("../shop@2.git", "../shop@2.git"),
            ("\u{e9}:hunter2secret@host/o.git", "host/o.git"),
            ("", ""),
        ] {
            assert_eq!(without_credentials(url), shown);
        }
    }

    #[test]
    fn a_path_is_told_from_a_url() {
        for path in ["origin", "../x.git", "/srv/x.git", "./a:b", "team/one"] {
            assert!(is_path(path), "{path}");
        }
        for url in ["https://h/x", "file:///x", "git@h:x", "h:x", "ext::sh -c x"] {
            assert!(!is_path(url), "{url}");
        }
    }

    #[test]
    fn a_name_that_nobody_knows_leads_to_one_that_is_known() {
        let message = |name: &str, remotes: &[&str], group: &[&str]| {
            let own = |list: &[&str]| list.iter().map(|r| (*r).to_owned()).collect::<Vec<_>>();
            let failure = unknown_remote(name, &own(remotes), &own(group));
            assert_eq!((failure.exit_code(), failure.reason.as_str()), (78, "remote-unknown"));
            failure.message.clone()
        };
        assert_eq!(
            message("orgin", &["backup", "origin"], &[]),
            "there is no remote orgin here; did you mean origin?"
        );
        assert_eq!(
            message("x", &["backup", "origin"], &[]),
            "there is no remote x here; the remotes are backup, origin"
        );
        assert!(message("x", &[], &[]).contains("git remote add origin URL"));
        assert!(message("../x.git", &["origin"], &[]).contains("there is no repository at ../x.git"));
        assert_eq!(message("all", &["a"], &["a", "b"]), "all is a group of remotes (a, b): name one of them");
    }
}
