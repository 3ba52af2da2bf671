//! How the links of a changelog are written: where its repository is, what its tags are called, and a new definition in the
//! same manner.

use crate::changelog::{BlockKind, Changelog, Definition, HeadingLink, Section, Span};
use crate::finding::Edit;
use crate::host::{self, Host, Shown};
use crate::text::line_end;
use crate::version;

/// The manner in which links are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scheme {
    /// The repository's web address.
    pub repository: String,
    /// Its host.
    pub host: Host,
    /// What stands before the version in a tag.
    pub prefix: String,
    /// What stands behind it: `-final`.
    pub suffix: String,
    /// Whether the file itself shows it.
    pub proven: bool,
}

impl Scheme {
    /// The manner of the file's own links; else of the repository, if it is known.
    pub fn of(log: &Changelog, repository: Option<&str>, tags: Option<&[String]>) -> Option<Self> {
        Self::of_file(log).or_else(|| {
            let repository = repository?;
            let shown = tags.into_iter().flatten().rev().find_map(|tag| prefix(tag, ""));
            let prefix = shown.unwrap_or("v").to_owned();
            Some(Scheme {
                repository: repository.to_owned(),
                host: host::of(repository)?,
                prefix,
                suffix: String::new(),
                proven: false,
            })
        })
    }

    fn of_file(log: &Changelog) -> Option<Self> {
        let inline = log.sections.iter().filter_map(|section| match &log.heading(section).link {
            Some(HeadingLink::Inline(_, url)) => Some(url.as_str()),
            _ => None,
        });
        let urls = log.definitions.iter().map(|definition| log.url(definition)).chain(inline);
        let (suffix, one_manner) = suffix(log);
        urls.into_iter().find_map(|url| {
            let Shown::Range { base, target } = host::read(url)? else { return None };
            let prefix = prefix(&url[target], &suffix).or_else(|| prefix(&url[base], &suffix))?.to_owned();
            let repository = host::repository(url)?.to_owned();
            Some(Scheme { host: style(url), repository, prefix, suffix: suffix.clone(), proven: one_manner })
        })
    }

    /// The tag of a version.
    pub fn tag(&self, version: &str) -> String {
        format!("{}{}{}", self.prefix, version.replace('+', "%2B"), self.suffix)
    }

    /// The tag of a section: the one that its own link names, else as others are called.
    pub(crate) fn tag_of(&self, log: &Changelog, section: &Section) -> String {
        own_tag(log, section).map_or_else(|| self.tag(section.name()), str::to_owned)
    }

    /// The comparison of a version with the one before, or its tag if there is none.
    pub(crate) fn link(&self, log: &Changelog, before: Option<&Section>, version: &str) -> String {
        match before {
            Some(before) => {
                let before = self.tag_of(log, before);
                host::range_url(&self.repository, self.host, &before, &self.tag(version))
            }
            None => host::tag_url(&self.repository, self.host, &self.tag(version)),
        }
    }

    /// The comparison of what is not released with the newest version.
    pub(crate) fn unreleased(&self, log: &Changelog, newest: &Section) -> String {
        host::range_url(&self.repository, self.host, &self.tag_of(log, newest), "HEAD")
    }
}

/// How such a link is written, whatever the host is called.
fn style(url: &str) -> Host {
    if url.contains("/-/compare/") {
        Host::GitLab
    } else if url.contains("branchCompare?") {
        Host::Azure
    } else if url.contains("/branches/compare/") {
        Host::Bitbucket
    } else {
        host::of(url).filter(|host| *host == Host::Gitea).unwrap_or(Host::GitHub)
    }
}

/// What stands before the version in a tag.
fn prefix<'t>(tag: &'t str, suffix: &str) -> Option<&'t str> {
    let tag = tag.strip_suffix(suffix)?;
    version::of_tag(tag).and_then(|version| tag.strip_suffix(version))
}

/// What stands behind the version in the tags of the file's own links, and whether all are written in this one manner.
fn suffix(log: &Changelog) -> (String, bool) {
    let tags = log.releases().filter_map(|section| {
        let tag = own_tag(log, section)?;
        let at = tag.rfind(section.name())?;
        Some(tag[at + section.name().len()..].to_owned())
    });
    let mut tags: Vec<String> = tags.collect();
    tags.sort();
    tags.dedup();
    match tags.as_slice() {
        [one] => (one.clone(), true),
        several => (String::new(), several.is_empty()),
    }
}

/// The address that a heading links to: its place in the file.
pub(crate) fn address(log: &Changelog, section: &Section) -> Option<Span> {
    match log.heading(section).link.as_ref()? {
        HeadingLink::Inline(span, url) => {
            let start = span.start + log.text[span.clone()].rfind(url.as_str())?;
            Some(start..start + url.len())
        }
        HeadingLink::Label(_, label) => log.definition(label).map(|definition| definition.url_at.clone()),
    }
}

/// The tag that the link of a version leads to, if it is this version's.
pub(crate) fn own_tag<'t>(log: &Changelog<'t>, section: &Section) -> Option<&'t str> {
    let url = &log.text[address(log, section)?];
    let (Shown::Range { target, .. } | Shown::Tag(target)) = host::read(url)?;
    let tag = &url[target];
    let decoded = host::decoded(tag);
    let found = version::of_tag(&decoded)?;
    (version::same(found, section.name()) || version::is_form_of(found, section.name())).then_some(tag)
}

/// Where the nearest definitions of other sections stand: for each section the next one below it, else the last above it.
pub(crate) struct Neighbours<'c> {
    below: Vec<Option<&'c Definition>>,
    above: Vec<Option<&'c Definition>>,
}

impl<'c> Neighbours<'c> {
    pub(crate) fn of(log: &'c Changelog) -> Self {
        let nearest = |sections: &mut dyn Iterator<Item = &'c Section>| {
            let mut last = None;
            let pass = |section| {
                let here = log.defined(section).or(last);
                std::mem::replace(&mut last, here)
            };
            sections.map(pass).collect::<Vec<_>>()
        };
        let above = nearest(&mut log.sections.iter());
        let mut below = nearest(&mut log.sections.iter().rev());
        below.reverse();
        Neighbours { below, above }
    }
}

/// The definition that the section of this index lacks, at the place where it belongs; `before` is the version before it.
pub(crate) fn definition_edit(
    log: &Changelog,
    scheme: &Scheme,
    neighbours: &Neighbours,
    index: usize,
    label: &str,
    before: Option<&Section>,
) -> Option<Edit> {
    let section = &log.sections[index];
    let url = match section.version() {
        Some(_) if !section.is_released() => return None,
        Some(version) => scheme.link(log, before, &version.text),
        None => scheme.unreleased(log, crate::notes::newest(log)?),
    };
    let eol = line_end(log.text);
    let line = format!("[{label}]: {url}");
    if let Some(next) = neighbours.below[index] {
        return Some(Edit { span: next.span.start..next.span.start, text: format!("{line}{eol}") });
    }
    if let Some(last) = neighbours.above[index] {
        return Some(Edit { span: last.span.end..last.span.end, text: format!("{eol}{line}") });
    }
    // Within a code block or a comment that is never closed it would be none.
    let open = log.blocks.last().is_some_and(|b| {
        matches!(b.kind, BlockKind::Code(_) | BlockKind::Html) && b.span.end == log.text.len()
    });
    let end = log.text.trim_end().len();
    if open {
        return None;
    }
    let gap = if log.definitions.last().is_some_and(|d| d.span.end == end) { "" } else { eol };
    Some(Edit { span: end..end, text: format!("{eol}{gap}{line}") })
}
