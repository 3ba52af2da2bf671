//! Which repository of GitHub is asked about: the one that the settings name, else the one of git's remote.

use git_program::{Git, hide_credentials};
use step::{Context, Failure};

/// A repository at GitHub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repository {
    pub owner: String,
    pub name: String,
}

impl Repository {
    /// The repository at the API of this address.
    pub fn of(context: &Context, api: &str) -> Result<Self, Failure> {
        let settings = &context.settings;
        let host = git_host(api).map_err(|why| settings.wrong("ci.url", why))?;
        if let Some(text) = settings.text("ci.repository")? {
            let wrong =
                || settings.wrong("ci.repository", "it must be owner/name, such as luxima/aceh-commerce");
            return Repository::parse(text.trim()).ok_or_else(wrong);
        }
        let remote: String = settings.value("remote")?;
        let said = Git::new(context).run(&["remote", "get-url", "--push", "--", &remote], b"")?;
        // A remote may be named by its address too.
        let url = if said.status.success() {
            said.text().lines().next().unwrap_or_default().to_owned()
        } else {
            remote
        };
        hide_credentials(&url);
        let found = parts(&url).filter(|(at, _)| at.eq_ignore_ascii_case(&host));
        found.and_then(|(_, path)| Repository::parse(path)).ok_or_else(|| {
            let why = format!("git's remote is no repository at {host}: set it, as owner/name");
            settings.wrong("ci.repository", &why)
        })
    }

    fn parse(text: &str) -> Option<Self> {
        let (owner, name) = text.split_once('/')?;
        let usable = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
        let is_name =
            |part: &str| !part.is_empty() && !part.chars().all(|c| c == '.') && part.chars().all(usable);
        (is_name(owner) && is_name(name))
            .then(|| Repository { owner: owner.to_owned(), name: name.to_owned() })
    }
}

/// The host that git knows the repositories of an API by.
fn git_host(api: &str) -> Result<String, &'static str> {
    let host = parts(api).map(|(host, _)| host).unwrap_or_default();
    let host = host.to_ascii_lowercase();
    match host.strip_prefix("api.") {
        Some(rest) => Ok(rest.to_owned()),
        None if host == "github.com" => Err("GitHub's API is https://api.github.com"),
        None => Ok(host),
    }
}

/// The host and the path of an address as git takes it: `https://host/path`, `ssh://git@host:22/path` or `git@host:path`.
fn parts(url: &str) -> Option<(&str, &str)> {
    let (authority, path) = match url.split_once("://") {
        Some((_, rest)) => rest.split_once('/').unwrap_or((rest, "")),
        None => url.split_once(':').filter(|(host, _)| !host.contains('/'))?,
    };
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let host = host.split(':').next().unwrap_or_default();
    // GitHub's way through firewalls that let only port 443 pass.
    let host = if host == "ssh.github.com" { "github.com" } else { host };
    let path = path.trim_matches('/');
    Some((host, path.strip_suffix(".git").unwrap_or(path)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remote_names_the_repository_in_each_of_its_forms() {
        for url in [
            "https://github.com/luxima/shop",
            "https://github.com/luxima/shop.git",
            "https://github.com/luxima/shop/",
            "https://x-access-token:ghs_1@github.com/luxima/shop.git",
            "ssh://git@github.com/luxima/shop.git",
            "ssh://git@ssh.github.com:443/luxima/shop.git",
            "git@github.com:luxima/shop.git",
            "git@github.com:luxima/shop",
        ] {
            let (host, path) = parts(url).expect(url);
            let repository = Repository::parse(path).expect(url);
            assert_eq!(
                (host, repository.owner.as_str(), repository.name.as_str()),
                ("github.com", "luxima", "shop"),
                "{url}"
            );
        }
    }

    #[test]
    fn what_is_no_repository_is_none() {
        for path in ["shop", "a/b/c", "../shop", "a/..", "a b/c", "a/b?c", "", "/", "a/"] {
            assert_eq!(Repository::parse(path), None, "{path}");
        }
        for url in ["/srv/git/shop.git", "../shop", "C"] {
            assert!(parts(url).is_none_or(|(host, _)| host != "github.com"), "{url}");
        }
    }

    #[test]
    fn the_host_of_an_api_is_the_one_that_git_uses() {
        for (api, host) in [
            ("https://api.github.com", "github.com"),
            ("https://git.luxima.id/api/v3", "git.luxima.id"),
            ("https://api.luxima.ghe.com", "luxima.ghe.com"),
            ("http://127.0.0.1:8080", "127.0.0.1"),
        ] {
            assert_eq!(git_host(api).as_deref(), Ok(host));
        }
        assert!(git_host("https://github.com").is_err());
    }
}
