//! The links of a version at the hosts of git: a comparison of two tags, or one tag. Each host writes them in its own way.

use std::ops::Range;

/// What a link shows; the places are byte ranges of the address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shown {
    /// What changed between two.
    Range {
        /// The older one.
        base: Range<usize>,
        /// The newer one.
        target: Range<usize>,
    },
    /// One tag.
    Tag(Range<usize>),
}

/// A host of git.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Host {
    /// github.com, and Gitea and Forgejo, which write comparisons alike.
    GitHub,
    /// GitLab.
    GitLab,
    /// Bitbucket Cloud, which names the newer one first.
    Bitbucket,
    /// Azure DevOps.
    Azure,
    /// Gitea, Forgejo.
    Gitea,
}

/// Understands the address of a comparison or a tag; `None` for anything else.
pub fn read(url: &str) -> Option<Shown> {
    let (path, _) = url.split_once('#').unwrap_or((url, ""));
    if path.contains("branchCompare?") || path.contains("/branches?baseVersion=") {
        return azure(path);
    }
    if let Some(at) = marker(path, "/branches/compare/") {
        return reversed(path, at);
    }
    if let Some(at) = marker(path, "/compare/") {
        return if path.contains("://bitbucket.org/") { reversed(path, at) } else { compared(path, at) };
    }
    let tag = ["/releases/tag/", "/-/tags/", "/-/releases/", "/src/tag/", "/commits/tag/", "/tree/"];
    let from = tag.iter().find_map(|word| marker(path, word))?;
    let end = path[from..].find('?').map_or(path.len(), |at| from + at);
    (end > from).then_some(Shown::Tag(from..end))
}

fn marker(path: &str, word: &str) -> Option<usize> {
    path.find(word).map(|at| at + word.len())
}

/// `base...target`, or with two dots.
fn compared(path: &str, from: usize) -> Option<Shown> {
    let end = path[from..].find('?').map_or(path.len(), |at| from + at);
    let dots = path[from..end].find("..").map(|at| from + at)?;
    let width = if path[dots..end].starts_with("...") { 3 } else { 2 };
    (dots > from && dots + width < end)
        .then_some(Shown::Range { base: from..dots, target: dots + width..end })
}

/// `target..base`, or `target%0Dbase`.
fn reversed(path: &str, from: usize) -> Option<Shown> {
    let end = path[from..].find('?').map_or(path.len(), |at| from + at);
    let part = &path[from..end];
    let between = [("%0D", 3), ("%0d", 3), ("...", 3), ("..", 2)];
    let (at, width) = between.iter().find_map(|(word, width)| part.find(word).map(|at| (at, *width)))?;
    (at > 0 && from + at + width < end)
        .then_some(Shown::Range { target: from..from + at, base: from + at + width..end })
}

/// `?baseVersion=GTv1.0.0&targetVersion=GTv1.1.0`; `GT` says that a tag follows, `GB` a branch.
fn azure(path: &str) -> Option<Shown> {
    let value = |key: &str| {
        let from = path.find(key)? + key.len();
        let end = path[from..].find('&').map_or(path.len(), |at| from + at);
        let kind = ["GT", "GB", "GC"].iter().any(|kind| path[from..end].starts_with(kind));
        Some(from + if kind { 2 } else { 0 }..end)
    };
    Some(Shown::Range { base: value("baseVersion=")?, target: value("targetVersion=")? })
}

/// The host of a repository's address.
pub fn of(repository: &str) -> Option<Host> {
    let known = [
        ("github.", Host::GitHub),
        ("gitlab.", Host::GitLab),
        ("bitbucket.", Host::Bitbucket),
        ("dev.azure.com", Host::Azure),
        ("visualstudio.com", Host::Azure),
        ("codeberg.org", Host::Gitea),
        ("gitea.", Host::Gitea),
        ("forgejo.", Host::Gitea),
    ];
    let name = repository.split("://").nth(1).unwrap_or(repository);
    let name = name.split('/').next().unwrap_or(name);
    known.iter().find(|(part, _)| name.contains(part)).map(|(_, host)| *host)
}

/// The web address of a repository from what git calls its remote, such as `git@github.com:team/shop.git`. A password in
/// it is left out.
pub fn web(remote: &str) -> Option<String> {
    let remote = remote.trim().trim_end_matches('/');
    let remote = remote.strip_suffix(".git").unwrap_or(remote);
    let path = match remote.split_once("://") {
        Some(("http" | "https" | "ssh" | "git", rest)) => {
            let rest = rest.split_once('@').map_or(rest, |(_, rest)| rest);
            let (host, path) = rest.split_once('/')?;
            let host = if remote.starts_with("http") { host } else { host.split(':').next()? };
            format!("{host}/{path}")
        }
        Some(_) => return None,
        None => {
            let (host, path) = remote.split_once(':')?;
            format!("{}/{path}", host.split_once('@').map_or(host, |(_, host)| host))
        }
    };
    path.contains('.').then(|| format!("https://{path}"))
}

