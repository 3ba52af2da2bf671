//! Writing: entries are made by one process of git, however many they are, and moved by one push, all or none of them.

use jiff::Timestamp;
use step::{Acted, Failure, Permit};

use super::{PUSH, Remote};
use crate::names::{Name, ROOT};

/// An entry that is to be made.
#[derive(Debug)]
pub struct Draft {
    pub name: Name,
    /// The entry that it follows, which is the one that the remote must still have.
    pub before: Option<String>,
    pub message: String,
    pub files: Vec<(String, Vec<u8>)>,
}

/// A ref from what was seen to what follows it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Move {
    name: String,
    before: Option<String>,
    /// Empty: the ref goes.
    to: String,
}

/// How a push ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Pushed {
    /// The remote has it all.
    Done,
    /// Somebody else was faster with one of them: the remote has nothing of it.
    Lost,
}

/// What came of a push, and the entries that it carried.
pub type Put = Result<(Pushed, Vec<String>), Failure>;

impl Remote<'_> {
    /// Makes entries and moves their refs: all, or none. Their ids, in order.
    pub fn put(&self, permit: &Permit, drafts: &[Draft]) -> Put {
        let ids = self.signed(drafts, self.make(drafts)?)?;
        let moves: Vec<Move> = drafts
            .iter()
            .zip(&ids)
            .map(|(draft, id)| Move { name: draft.name.full(), before: draft.before.clone(), to: id.clone() })
            .collect();
        Ok((self.push(permit, &moves)?, ids))
    }

    /// Removes a ref that is at an entry.
    pub fn remove(&self, permit: &Permit, name: &Name, entry: &str) -> Result<Pushed, Failure> {
        self.remove_all(permit, &[(entry.to_owned(), name.full())])
    }

    /// Removes refs that are each at an object, whatever they are: all, or none.
    pub fn remove_all(&self, permit: &Permit, refs: &[(String, String)]) -> Result<Pushed, Failure> {
        let gone = |(id, name): &(String, String)| Move {
            name: name.clone(),
            before: Some(id.clone()),
            to: String::new(),
        };
        self.push(permit, &refs.iter().map(gone).collect::<Vec<_>>())
    }

    /// Makes entries here.
    fn make(&self, drafts: &[Draft]) -> Result<Vec<String>, Failure> {
        let mut stream = Vec::new();
        let (name, mail) = self.who.holder.split_once(" <").unwrap_or((&self.who.holder, "unknown>"));
        let plain = |text: &str| text.replace(['<', '>', '\n', '\0'], " ");
        let by = format!(
            "{} <{}> {} +0000",
            plain(name),
            plain(mail.trim_end_matches('>')),
            Timestamp::now().as_second()
        );
        for (n, draft) in drafts.iter().enumerate() {
            // A name for as long as the process lives.
            let aside = format!("refs/out/{}-{n}", std::process::id());
            let head = format!("commit {aside}\nmark :{}\ncommitter {by}\n", n + 1);
            stream.extend(head.as_bytes());
            data(&mut stream, draft.message.as_bytes());
            if let Some(before) = &draft.before {
                stream.extend(format!("from {before}\ndeleteall\n").as_bytes());
            }
            for (name, content) in &draft.files {
                stream.extend(format!("M 100644 inline {name}\n").as_bytes());
                data(&mut stream, content);
            }
            stream.extend(
                format!("\nget-mark :{}\nreset {aside}\nfrom {}\n\n", n + 1, "0".repeat(40)).as_bytes(),
            );
        }
        stream.extend(b"done\n");
        let said = self
            .git
            .clone()
            .regardless()
            .ask(&["fast-import", "--quiet", "--force", "--done", "--date-format=raw"], &stream)?;
        let ids: Vec<String> = said.text().lines().map(str::to_owned).collect();
        if ids.len() == drafts.len() {
            Ok(ids)
        } else {
            Err(Failure::bug("git has not named what it has made"))
        }
    }

    /// Moves refs, all or none. The remote's report is its word; when there is none, the remote is asked.
    fn push(&self, permit: &Permit, moves: &[Move]) -> Result<Pushed, Failure> {
        let leases: Vec<String> = moves
            .iter()
            .map(|m| format!("--force-with-lease={}:{}", m.name, m.before.as_deref().unwrap_or_default()))
            .collect();
        let specs: Vec<String> = moves.iter().map(|m| format!("{}:{}", m.to, m.name)).collect();
        let fixed =
            ["push", "--atomic", "--porcelain", "--no-verify", "--no-follow-tags", "--no-recurse-submodules"];
        let mut args: Vec<&str> = fixed.into_iter().chain(leases.iter().map(String::as_str)).collect();
        args.extend(["--", self.name()]);
        args.extend(specs.iter().map(String::as_str));
        let said = self.git.clone().regardless().within(PUSH).change(permit, &args, b"");
        match &said {
            Ok(said) if said.status.success() => return Ok(Pushed::Done),
            _ => {}
        }
        let words = match &said {
            Ok(said) => said.words(),
            Err(failure) => failure.message.clone(),
        };
        self.what_became(moves, &words)
    }

    /// After a push that was refused or broke off: what does the remote have?
    fn what_became(&self, moves: &[Move], words: &str) -> Result<Pushed, Failure> {
        let now = self.look_regardless().map_err(|f| {
            let message = format!("whether {} has what was pushed is not known: {}", self.name(), f.message);
            Failure::temporary("remote-unreachable", message).cause(words).acted(Acted::Unknown)
        })?;
        let has = |m: &Move| now.id_of(&m.name);
        if moves.iter().all(|m| has(m).unwrap_or_default() == m.to) {
            return Ok(Pushed::Done);
        }
        if moves.iter().any(|m| has(m) != m.before) || words.contains("stale info") || is_race(words) {
            return Ok(Pushed::Lost);
        }
        if words.contains("rejected") {
            let full = &moves[0].name;
            let message = format!(
                "{} does not take {full}: it must allow refs below {ROOT}/ to be pushed",
                self.name()
            );
            return Err(Failure::failed("refs-refused", message).cause(words));
        }
        let message = format!("the remote {} cannot be written to", self.name());
        Err(Failure::temporary("remote-unreachable", message).cause(words))
    }
}

/// Somebody else holds the ref at the very moment.
fn is_race(words: &str) -> bool {
    ["failed to update ref", "cannot lock ref", "incorrect old value", "reference already exists"]
        .iter()
        .any(|word| words.contains(word))
}

fn data(stream: &mut Vec<u8>, bytes: &[u8]) {
    stream.extend(format!("data {}\n", bytes.len()).as_bytes());
    stream.extend(bytes);
    stream.push(b'\n');
}
