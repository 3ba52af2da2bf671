//! What was seen: names and messages of everything that is ours, without unpacking a single document; and the documents of one run.
//! Sizes and counts are looked at before anything is read.

use std::collections::{BTreeSet, HashMap};

use git_program::Git;
use jiff::Timestamp;
use step::Failure;

use super::Remote;
use crate::names::{Name, ROOT, Scope, is_word};
use crate::record::{LIMIT, Record};

/// More runs of an environment are not looked at; the newest count.
const RUNS: usize = 2000;
/// Nor more than so many bytes of them: a run says what it is in a few thousand.
const BYTES: usize = 16 << 20;
/// A product has not more environments.
const ENVIRONMENTS: usize = 64;
/// So many names are shown of what was passed over.
const SHOWN: usize = 5;
/// Why something is passed over.
pub(super) const NO_NAME: &str = "no name that this program gives";
/// A message is not longer.
const MESSAGE: usize = LIMIT + 4096;
/// A run has not more files, and none is larger.
const FILES: usize = 64;
const FILE: usize = 4 << 20;

/// A ref that is ours.
#[derive(Clone, Debug)]
pub struct Tip {
    pub name: Name,
    pub id: String,
    /// The message of its commit.
    pub message: String,
}

/// A ref that is passed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    pub id: String,
    /// As it is: only to be given to git.
    pub name: String,
    why: &'static str,
}

impl Skipped {
    pub(super) fn new(id: &str, name: &str, why: &'static str) -> Self {
        Skipped { id: id.to_owned(), name: name.to_owned(), why }
    }

    /// The environment of a product below whose name it lies.
    pub fn environment(&self, product: &str) -> Option<String> {
        let below = self.name.strip_prefix(&format!("{ROOT}/v2/{product}/"))?;
        let (environment, _) = below.split_once('/')?;
        is_word(environment).then(|| environment.to_owned())
    }
}

impl std::fmt::Display for Skipped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", step::excerpt(&step::plain_line(&self.name), 200), self.why)
    }
}

/// Everything that is ours on the remote.
#[derive(Debug, Default)]
pub struct Index {
    pub tips: Vec<Tip>,
    /// What is there and not ours: names that nobody here gives, entries that are too large or no commits.
    pub skipped: Vec<Skipped>,
    /// Where there are more runs than are read, and what was read is mostly none.
    pub flooded: Vec<Scope>,
}

impl Index {
    /// What was passed over, for people: a few of them, and how many more.
    pub fn passed_over(&self) -> Option<String> {
        let shown = self.skipped.iter().take(SHOWN).map(Skipped::to_string).collect::<Vec<_>>().join(", ");
        match self.skipped.len() {
            0 => None,
            count if count > SHOWN => Some(format!("{shown} and {} more", count - SHOWN)),
            _ => Some(shown),
        }
    }

    /// Whether most of what is called a run says nothing: names that were pushed to hide those before them.
    fn is_flooded(&self, scope: &Scope) -> bool {
        let named =
            self.tips.iter().filter(|tip| matches!(&tip.name, Name::Run(of, _) if of == scope)).count();
        let real = self
            .records()
            .filter(|(_, record)| Scope::new(&record.product, &record.environment) == *scope)
            .count();
        real * 2 < named
    }

    /// Why nothing can be begun where names hide the runs.
    ///
    /// # Errors
    /// `refused`, `flooded`.
    pub fn is_whole(&self, scope: &Scope) -> Result<(), Failure> {
        if !self.flooded.contains(scope) {
            return Ok(());
        }
        let message = format!(
            "the remote has more runs of {} in {} than are read, and most of them are none: which run counts is not known; remove what is nobody's (git ls-remote REMOTE '{ROOT}/*', git push REMOTE --delete REF)",
            scope.product, scope.environment
        );
        Err(Failure::refused("flooded", message))
    }

    /// A ref as it is.
    pub fn tip(&self, name: &Name) -> Option<&Tip> {
        self.tips.iter().find(|tip| tip.name == *name)
    }

    /// At which object a ref is, whatever it is.
    pub(super) fn id_of(&self, full: &str) -> Option<String> {
        let tip = self.tips.iter().find(|tip| tip.name.full() == full).map(|tip| tip.id.clone());
        tip.or_else(|| self.skipped.iter().find(|skipped| skipped.name == full).map(|s| s.id.clone()))
    }

