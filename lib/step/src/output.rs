//! What goes out at the end: the answer or the document on stdout, once, and the failure on stderr.

use std::io::{IsTerminal, Write};

use crate::exit::Exit;
use crate::redact::{redact_value, scrub};
use crate::{Answer, Document, Failure, Voice};

/// Says a failure on stderr; returns its exit code.
pub(crate) fn complain(voice: &Voice, failure: &Failure) -> u8 {
    if !failure.shown {
        voice.error(&scrub(&failure.message));
        for cause in scrub(&failure.causes.join("\n")).lines() {
            voice.error(&format!("  {cause}"));
        }
    }
    match failure.acted {
        crate::Acted::Yes => voice.error("something has been changed before this failed"),
        crate::Acted::Unknown => {
            voice.error("it is not known whether something has been changed: look first");
        }
        crate::Acted::No => {}
    }
    if let Some(next) = &failure.next {
        voice.error(&format!("next: {next}"));
    }
    failure.exit_code()
}

pub(crate) fn show(voice: &Voice, answer: Answer, as_json: bool) -> u8 {
    let Answer { text, mut value, failure, code } = answer;
    if let Some(code) = code {
        return code;
    }
    redact_value(&mut value);
    let shown =
        if as_json { format!("{value:#}\n") } else { format!("{}\n", crate::redact(text.trim_end())) };
    match write_out(shown.as_bytes()) {
        // Whoever asked has heard enough (`| head`), which is nothing to complain about.
        Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe && failure.is_none() => {}
        Err(_) => return voice.fatal("the answer could not be written", Exit::NotWritten.code()),
        Ok(()) => {}
    }
    failure.map_or(0, |failure| complain(voice, &failure))
}

/// Writes the bytes that came, unchanged.
pub(crate) fn hand_on(voice: &Voice, bytes: &[u8], code: u8) -> u8 {
    if std::io::stdout().is_terminal() || write_out(bytes).is_ok() {
        code
    } else {
        voice.fatal("the document could not be written", Exit::NotWritten.code())
    }
}

/// One write and one flush, at the end. On a terminal the person has read the summary, and `as_json` asks for more.
pub(crate) fn write_document(voice: &Voice, document: Document, as_json: bool, code: u8) -> u8 {
    let terminal = std::io::stdout().is_terminal();
    if terminal && !as_json {
        return code;
    }
    let mut value = document.into_value();
    if redact_value(&mut value) {
        voice.warn("a secret stood in the document and was replaced by [redacted]");
    }
    let text = if terminal { format!("{value:#}\n") } else { format!("{value}\n") };
    if write_out(text.as_bytes()).is_ok() {
        code
    } else {
        voice.fatal(
            "the document could not be written: look at the target before running again",
            Exit::NotWritten.code(),
        )
    }
}

pub(crate) fn write_out(bytes: &[u8]) -> std::io::Result<()> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(bytes)?;
    stdout.flush()
}

impl Voice {
    /// Says why nothing more can be done; returns the code to exit with.
    pub(crate) fn fatal(&self, sentence: &str, code: u8) -> u8 {
        self.error(sentence);
        code
    }
}
