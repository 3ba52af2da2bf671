//! What the real one and its neighbours make others believe: an answer of something in front of it, a tag that is stored otherwise, a log
//! that speaks of another build, a page full of previews.

use super::Coolify;
use super::row::{End, Order};
use crate::http::Reply;

impl Coolify {
    /// The next change of an application is made, and something in front of Coolify answers.
    pub fn answer_next_change_with(&self, reply: Reply) {
        self.lock().mask = Some(reply);
    }

    /// Of the next tag that is written this is stored.
    pub fn store_next_tag_as(&self, tag: &str) {
        self.lock().stores = Some(tag.into());
    }

    /// Logs say something else from now on.
    pub fn say_in_logs(&self, instead_of: &str, words: &str) {
        self.lock().said_instead = Some((instead_of.into(), words.into()));
    }

    /// Adds so many deployments of a pull request, newer than all others, which have finished.
    pub fn previews(&self, application: &str, many: usize) {
        let mut state = self.lock();
        for _ in 0..many {
            let order = Order { preview: true, ..Order::default() };
            state.start(application, order);
            let row = state.rows.last_mut().expect("the new one");
            (row.is_old, row.end) = (true, End::Finished);
            row.ends("finished");
        }
    }
}