    /// What lies in the place of a lock or a hold and is none, or below it, so that none can be there.
    pub fn in_the_way(&self, name: &Name) -> Vec<&Skipped> {
        let full = name.full();
        let is_there = |skipped: &&Skipped| {
            skipped.name.strip_prefix(&full).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.skipped.iter().filter(is_there).collect()
    }

    /// The runs of all environments that say what they are, each with its entry.
    pub fn records(&self) -> impl Iterator<Item = (&Tip, Record)> {
        self.tips.iter().filter_map(|tip| {
            let Name::Run(scope, run) = &tip.name else { return None };
            let record = tip.message.lines().find_map(Record::parse)?;
            let opened = crate::names::run(record.opened, 0, "");
            let fits = record.run == *run
                && record.run.get(..16) == opened.get(..16)
                && Scope::new(&record.product, &record.environment) == *scope;
            fits.then_some((tip, record))
        })
    }
}

/// A line of `for-each-ref`.
struct Line {
    id: String,
    name: Name,
    size: usize,
}

/// How much was read of each environment; runs of earlier versions had none.
#[derive(Default)]
struct Room(HashMap<Option<Scope>, (usize, usize)>);

impl Room {
    /// Whether so much was there as no honest runs are.
    fn is_stuffed(&self, scope: &Scope) -> bool {
        self.0.get(&Some(scope.clone())).is_none_or(|(_, bytes)| *bytes > BYTES)
    }

    /// Whether there is room for one more.
    fn has(&mut self, line: &Line) -> bool {
        let of = match &line.name {
            Name::Run(scope, _) => Some(scope.clone()),
            Name::OldRun(_) => None,
            _ => return true,
        };
        if self.0.len() >= ENVIRONMENTS && !self.0.contains_key(&of) {
            return false;
        }
        let (count, bytes) = self.0.entry(of).or_default();
        (*count, *bytes) = (*count + 1, *bytes + line.size);
        *count <= RUNS && *bytes <= BYTES
    }
}

impl Remote<'_> {
    /// What lies here of the last look.
    pub fn index(&self) -> Result<Index, Failure> {
        self.index_by(&self.git.clone().regardless(), Vec::new())
    }

    pub(super) fn index_by(&self, git: &Git, skipped: Vec<Skipped>) -> Result<Index, Failure> {
        let format = "--format=%(objectname) %(objecttype) %(objectsize) %(refname)";
        let places = self.below();
        let words: Vec<&str> = ["for-each-ref", "--sort=-refname", format]
            .into_iter()
            .chain(places.iter().map(String::as_str))
            .collect();
        let said = git.ask(&words, b"")?;
        let mut index = Index { skipped, ..Index::default() };
        let mut room = Room::default();
        let mut lines = Vec::new();
        let mut crowded: BTreeSet<Scope> = BTreeSet::new();
        // A name may hold anything: what is no text is no name of ours.
        for line in String::from_utf8_lossy(&said.stdout).lines() {
            match ours(line) {
                Ok(line) if room.has(&line) => lines.push(line),
                Ok(line) => crowded.extend(line.name.scope().cloned()),
                Err(skipped) => index.skipped.push(skipped),
            }
        }
        let ids: BTreeSet<&str> = lines.iter().map(|line| line.id.as_str()).collect();
        let messages = git.objects(&ids.into_iter().collect::<Vec<_>>())?;
        for Line { id, name, .. } in lines {
            let Some(commit) = messages.get(&id) else { continue };
            index.tips.push(Tip { name, message: message(commit), id });
        }
        index.flooded =
            crowded.into_iter().filter(|scope| room.is_stuffed(scope) || index.is_flooded(scope)).collect();
        Ok(index)
    }

    /// The documents of a run, as name and content; what is none is left out.
    pub fn documents(&self, id: &str) -> Result<Vec<(String, Vec<u8>)>, Failure> {
        let said = self.git.ask(&["ls-tree", "-z", "--long", id], b"")?;
        let text = String::from_utf8_lossy(&said.stdout).into_owned();
        let files: Vec<(&str, &str)> = text.split('\0').filter_map(file).take(FILES).collect();
        let ids: Vec<&str> = files.iter().map(|(id, _)| *id).collect();
        let objects = self.git.objects(&ids)?;
        let content = |(id, name): (&str, &str)| Some((name.to_owned(), objects.get(id)?.clone()));
        Ok(files.into_iter().filter_map(content).collect())
    }
}

/// A line of `for-each-ref` that is ours; else the name to be told.
fn ours(line: &str) -> Result<Line, Skipped> {
    let mut words = line.splitn(4, ' ');
    let mut word = || words.next().unwrap_or_default();
    let (id, kind, size, full) = (word(), word(), word(), word());
    let skip = |why: &'static str| Err(Skipped::new(id, full, why));
    let Some(name) = Name::parse(full) else { return skip(NO_NAME) };
    if kind != "commit" {
        return skip("no commit");
    }
    if matches!(&name, Name::Run(_, run) if crate::names::is_to_come(run, Timestamp::now())) {
        return skip("a run of a day that has not come");
    }
    match size.parse::<usize>() {
        Ok(size) if size <= MESSAGE => Ok(Line { id: id.to_owned(), name, size }),
        _ => skip("too large"),
    }
}

/// A line of `ls-tree --long` that is a document.
fn file(line: &str) -> Option<(&str, &str)> {
    let (about, name) = line.split_once('\t')?;
    let mut words = about.split_ascii_whitespace();
    let (mode, kind, id, size) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let small = size.parse::<usize>().is_ok_and(|size| size <= FILE);
    (mode == "100644" && kind == "blob" && small && is_document(name)).then_some((id, name))
}

