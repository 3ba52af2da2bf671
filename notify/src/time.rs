//! Instants as the outbox and the webhook write them.

use jiff::Timestamp;

/// Now, RFC 3339 in UTC.
pub fn now() -> String {
    format!("{:.0}", Timestamp::now())
}
