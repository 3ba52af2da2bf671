//! A dump that is restored, with the program that can read it.

use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;

use step::{Context, Failure};

use super::plain;
use super::script::{Piece, Script, Statement};
use crate::settings::Settings;
use crate::tools::{Job, Tool};

/// A dump and who can read it.
#[derive(Clone, Debug)]
pub struct Dump {
    pub path: PathBuf,
    pub form: &'static str,
    pub tool: Tool,
    /// Whether several tables can be restored at once.
    pub parallel: bool,
    /// Whether pg_restore's one harmless complaint is none.
    pub lenient: bool,
    /// Whether others have made it, perhaps without owners and rights.
    pub foreign: bool,
}

impl Dump {
    /// The same, of which one thing is restored after the other.
    pub fn one_by_one(&self) -> Self {
        Dump { parallel: false, ..self.clone() }
    }

    /// What pg_restore writes into a file when it is told so, such as a part of the archive as SQL.
    pub fn written(
        &self,
        context: &Context,
        settings: &Settings,
        doing: &str,
        args: &[&str],
    ) -> Result<BufReader<File>, Failure> {
        let unusable = |e: std::io::Error| {
            Failure::temporary("temporary", format!("no temporary file can be used: {e}"))
        };
        let file = tempfile::NamedTempFile::new().map_err(unusable)?;
        let (to, path) = (format!("--file={}", file.path().display()), self.path.display().to_string());
        Job::new(context, settings, &self.tool.path, doing).run(&[args, &[&to, &path]].concat())?;
        Ok(BufReader::new(file.reopen().map_err(unusable)?))
    }

    /// Calls `each` with every statement of its schema.
    pub fn statements(
        &self,
        context: &Context,
        settings: &Settings,
        each: &mut dyn FnMut(&Statement),
    ) -> Result<(), Failure> {
        let wrong = |why: String| Failure::refused("corrupt", format!("{}: {why}", self.path.display()));
        if self.form == "plain" {
            return plain::statements(&self.path, each).map(|_| ()).map_err(wrong);
        }
        let mut script =
            Script::new(self.written(context, settings, "reading the schema", &["--schema-only"])?);
        while let Some(piece) = script.next().map_err(wrong)? {
            if let Piece::Statement(statement) = piece {
                each(&statement);
            }
        }
        Ok(())
    }
}
