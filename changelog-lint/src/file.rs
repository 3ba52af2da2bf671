//! The file itself: read as UTF-8 or refused with the line, and shown with a caret where something is wrong.

use std::path::Path;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use step::Failure;

use crate::plan::Finding;

/// A changelog that was read.
pub struct File {
    /// The path as it was given.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// Reads a file.
pub fn read(path: &Path) -> Result<File, Failure> {
    let name = path.display().to_string();
    let bytes = std::fs::read(path).map_err(|e| {
        let message =
            format!("{name} cannot be read: {e}; name the file, or set [product] changelog in release.toml");
        Failure::refused("unreadable", message)
    })?;
    match String::from_utf8(bytes) {
        Ok(text) => Ok(File { name, text }),
        Err(error) => {
            let good = error.utf8_error().valid_up_to();
            let line = error.as_bytes()[..good].iter().filter(|b| **b == b'\n').count() + 1;
            let message =
                format!("{name}:{line}: the text is not UTF-8; convert the file, for example with iconv");
            Err(Failure::refused("not-utf8", message))
        }
    }
}

impl File {
    /// The 1-based line of a byte.
    pub fn line(&self, offset: usize) -> usize {
        self.text[..offset].matches('\n').count() + 1
    }

    /// `file:line:column`, the column in characters.
    fn place(&self, offset: usize) -> String {
        let before = &self.text[..offset];
        let start = before.rfind('\n').map_or(0, |at| at + 1);
        let column = before[start..].trim_start_matches('\u{feff}').chars().count() + 1;
        format!("{}:{}:{column}", self.name, self.line(offset))
    }

    /// The failure that a finding is.
    pub fn failure(&self, finding: &Finding) -> Failure {
        let mut failure = Failure::refused(
            finding.reason,
            format!("{}: {}", self.place(finding.at.start), finding.message),
        );
        if let Some((at, what)) = &finding.also {
            failure = failure.cause(format!("{}: {what}", self.place(at.start)));
        }
        failure.cause(&finding.help)
    }

    /// The finding with its line and a caret.
    pub fn show(&self, finding: &Finding, colour: bool) -> String {
        let level = if finding.fatal { Level::ERROR } else { Level::WARNING };
        let primary = AnnotationKind::Primary.span(finding.at.clone());
        let mut snippet = Snippet::source(&self.text).path(&self.name).annotation(primary);
        if let Some((at, what)) = &finding.also {
            snippet = snippet.annotation(AnnotationKind::Context.span(at.clone()).label(*what));
        }
        let title = level.primary_title(&finding.message).id(finding.reason);
        let group = title.element(snippet).element(Level::HELP.message(&finding.help));
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        renderer.render(&[group])
    }
}
