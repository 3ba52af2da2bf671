//! The way out: one request, and what became of it.

use std::time::Duration;

use http_client::{Call, Client, Reply};
use step::{Context, Failure};

use super::Said;

/// No request takes longer, so that there is time for another, and for the fallback.
const REQUEST: Duration = Duration::from_secs(8);

/// The way out.
pub struct Wire<'a> {
    pub client: &'a Client<'a>,
    pub context: &'a Context,
}

impl Wire<'_> {
    /// Sends a request once.
    fn ask(&self, call: Call) -> Result<Heard, Failure> {
        // A third of what is left: one more attempt and the fallback need their time too.
        let within = REQUEST.min(self.context.deadline.left() / 3).max(Duration::from_millis(100));
        Ok(match self.client.send(&call.within(within))? {
            Ok(reply) => Heard::Reply(reply),
            Err(lost) if lost.sent => Heard::Lost(lost.why),
            Err(lost) => Heard::NotSent(lost.why),
        })
    }

    /// Sends a request; an answer that is one goes to `read`.
    pub(super) fn deliver(
        &self,
        who: &str,
        call: Call,
        read: impl FnOnce(&Reply) -> Said,
    ) -> Result<Said, Failure> {
        Ok(match self.ask(call)? {
            Heard::Reply(reply) => read(&reply),
            Heard::Lost(why) => Said::Unknown(format!("{who}: {why}")),
            Heard::NotSent(why) => Said::Later {
                wait: None,
                reason: "unreachable",
                why: format!("{who} cannot be reached: {why}"),
            },
        })
    }

    /// Asks a question; the answer's status is for the caller.
    pub(super) fn question(&self, who: &str, call: Call) -> Result<Reply, Failure> {
        match self.ask(call)? {
            Heard::Reply(reply) => Ok(reply),
            Heard::Lost(why) => {
                Err(Failure::temporary("unreachable", format!("{who} does not answer: {why}")))
            }
            Heard::NotSent(why) => {
                Err(Failure::temporary("unreachable", format!("{who} cannot be reached: {why}")))
            }
        }
    }
}

/// What came back from a request.
enum Heard {
    Reply(Reply),
    NotSent(String),
    Lost(String),
}
