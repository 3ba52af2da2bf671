//! How PostgreSQL's errors read.

use step::Failure;
use tokio_postgres::error::SqlState;

/// What went wrong with a statement.
pub fn broken(error: &tokio_postgres::Error) -> Failure {
    match error.code() {
        Some(code) if *code == SqlState::INSUFFICIENT_PRIVILEGE => {
            Failure::config("rights", "the database user may not do this").cause(said(error))
        }
        Some(code) if *code == SqlState::QUERY_CANCELED => {
            Failure::temporary("deadline", "the time is over, or somebody cancelled the query")
                .cause(said(error))
        }
        Some(code) if *code == SqlState::LOCK_NOT_AVAILABLE => {
            Failure::temporary("busy", "somebody else holds what this statement needs").cause(said(error))
        }
        // As many locks as the database has tables: one dump, or one restore, holds them all.
        Some(code) if *code == SqlState::OUT_OF_MEMORY && said(error).contains("shared memory") => {
            let message = "PostgreSQL has no room for so many locks: raise max_locks_per_transaction, restart it, and run this again";
            Failure::config("query", message).cause(said(error))
        }
        Some(_) => Failure::failed("query", "PostgreSQL refused a statement").cause(said(error)),
        None => {
            Failure::temporary("database-lost", "the session with PostgreSQL broke off").cause(said(error))
        }
    }
}

/// What the server said, or what happened on the way.
pub fn said(error: &tokio_postgres::Error) -> String {
    match (error.as_db_error(), std::error::Error::source(error)) {
        (Some(db), _) => format!("{} ({})", db.message(), db.code().code()),
        (None, Some(source)) => format!("{error}: {source}"),
        (None, None) => error.to_string(),
    }
}

/// Whether it was TLS that kept us out.
pub fn distrusted(error: &tokio_postgres::Error) -> bool {
    let text = said(error);
    ["certificate", "TLS", "tls", "InvalidContentType"].iter().any(|word| text.contains(word))
}
