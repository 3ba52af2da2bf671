//! Manual pages and completions, made of the same command line that is parsed. They are files that are installed beside the programs;
//! what makes them (the feature `manual`: an eighth of a small program) is left out of the programs that are used.

use std::ffi::OsString;

use clap::{Command, ValueEnum};
use clap_complete::Shell;

/// The page that these words ask for: `--man`, or `--completions` with bash, elvish, fish, powershell or zsh.
pub(crate) fn page(mut command: Command, words: impl Iterator<Item = OsString>) -> Option<Vec<u8>> {
    let words: Vec<String> = words.map(|word| word.to_string_lossy().into_owned()).collect();
    let mut page = Vec::new();
    match words.as_slice() {
        [flag] if flag == "--man" => clap_mangen::Man::new(command).render(&mut page).ok()?,
        [flag, shell] if flag == "--completions" => {
            let name = command.get_name().to_owned();
            clap_complete::generate(Shell::from_str(shell, false).ok()?, &mut command, name, &mut page);
        }
        _ => return None,
    }
    Some(page)
}
