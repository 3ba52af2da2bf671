//! The command line. The step has no settings of its own: the file is `[product] changelog`.

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use step::{Common, Context, Failure};

/// The command line.
#[derive(Debug, Parser)]
#[command(version, about, args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The changelog; without it `[product] changelog` of release.toml, else CHANGELOG.md
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    #[command(flatten)]
    pub common: Common,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Print the notes of a version as plain text
    Notes {
        /// The version, such as 1.2.0
        version: String,
        /// The changelog
        file: Option<PathBuf>,
    },
}

impl Args {
    /// The changelog to read: as given, from the working directory; as set, from the folder of release.toml.
    pub fn file(&self, context: &Context) -> Result<PathBuf, Failure> {
        let given = match &self.command {
            Some(Command::Notes { file, .. }) => file,
            None => &self.file,
        };
        if let Some(path) = given {
            return Ok(path.clone());
        }
        let set = context.settings.product("changelog")?;
        let path = set.unwrap_or_else(|| "CHANGELOG.md".to_owned());
        let folder = context.settings.folder();
        Ok(if folder.as_os_str() == "." { path.into() } else { folder.join(path) })
    }
}
