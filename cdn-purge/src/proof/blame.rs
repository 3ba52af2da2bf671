//! What is wrong after a purge, for people: which page, in which form, at which address, and what it should have been.

use jiff::Timestamp;
use step::Failure;

use crate::page::seen::{Body, Evidence, Target, Twin};
use crate::proof::Proof;
use crate::proof::board::{Board, Slot};

/// Pages that a failure names; the others are counted.
const NAMED: usize = 10;

impl Proof<'_> {
    /// Whether something could be claimed of everything.
    ///
    /// # Errors
    /// What is wrong, the first of it with its own reason.
    pub fn judge(&self, board: &Board, purged_at: Timestamp) -> Result<(), Failure> {
        let wrong = board.open();
        let Some(first) = wrong.first().map(|n| &board.slots[*n]) else { return Ok(()) };
        let failure = Failure::failed(first.watched.seen.reason(), self.wrong(first, purged_at))
            .output("urls", self.report(board));
        let failure = match first.form.wire {
            // Next.js sends browsers to `?_rsc=`, which caches keep apart from the page.
            true => failure
                .next("purge by tag or prefix: the address of a page alone does not take its ?_rsc= with it"),
            false => failure,
        };
        let named = wrong.iter().skip(1).take(NAMED).map(|n| self.wrong(&board.slots[*n], purged_at));
        let failure = named.fold(failure, Failure::cause);
        Err(match wrong.len().saturating_sub(NAMED + 1) {
            0 => failure,
            more => failure.cause(format!("and {more} more")),
        })
    }

    /// What is wrong with one, for people.
    fn wrong(&self, slot: &Slot, purged_at: Timestamp) -> String {
        let form = if slot.form.is_plain() { String::new() } else { format!(" ({})", slot.form.name) };
        let url = format!("{}{form}{}", self.pages[slot.page], self.nodes.named(slot.node));
        let (seen, target, name) = (&slot.watched.seen, self.target(slot, purged_at), self.name());
        if slot.watched.answers == 0 {
            return format!("{url} was not asked before the time was over");
        }
        if slot.watched.row > 0 {
            return format!(
                "{url} serves {name}, but served something else a moment ago: are several servers behind it?"
            );
        }
        let build = seen.build.as_ref().is_none_or(|build| self.shown.wanted.is(build));
        let content = seen.status == Some(200) && build && !seen.rsc;
        match seen.evidence(Target { since: None, ..target }) {
            Evidence::Right => format!("{url} serves {name} from a copy that is older than the purge"),
            Evidence::None => format!("{url} serves a copy that is older than the purge ({})", seen.why()),
            Evidence::Wrong if content && matches!(target.twin, Some(Twin { body: Body::Same(_), .. })) => {
                format!("{url} serves another content than the origin although it was purged")
            }
            Evidence::Wrong => match target.twin {
                Some(twin) if twin.status != 200 => {
                    format!(
                        "{url} {seen} instead of HTTP {}, as the origin does, although it was purged",
                        twin.status
                    )
                }
                _ => format!("{url} {seen} instead of {name} although it was purged"),
            },
        }
    }
}
