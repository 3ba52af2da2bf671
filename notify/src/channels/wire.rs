//! The way out: one request, and what became of it.

use std::time::Duration;

use http_client::{Call, Client, Reply};
use step::{Context, Failure, Permit};

use super::Said;

/// No request takes longer, so that there is time for another, and for the fallback.
const REQUEST: Duration = Duration::from_secs(8);

/// The way out.
pub struct Wire<'a> {
    pub client: &'a Client<'a>,
    pub context: &'a Context,
}

impl Wire<'_> {
    /// A third of what is left: one more attempt and the fallback need their time too.
    fn within(&self) -> Duration {
        REQUEST.min(self.context.deadline.left() / 3).max(Duration::from_millis(100))
    }

    /// Sends a request; an answer that is one goes to `read`.
    pub(super) fn deliver(
        &self,
        permit: &Permit,
        who: &str,
        call: Call,
        read: impl FnOnce(&Reply) -> Said,
    ) -> Result<Said, Failure> {
        Ok(match self.client.change(permit, &call.within(self.within()))? {
            Ok(reply) => read(&reply),
            Err(lost) if lost.sent => Said::Unknown(format!("{who}: {}", lost.why)),
            Err(lost) => Said::Later {
                wait: None,
                reason: "unreachable",
                why: format!("{who} cannot be reached: {}", lost.why),
            },
        })
    }

    /// Asks a question; the answer's status is for the caller.
    pub(super) fn question(&self, who: &str, call: Call) -> Result<Reply, Failure> {
        let lost = match self.client.ask(&call.within(self.within()))? {
            Ok(reply) => return Ok(reply),
            Err(lost) => lost,
        };
        let how = if lost.sent { "does not answer" } else { "cannot be reached" };
        Err(Failure::temporary("unreachable", format!("{who} {how}: {}", lost.why)))
    }
}
