//! COPY in a session: rows into a table of ours, and what a superuser reads without planning a question.

use std::pin::pin;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use step::{Failure, Permit};

use super::Session;
use super::session::flat;
use super::sql::{self, Sql};

/// How much of a COPY is sent at once.
const CHUNK: usize = 64 << 10;

impl Session<'_> {
    /// Sends the lines of a COPY.
    pub fn copy_in(
        &mut self,
        _permit: &Permit,
        sql: &Sql,
        lines: &mut dyn FnMut() -> Result<Option<Vec<u8>>, Failure>,
    ) -> Result<(), Failure> {
        self.prove()?;
        let (client, runtime, watch) = self.parts()?;
        watch.context.voice.detail(&flat(sql.as_str()));
        let sink = watch.wait(runtime, client.copy_in::<_, Bytes>(sql.as_str()))?;
        let mut sink = pin!(sink);
        let mut more = true;
        while more {
            let mut chunk = Vec::with_capacity(CHUNK + 4096);
            while chunk.len() < CHUNK && more {
                match lines()? {
                    Some(line) => chunk.extend_from_slice(&line),
                    None => more = false,
                }
            }
            watch.wait(runtime, sink.as_mut().send(Bytes::from(chunk)))?;
        }
        watch.wait(runtime, sink.finish()).map(|_| ())
    }

    /// Columns of a table of the server's own types, as texts, its children left out: PostgreSQL copies them out of the table's pages and plans no
    /// question, so nothing that its owner has written is run. A table of more than 16 MiB of them is none that we read.
    pub fn copied(&mut self, table: &str, columns: &[&str]) -> Result<Vec<Vec<Option<String>>>, Failure> {
        const MOST: usize = 16 << 20;
        self.prove()?;
        let (client, runtime, watch) = self.parts()?;
        let columns = sql::join(columns.iter().map(|column| sql::given(column)), ", ");
        let copy = sql::fill("copy {} ({}) to stdout", &[sql::given(table), columns]);
        watch.context.voice.detail(&flat(copy.as_str()));
        let mut all = Vec::new();
        let mut stream = pin!(watch.wait(runtime, client.copy_out(copy.as_str()))?);
        while let Some(chunk) = watch.wait(runtime, async { stream.next().await.transpose() })? {
            all.extend_from_slice(&chunk);
            if all.len() > MOST {
                return Err(Failure::refused(
                    "too-large",
                    format!("{table} holds more than can be read of it"),
                ));
            }
        }
        Ok(String::from_utf8_lossy(&all)
            .lines()
            .map(|line| line.split('\t').map(uncopied).collect())
            .collect())
    }
}

/// A value as COPY writes it: `\\N` for null, a backslash before what would end it.
fn uncopied(written: &str) -> Option<String> {
    if written == "\\N" {
        return None;
    }
    let mut text = String::with_capacity(written.len());
    let mut rest = written.chars();
    while let Some(c) = rest.next() {
        match (c, if c == '\\' { rest.next() } else { None }) {
            (_, Some('t')) => text.push('\t'),
            (_, Some('n')) => text.push('\n'),
            (_, Some('r')) => text.push('\r'),
            (_, Some('b')) => text.push('\u{8}'),
            (_, Some('f')) => text.push('\u{c}'),
            (_, Some('v')) => text.push('\u{b}'),
            (_, Some(other)) => text.push(other),
            (plain, None) => text.push(plain),
        }
    }
    Some(text)
}
