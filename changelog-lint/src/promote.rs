//! `promote`: Unreleased becomes a version, in the file and in the document.

use changelog_lint::changelog::{Changelog, parse};
use changelog_lint::links::Scheme;
use changelog_lint::promotion::{self, Promotion};
use changelog_lint::text::Lines;
use changelog_lint::{fix, host, notes, version};
use jiff::civil::Date;
use step::{Acted, Failure, Outcome, Run};

use crate::args::Args;
use crate::file::{self, File};
use crate::git::Repository;
use crate::lint::today;

/// The step: look, change the file, and read it again.
pub fn run(args: &Args, run: &mut Run, given: Option<&str>, date: Option<Date>) -> Result<Outcome, Failure> {
    let version = wanted(run, given)?;
    let mut file = file::read(&args.file(&run.context)?)?;
    if let Some(failure) = file.not_utf8() {
        return Err(failure);
    }
    let day = date.unwrap_or_else(today);
    if day > today().tomorrow().unwrap_or(day) {
        return Err(Failure::usage("date", format!("--date: {day} has not come yet")));
    }
    match plan(run, &file, &version, day)? {
        Promotion::Done => {
            set_facts(run, &parse(&file.text), &version)?;
            Ok(Outcome::unchanged(format!("{} has {version} already", file.name)))
        }
        Promotion::Edits(edits, linked) => {
            let text = fix::apply(&file.text, &edits);
            if !linked {
                run.context.voice.warn(&format!(
                    "{version} is not linked: the file shows no comparison of two versions to follow"
                ));
            }
            change(run, &mut file, &version, day, &text)
        }
    }
}

/// The version of the command line or of the document; a word that is one.
fn wanted(run: &mut Run, given: Option<&str>) -> Result<String, Failure> {
    let known: Option<String> = run.fact("version")?;
    let missing = || Failure::usage("no-version", "which version? for example: changelog-lint promote 1.2.0");
    let version = given.map(str::to_owned).or(known.clone()).ok_or_else(missing)?;
    let bare = version.strip_prefix('v').unwrap_or(&version);
    match version::find(bare, 0) {
        Some(found) if found.at == (0..bare.len()) => {
            if let Some(right) = version::without_zeros(bare) {
                let message = format!("`{version}` has a number that begins with 0; did you mean {right}?");
                return Err(Failure::usage("version", message));
            }
            // Before anything is written: the document may be about another version.
            if known.is_some() {
                run.set("version", bare)?;
            }
            Ok(bare.to_owned())
        }
        _ => Err(Failure::usage("version", format!("`{version}` is no version; one looks like 1.2.0"))),
    }
}

fn plan(run: &Run, file: &File, version: &str, day: Date) -> Result<Promotion, Failure> {
    let log = parse(&file.text);
    let set = run.context.settings.product("repository")?.and_then(|address| host::web(&address));
    let own = Scheme::of(&log, None, None);
    let scheme = own.or_else(|| {
        let repository = Repository::of(&run.context, &file.path);
        let address = set.or_else(|| repository.address());
        Scheme::of(&log, address.as_deref(), repository.known_tags().as_deref())
    });
    promotion::promote(&log, version, &day.to_string(), scheme.as_ref()).map_err(|refusal| {
        let place = file.place(&Lines::of(&file.text), refusal.at.start);
        Failure::refused(refusal.reason, format!("{place}: {}", refusal.message)).cause(refusal.help)
    })
}

/// Writes the file if that is allowed, and the facts.
fn change(run: &mut Run, file: &mut File, version: &str, day: Date, text: &str) -> Result<Outcome, Failure> {
    let name = file.name.clone();
    let found = |text: &str| {
        let log = parse(text);
        let ours = log.releases().find(|s| version::same(s.name(), version));
        let dated = ours.filter(|s| s.date.clone().is_none_or(|d| text[d] == day.to_string()));
        // It is also what the next run would open.
        let newest =
            notes::newest(&log).filter(|newest| dated.is_some_and(|ours| ours.heading == newest.heading));
        newest.map(|_| ()).ok_or_else(|| {
            let message = format!("{version} would not be the newest release of {name} afterwards");
            let help = "write its heading by hand, above the other releases";
            Failure::refused("not-promoted", message).cause(help)
        })
    };
    // Before anything is written: what is about to be written says what it should.
    found(text)?;
    let Some(permit) = run.context.permit() else {
        run.context.voice.block(&fix::diff(&file.name, &file.text, text));
        set_facts(run, &parse(text), version)?;
        return Ok(Outcome::planned(format!(
            "would make Unreleased of {} {version}, dated {day}",
            file.name
        )));
    };
    run.context.checkpoint()?;
    file.write(text, &permit)?;
    set_facts(run, &parse(text), version).map_err(|failure| failure.acted(Acted::Yes))?;
    Ok(Outcome::changed(format!("Unreleased of {} is now {version}, dated {day}", file.name)))
}

fn set_facts(run: &mut Run, log: &Changelog, version: &str) -> Result<(), Failure> {
    run.set("version", version)?;
    let Ok((section, _)) = notes::find(log, version) else { return Ok(()) };
    let notes = notes::limited(log, section);
    run.set("notes", &notes.text)?;
    if notes.cut {
        run.set("notes_cut", true)?;
    }
    Ok(())
}
