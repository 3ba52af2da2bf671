//! Settings of another file than that of the working directory, such as the one of a commit.

use std::path::Path;

use super::check::Check;
use super::file::File;
use super::{Care, Settings};
use crate::Failure;

impl Settings {
    /// What another file, such as that of a commit, says of the same step and environment. Nothing lies over it: whoever reads it wants what
    /// is written there. What is wrong in it is put up with ([`Settings::trouble`]): another version may know it.
    ///
    /// # Errors
    /// `config`, `settings`, when it is no TOML; `place` names it for people.
    pub fn beside(&self, place: &Path, text: String) -> Result<Self, Failure> {
        let file = File::parse(place, text)?;
        let (settings, environment) = (self.declared, self.environment.as_deref());
        let trouble = Check { step: self.step, settings, file: &file, care: Care::Environment, environment }
            .run()
            .err();
        Ok(Settings { file: Some(file), trouble, by_variables: false, ..self.clone() })
    }

    /// The file, if there is one.
    pub fn path(&self) -> Option<&Path> {
        self.file.as_ref().map(|file| file.path.as_path())
    }
}