/// The address of the comparison of two tags.
pub fn range_url(repository: &str, host: Host, base: &str, target: &str) -> String {
    match host {
        Host::GitHub | Host::Gitea => format!("{repository}/compare/{base}...{target}"),
        Host::GitLab => format!("{repository}/-/compare/{base}...{target}"),
        Host::Bitbucket => format!("{repository}/branches/compare/{target}..{base}"),
        Host::Azure => {
            let kind = |name: &str| if name == "HEAD" { "GBmain".to_owned() } else { format!("GT{name}") };
            format!("{repository}/branchCompare?baseVersion={}&targetVersion={}", kind(base), kind(target))
        }
    }
}

/// The address of one tag.
pub fn tag_url(repository: &str, host: Host, tag: &str) -> String {
    match host {
        Host::GitHub | Host::Gitea => format!("{repository}/releases/tag/{tag}"),
        Host::GitLab => format!("{repository}/-/tags/{tag}"),
        Host::Bitbucket => format!("{repository}/src/{tag}"),
        Host::Azure => format!("{repository}?version=GT{tag}"),
    }
}

/// The repository of a link that [`read`] understands: what stands before the path of the comparison.
pub fn repository(url: &str) -> Option<&str> {
    let words = ["/-/", "/compare/", "/branches/compare/", "/branchCompare?", "/releases/tag/", "/src/tag/"];
    let at = words.iter().filter_map(|word| url.find(word)).min()?;
    Some(&url[..at])
}

/// Percent-decoded, as far as tags need it.
pub fn decoded(tag: &str) -> String {
    [("%2B", "+"), ("%2b", "+"), ("%2F", "/"), ("%2f", "/"), ("%40", "@")]
        .iter()
        .fold(tag.to_owned(), |t, (from, to)| t.replace(from, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_of_every_host_are_understood() {
        for (url, base, target) in [
            ("https://github.com/a/b/compare/v1.0.0...v1.1.0", "v1.0.0", "v1.1.0"),
            ("https://github.com/a/b/compare/v1.0.0..v1.1.0", "v1.0.0", "v1.1.0"),
            ("https://gitlab.com/a/b/-/compare/v1.0.0...HEAD", "v1.0.0", "HEAD"),
            ("https://bitbucket.org/a/b/branches/compare/v1.1.0..v1.0.0#diff", "v1.0.0", "v1.1.0"),
            ("https://bitbucket.org/a/b/compare/v1.1.0%0Dv1.0.0", "v1.0.0", "v1.1.0"),
            (
                "https://dev.azure.com/a/_git/b/branchCompare?baseVersion=GTv1.0.0&targetVersion=GTv1.1.0&_a=files",
                "v1.0.0",
                "v1.1.0",
            ),
            ("https://codeberg.org/a/b/compare/v1.0.0...v1.1.0", "v1.0.0", "v1.1.0"),
        ] {
            let Some(Shown::Range { base: b, target: t }) = read(url) else { panic!("{url}") };
            assert_eq!((&url[b], &url[t]), (base, target), "{url}");
        }
        let url = "https://github.com/a/b/releases/tag/v1.0.0";
        assert_eq!(read(url), Some(Shown::Tag(36..42)));
        assert_eq!(
            (read("https://example.org/x"), read("https://github.com/a/b/compare/main")),
            (None, None)
        );
    }

    #[test]
    fn what_is_written_can_be_read_again() {
        for repository in [
            "https://github.com/a/b",
            "https://gitlab.com/a/b",
            "https://bitbucket.org/a/b",
            "https://dev.azure.com/o/p/_git/b",
        ] {
            let host = of(repository).expect(repository);
            let url = range_url(repository, host, "v1", "v2");
            let Some(Shown::Range { base, target }) = read(&url) else { panic!("{url}") };
            assert_eq!((&url[base], &url[target]), ("v1", "v2"), "{url}");
            assert_eq!(super::repository(&url), Some(repository));
        }
        for (remote, address) in [
            ("git@github.com:team/shop.git", Some("https://github.com/team/shop")),
            ("https://me:secret@gitlab.com/team/shop.git", Some("https://gitlab.com/team/shop")),
            ("ssh://git@git.example.org:2222/team/shop", Some("https://git.example.org/team/shop")),
            ("/srv/git/shop", None),
            ("file:///srv/git/shop", None),
        ] {
            assert_eq!(web(remote).as_deref(), address, "{remote}");
        }
    }
}