/// `05-deploy.json`, `05-deploy.failed.json`, `notify.json`; nothing with a path in it.
pub fn is_document(name: &str) -> bool {
    let numbered =
        name.len() > 3 && name.as_bytes()[..2].iter().all(u8::is_ascii_digit) && name.as_bytes()[2] == b'-';
    is_word(name) && name.ends_with(".json") && (numbered || name == "notify.json")
}

/// What stands below a commit's headers.
fn message(commit: &[u8]) -> String {
    let text = String::from_utf8_lossy(commit);
    text.split_once("\n\n").map_or(String::new(), |(_, message)| message.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_say_nothing_hide_no_run_in_silence() {
        let scope = Scope::new("shop", "production");
        let tip = |n: usize, message: &str| Tip {
            name: Name::Run(scope.clone(), format!("20261125T0811{n:02}Z-7f3a-release")),
            id: n.to_string(),
            message: message.into(),
        };
        let record = crate::record::tests::sample("release", "x");
        let real = |n: usize| {
            let name = crate::names::run(record.opened, 1, &format!("x{n}"));
            let record = Record { run: name.clone(), ..record.clone() };
            Tip { name: Name::Run(scope.clone(), name), id: format!("r{n}"), message: record.line() }
        };
        let with = |tips: Vec<Tip>| Index { tips, ..Index::default() }.is_flooded(&scope);
        assert!(with((0..30).map(|n| tip(n, "")).chain([real(1)]).collect()), "names alone");
        assert!(!with((0..30).map(real).chain([tip(1, "")]).collect()), "a team that has released often");
        let flooded = Index { flooded: vec![scope.clone()], ..Index::default() };
        assert_eq!(flooded.is_whole(&scope).map_err(|f| f.reason.clone()), Err("flooded".into()));
        assert!(flooded.is_whole(&Scope::new("shop", "staging")).is_ok());
        let skipped = (0..9).map(|n| Skipped::new("aa", &n.to_string(), "x")).collect();
        let many = Index { skipped, ..Index::default() };
        assert_eq!(many.passed_over().as_deref(), Some("0 (x), 1 (x), 2 (x), 3 (x), 4 (x) and 4 more"));
    }

    #[test]
    fn of_an_environment_so_much_is_read_and_no_more() {
        let line = |environment: &str, size| Line {
            id: "aa".into(),
            name: Name::Run(Scope::new("shop", environment), "20261125T081130Z-7f3a-x".into()),
            size,
        };
        let mut room = Room::default();
        assert!((0..RUNS).all(|_| room.has(&line("production", 4096))));
        assert!(!room.has(&line("production", 4096)) && room.has(&line("staging", 4096)));
        assert!(!room.is_stuffed(&Scope::new("shop", "production")), "a team that has released often");
        let taken = (0..300).filter(|_| room.has(&line("qa", MESSAGE))).count();
        assert_eq!(taken, BYTES / MESSAGE);
        assert!(room.is_stuffed(&Scope::new("shop", "qa")));
        let many = (0..100).filter(|n| room.has(&line(&format!("e{n}"), 1))).count();
        assert_eq!(many, ENVIRONMENTS - 3);
    }

    #[test]
    fn what_lies_in_the_place_of_a_lock_is_found() {
        let lock = Name::Lock(Scope::new("shop", "production"));
        let skipped = ["", "/x", "s", "/x/y"].map(|rest| Skipped::new("aa", &(lock.full() + rest), "x"));
        let index = Index { skipped: skipped.to_vec(), ..Index::default() };
        assert_eq!(index.in_the_way(&lock).len(), 3);
        assert_eq!(index.in_the_way(&Name::Hold(Scope::new("shop", "production"))).len(), 0);
    }

    #[test]
    fn only_documents_are_documents() {
        for name in ["01-changelog.json", "05-deploy.failed.json", "notify.json"] {
            assert!(is_document(name), "{name}");
        }
        for name in [
            ".lock",
            "lease",
            "run.json",
            "05-deploy.json.part",
            "../x.json",
            ".x.json",
            "a b.json",
            "finished",
        ] {
            assert!(!is_document(name), "{name}");
        }
        assert!(file("100644 blob 9f2c       12\t01-x.json").is_some());
        for line in [
            "120000 blob 9f2c      12\t01-x.json",
            "100644 blob 9f2c 99999999\t01-x.json",
            "040000 tree 9f2c       -\t01-x.json",
            "100755 blob 9f2c      12\t01-x.json",
        ] {
            assert!(file(line).is_none(), "{line}");
        }
    }

    #[test]
    fn what_is_not_ours_is_named() {
        let skipped = |line: &str| ours(line).err().map(|skipped| skipped.to_string());
        assert_eq!(skipped("9f commit 100 refs/rilis/lock/production"), None);
        assert!(skipped("9f commit 100 refs/rilis/x/\u{1b}[2J").is_some_and(|s| !s.contains('\u{1b}')));
        assert!(skipped("9f blob 100 refs/rilis/lock/production").is_some());
        assert!(skipped("9f commit 300000000 refs/rilis/lock/production").is_some());
    }
}
