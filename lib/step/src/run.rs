//! A step at work: its surroundings and the document that it reads facts from and writes facts to.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Context, Document, Failure, Permit};

/// One run of one step.
#[derive(Debug)]
pub struct Run {
    /// Settings, voice, deadline.
    pub context: Context,
    /// The document as it was read or opened, with what this step adds.
    pub document: Document,
    pub(crate) planned: Vec<String>,
}

impl Run {
    /// Leave to change the outside world; `None` in plan mode.
    pub fn permit(&self) -> Option<Permit> {
        self.context.permit()
    }

    /// A fact, if it is there.
    ///
    /// # Errors
    /// `refused`, `fact-malformed` when it has another shape than it should.
    pub fn fact<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, Failure> {
        let Some(value) = self.document.facts().get(name) else { return Ok(None) };
        let malformed = |_| {
            let shown = crate::excerpt(&value.to_string(), 120);
            let message = format!(
                "the document's fact `{name}` does not have the shape that docs/document.md gives it: {shown}"
            );
            Failure::refused("fact-malformed", message)
        };
        serde_json::from_value(value.clone()).map(Some).map_err(malformed)
    }

    /// A fact that must be there; `remedy` says who writes it, or which flag does.
    ///
    /// # Errors
    /// `refused`: `fact-missing`, or `fact-malformed`.
    pub fn need<T: DeserializeOwned>(&self, name: &str, remedy: &str) -> Result<T, Failure> {
        let missing = || Failure::refused("fact-missing", format!("the document has no `{name}`: {remedy}"));
        self.fact(name)?.ok_or_else(missing)
    }

    /// Writes a fact once. In plan mode it is also named among the planned ones.
    ///
    /// # Errors
    /// `refused`, `fact-conflict` when it is there already with another value.
    pub fn set(&mut self, name: &str, value: impl Serialize) -> Result<(), Failure> {
        let value = serde_json::to_value(value).map_err(|e| Failure::bug(format!("fact {name}: {e}")))?;
        let new = !self.document.facts().contains_key(name);
        self.document.set(name, value)?;
        if new && self.context.plan {
            self.planned.push(name.to_owned());
        }
        Ok(())
    }

    /// Whether a fact only says what a planned step would have made: the outside cannot be asked for it.
    pub fn is_planned(&self, name: &str) -> bool {
        self.document.is_planned(name)
    }
}
