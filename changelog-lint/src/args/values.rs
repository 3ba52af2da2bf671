//! Values of options that completions and manual pages list, and that are read by rules of their own.

use std::ffi::OsStr;
use std::path::PathBuf;

use changelog_lint::report::Format;
use changelog_lint::rules::RULES;
use clap::builder::{PossibleValue, TypedValueParser};
use clap::error::ErrorKind;
use clap::{Arg, Command, Error};

use super::Report;

fn text(command: &Command, value: &OsStr) -> Result<String, Error> {
    let utf8 = |_: ()| Error::raw(ErrorKind::InvalidUtf8, "the value is not UTF-8\n").with_cmd(command);
    value.to_str().map(str::to_owned).ok_or(()).map_err(utf8)
}

/// A rule's code or name. A wrong one is answered where the settings' are, with the one that was probably meant.
#[derive(Clone, Copy, Debug)]
pub struct Rules;

impl TypedValueParser for Rules {
    type Value = String;

    fn parse_ref(&self, command: &Command, _: Option<&Arg>, value: &OsStr) -> Result<String, Error> {
        text(command, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        let of_rule = |name: &'static str, help: &'static str| PossibleValue::new(name).help(help);
        let names = RULES.iter().map(move |rule| of_rule(rule.name, rule.summary));
        Some(Box::new(names.chain(RULES.iter().map(move |rule| of_rule(rule.code, rule.summary)))))
    }
}

/// A day, as every date of a changelog is written.
pub fn day(text: &str) -> Result<jiff::civil::Date, String> {
    let shaped =
        text.len() == 10 && changelog_lint::date::shape(text) == Some(10) && text.as_bytes()[4] == b'-';
    let day = text.parse().ok().filter(|_| shaped);
    let why = if shaped { "there is no such day" } else { "write it as YYYY-MM-DD, such as 2025-10-14" };
    day.ok_or_else(|| why.to_owned())
}

/// `FORMAT` or `FORMAT=PATH`.
#[derive(Clone, Copy, Debug)]
pub struct Reports;

impl TypedValueParser for Reports {
    type Value = Report;

    fn parse_ref(&self, command: &Command, _: Option<&Arg>, value: &OsStr) -> Result<Report, Error> {
        let value = text(command, value)?;
        report(&value).map_err(|why| {
            let message = format!("--report: {why}\n");
            Error::raw(ErrorKind::ValueValidation, message).with_cmd(command)
        })
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(Format::NAMES.iter().map(|(name, _)| PossibleValue::new(*name))))
    }
}

fn report(text: &str) -> Result<Report, String> {
    let (name, path) = text.split_once('=').map_or((text, None), |(name, path)| (name, Some(path)));
    let format = Format::named(name)
        .ok_or("a report is json, sarif, github or gitlab, with =PATH behind it for a file")?;
    match path {
        Some("") => Err(format!("no file behind `{name}=`")),
        path => Ok(Report { format, path: path.map(PathBuf::from) }),
    }
}
