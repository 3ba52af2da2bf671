//! Manual pages and completions, made of the same command line that is parsed. `make install` puts what each installed
//! program prints where man and the shells look.

use std::ffi::OsString;
use std::io::{Error, Write};

use clap::{Command, ValueEnum};
use clap_complete::Shell;
use clap_mangen::Man;

/// The page that these words ask for: `--man`, or `--completions` with bash, elvish, fish, powershell or zsh.
pub(crate) fn page(mut command: Command, words: impl Iterator<Item = OsString>) -> Option<Vec<u8>> {
    let words: Vec<String> = words.map(|word| word.to_string_lossy().into_owned()).collect();
    let mut page = Vec::new();
    match words.as_slice() {
        [flag] if flag == "--man" => manual(command, &mut page).ok()?,
        [flag, shell] if flag == "--completions" => {
            let name = command.get_name().to_owned();
            clap_complete::generate(Shell::from_str(shell, false).ok()?, &mut command, name, &mut page);
        }
        _ => return None,
    }
    Some(page)
}

/// One page for the program and all that it can be told to do: who reads it at 3 am looks in one place.
fn manual(mut command: Command, page: &mut Vec<u8>) -> Result<(), Error> {
    command.build();
    let common: Vec<String> = command
        .get_arguments()
        .filter(|arg| arg.is_global_set())
        .map(|arg| arg.get_id().to_string())
        .collect();
    let man = Man::new(command.clone());
    man.render_title(page)?;
    man.render_name_section(page)?;
    man.render_synopsis_section(page)?;
    examples(&command, page)?;
    man.render_options_section(page)?;
    for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
        subcommand(&command, sub.clone(), &common, page)?;
    }
    let exit = command
        .get_after_help()
        .map(|text| text.to_string().replace("Exit codes:\n", ""))
        .unwrap_or_default();
    writeln!(page, ".SH \"EXIT STATUS\"\n.nf\n{}\n.fi", exit.replace('-', "\\-"))
}

/// The examples that open `--help`, word for word.
fn examples(command: &Command, page: &mut Vec<u8>) -> Result<(), Error> {
    let Some(text) = command.get_before_help() else { return Ok(()) };
    let text = text.to_string().replace("Examples:\n", "").replace('\\', "\\\\").replace('-', "\\-");
    writeln!(page, ".SH EXAMPLES\n.nf\n{}\n.fi", text.trim_end())
}

/// A section for a subcommand: how it is called, what it does, and its own options. Those of every step stand above.
fn subcommand(program: &Command, sub: Command, common: &[String], page: &mut Vec<u8>) -> Result<(), Error> {
    writeln!(page, ".SH \"{} {}\"", program.get_name(), sub.get_name())?;
    let sub = sub.mut_args(|arg| {
        let shared = common.iter().any(|id| arg.get_id() == id.as_str()) || arg.get_id() == "help";
        if shared { arg.hide(true) } else { arg }
    });
    let about = sub.get_long_about().or(sub.get_about()).map(ToString::to_string).unwrap_or_default();
    writeln!(page, "{}\n.PP", about.replace('-', "\\-"))?;
    let man = Man::new(sub.clone());
    let mut section = Vec::new();
    man.render_synopsis_section(&mut section)?;
    if sub.get_arguments().any(|arg| !arg.is_hide_set()) {
        man.render_options_section(&mut section)?;
    }
    // What a page has as sections, a section has as headings.
    let section = String::from_utf8_lossy(&section)
        .replace(".ie \\n(.g .ds Aq \\(aq\n.el .ds Aq '\n", "")
        .replace(".SH ", ".SS ");
    page.write_all(section.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{Arg, arg};

    #[test]
    fn a_page_has_every_subcommand_with_its_own_options_and_the_exit_codes() {
        let sub = Command::new("restore")
            .about("Bring it back")
            .arg(Arg::new("snapshot").long("snapshot").help("This one"));
        let command = Command::new("tool")
            .about("Does it")
            .arg(arg!(--env <NAME> "Where").global(true))
            .subcommand(sub);
        let command =
            command.before_help("Examples:\n  tool restore --env x").after_help("Exit codes:\n    0  done");
        let page = page(command, ["--man".into()].into_iter()).expect("a page");
        let page = String::from_utf8(page).expect("text").replace('\\', "");
        for part in [
            ".SH EXAMPLES",
            "  tool restore --env x",
            ".SH \"tool restore\"",
            "Bring it back",
            "--snapshot",
            "This one",
            "EXIT STATUS",
            "    0  done",
        ] {
            assert!(page.contains(part), "{part}: {page}");
        }
        assert_eq!(page.matches("Where").count(), 1, "what every step has is said once: {page}");
    }
}
