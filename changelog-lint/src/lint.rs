//! The lint as a step and as a report: read, repair if asked, look, say, and hand the version's notes on.

use changelog_lint::changelog::{Changelog, Section, parse};
use changelog_lint::finding::{Finding, Level};
use changelog_lint::notes::{self, Source};
use changelog_lint::report::{self, Subject};
use changelog_lint::rules::Options;
use changelog_lint::text::Lines;
use changelog_lint::{findings, fix, show};
use step::{Answer, Context, Failure, Outcome, Procedure, Run, Voice};

use crate::args::Args;
use crate::file::{self, File};
use crate::git::Repository;
use crate::plan;

/// More are counted, not shown; a report has all.
const SHOWN: usize = 200;
/// How many go into the document.
const LISTED: usize = 20;

/// Today, UTC.
pub fn today() -> jiff::civil::Date {
    jiff::tz::Offset::UTC.to_datetime(jiff::Timestamp::now()).date()
}

/// What is asked of the rules, with what git has to say.
fn options(args: &Args, context: &Context, file: &File) -> Result<Options, Failure> {
    let mut options = args.options(context, &file.path, today())?;
    options.not_utf8 = file.not_utf8;
    context.checkpoint()?;
    let repository = Repository::of(context, &file.path);
    if let Some(reference) = &args.lint.base {
        options.base = Some(repository.at_merge_base(reference)?);
    }
    if args.lint.tags {
        options.tags = Some(repository.tags()?);
    }
    if (args.lint.fix || args.lint.diff) && options.repository.is_none() {
        options.repository = repository.address();
    }
    Ok(options)
}

/// The step.
pub fn run(args: &Args, run: &mut Run) -> Result<Outcome, Failure> {
    args.reports()?;
    let mut file = file::read(&args.file(&run.context)?)?;
    let mut options = options(args, &run.context, &file)?;
    let wanted: Option<String> = run.fact("version")?;
    let fixed = if args.lint.fix { repair(args, run, &mut file, &options)? } else { 0 };
    let log = parse(&file.text);
    options.release = released(&log, wanted.as_deref());
    options.promised = run.document.procedure() != Procedure::Manual;
    let findings = findings::of(&log, &options);
    let lines = Lines::of(&file.text);
    say(&run.context.voice, &file, &lines, &findings);
    write_reports(args, &run.context, &subject(&file, &log, &lines, &findings))?;
    let changed = |failure: Failure| if fixed > 0 { failure.acted(step::Acted::Yes) } else { failure };
    let verdict = Verdict {
        args,
        file: &file,
        lines: &lines,
        log: &log,
        findings: &findings,
        options: &options,
        wanted: wanted.as_deref(),
    };
    let section = verdict.section(run).map_err(changed)?;
    let outcome = match section {
        Some((section, source)) => hand_on(run, &verdict, section, source)?,
        None => Outcome::unchanged(format!("{} has no version yet", file.name)),
    };
    let count = |level| findings.iter().filter(|f| f.level == level).count();
    let outcome = outcome.output("errors", count(Level::Error)).output("warnings", count(Level::Warning));
    Ok(if fixed > 0 { outcome.status(step::Status::Changed).output("fixed", fixed) } else { outcome })
}

/// The section of a version, for rules that look at the released one more closely.
fn released(log: &Changelog, wanted: Option<&str>) -> Option<String> {
    notes::find(log, wanted?).ok().map(|(section, _)| section.name().to_owned())
}

/// Repairs the file; in plan mode shows what would be changed.
fn repair(args: &Args, run: &Run, file: &mut File, options: &Options) -> Result<usize, Failure> {
    if let Some(failure) = file.not_utf8() {
        return Err(failure);
    }
    let fixed = fix::fix(&file.text, options, args.lint.also_unsafe);
    if fixed.count == 0 {
        return Ok(0);
    }
    let many = if fixed.count == 1 { "finding" } else { "findings" };
    match run.permit() {
        Some(permit) => {
            file.write(&fixed.text, &permit)?;
            run.context.voice.say(&format!("repaired {} {many} in {}", fixed.count, file.name));
            Ok(fixed.count)
        }
        None => {
            run.context.voice.say(&format!("would repair {} {many} in {}", fixed.count, file.name));
            run.context.voice.block(&fix::diff(&file.name, &file.text, &fixed.text));
            Ok(0)
        }
    }
}

/// Shows findings to people.
fn say(voice: &Voice, file: &File, lines: &Lines, findings: &[Finding]) {
    if voice.is_quiet() {
        return;
    }
    for finding in findings.iter().take(SHOWN) {
        voice.block(&show::show(finding, &file.name, &file.text, lines, voice.colour()));
    }
    if findings.len() > SHOWN {
        voice.warn(&format!("{} more findings; --report json has all", findings.len() - SHOWN));
    }
}

fn subject<'a>(file: &'a File, log: &'a Changelog, lines: &'a Lines, findings: &'a [Finding]) -> Subject<'a> {
    let newest = notes::newest(log).map(Section::name);
    Subject { path: &file.in_repository, newest, text: &file.text, lines, findings }
}

fn write_reports(args: &Args, context: &Context, subject: &Subject) -> Result<(), Failure> {
    for report in &args.lint.report {
        let Some(path) = &report.path else { continue };
        match context.permit() {
            Some(permit) => {
                file::write_report(path, report.format, &report::write(report.format, subject), &permit)?;
            }
            None => {
                let (name, path) = (report.format.name(), path.display());
                context.voice.say(&format!("would write the {name} report to {path}"));
            }
        }
    }
    Ok(())
}

/// What is known when it is decided whether the release can go on.
struct Verdict<'a> {
    args: &'a Args,
    file: &'a File,
    lines: &'a Lines<'a>,
    log: &'a Changelog<'a>,
    findings: &'a [Finding],
    options: &'a Options,
    wanted: Option<&'a str>,
}

impl<'a> Verdict<'a> {
    /// The section whose notes go on; none in a file without versions that nobody asked one of.
    fn section(&self, run: &Run) -> Result<Option<(&'a Section, Source)>, Failure> {
        if let Some(failure) = self.file.not_utf8() {
            return Err(failure);
        }
        let asked = self.wanted.is_some() || run.document.procedure() != Procedure::Manual;
        if !asked && self.log.releases().next().is_none() && !self.log.sections.is_empty() {
            self.clean(&run.context, None)?;
            return Ok(None);
        }
        let (section, source) =
            plan::choose(self.log, self.wanted).map_err(|refusal| self.file.refuse(self.lines, &refusal))?;
        self.clean(&run.context, self.wanted.map(|_| section.name()))?;
        if self.wanted.is_none() {
            self.newest(&run.context, section)?;
        }
        Ok(Some((section, source)))
    }

    /// Nothing above the newest release looks like a newer one, whatever the settings and the comments in the file say: it would be
    /// another version that is opened.
    fn newest(&self, context: &Context, section: &Section) -> Result<(), Failure> {
        if let Some(newer) = findings::hiding_a_newer(self.log, self.options).first() {
            let failure =
                plan::hidden(self.file.failure(self.lines, plan::reason(newer), newer), section.name());
            let same = |f: &&Finding| f.span == newer.span && f.rule.code == newer.rule.code;
            let shown = self.findings.iter().find(same).is_some_and(|f| f.level == Level::Error);
            return Err(if shown { self.once(context, failure) } else { failure });
        }
        let announced = self.log.sections.iter().take_while(|other| other.heading < section.heading);
        for other in announced.filter(|other| other.version().is_some() && !other.is_released()) {
            let (name, newest) = (other.name(), section.name());
            context
                .voice
                .say(&format!("{name} says that it is not released: the newest release is {newest}"));
        }
        Ok(())
    }

    /// Nothing stands in the way.
    fn clean(&self, context: &Context, told: Option<&str>) -> Result<(), Failure> {
        let Some(least) = self.args.fail_on(context)?.0 else { return Ok(()) };
        let found = plan::in_the_way(self.findings, told, least);
        let worst = found.iter().max_by_key(|f| (f.level, std::cmp::Reverse(f.span.start)));
        let Some(first) = worst else { return Ok(()) };
        let mut failure = self.file.failure(self.lines, plan::reason(first), first);
        if found.len() > 1 {
            failure.message = format!("{} (and {} more)", failure.message, found.len() - 1);
        }
        let short: Vec<String> =
            found.iter().take(LISTED).map(|f| show::short(f, &self.file.name, self.lines)).collect();
        let failure = failure.output("findings", found.len()).output("diagnostics", short);
        Err(self.once(context, failure))
    }

    /// What was shown among the findings is not said again.
    fn once(&self, context: &Context, failure: Failure) -> Failure {
        if context.voice.is_quiet() || self.findings.len() > SHOWN {
            return failure;
        }
        let count = |level, one: &str| match self.findings.iter().filter(|f| f.level == level).count() {
            0 => None,
            1 => Some(format!("1 {one}")),
            many => Some(format!("{many} {one}s")),
        };
        let counts = [count(Level::Error, "error"), count(Level::Warning, "warning")];
        let counts: Vec<String> = counts.into_iter().flatten().collect();
        context.voice.error(&format!("{} in {}", counts.join(", "), self.file.name));
        failure.already_shown()
    }
}

/// Writes the facts.
fn hand_on(run: &mut Run, verdict: &Verdict, section: &Section, source: Source) -> Result<Outcome, Failure> {
    let notes = notes::limited(verdict.log, section);
    let version = verdict.wanted.unwrap_or(section.name());
    run.set("version", version)?;
    run.set("notes", &notes.text)?;
    if notes.cut {
        run.set("notes_cut", true)?;
        run.context.voice.warn("the notes are longer than 32 KiB and were cut at an entry");
    }
    let entries = verdict.log.entries(section).count();
    let word = if entries == 1 { "entry" } else { "entries" };
    let mut summary = format!("{} describes {version} in {entries} {word}", verdict.file.name);
    if source != Source::Own {
        summary.push_str(&format!(" under {}", section.name()));
    }
    let errors = verdict.findings.iter().filter(|f| f.level == Level::Error).count();
    if errors > 0 {
        summary.push_str(&format!(
            "; {errors} error{} elsewhere in the file",
            if errors == 1 { "" } else { "s" }
        ));
    }
    let line = verdict.lines.line(verdict.log.heading(section).span.start);
    Ok(Outcome::unchanged(summary)
        .output("entries", entries)
        .output("line", line)
        .output("source", source.word()))
}

/// `--report FORMAT` on stdout.
pub fn report(args: &Args, context: &Context) -> Result<Answer, Failure> {
    args.reports()?;
    let Some(format) = args.stdout_report() else {
        return Err(Failure::bug("there is no report for stdout"));
    };
    let mut file = file::read(&args.file(context)?)?;
    let mut options = options(args, context, &file)?;
    if let Some(permit) = context.permit().filter(|_| args.lint.fix && file.not_utf8.is_none()) {
        let fixed = fix::fix(&file.text, &options, args.lint.also_unsafe);
        if fixed.count > 0 {
            file.write(&fixed.text, &permit)?;
        }
    }
    let log = parse(&file.text);
    options.release = released(&log, context.release.as_deref());
    let findings = findings::of(&log, &options);
    let lines = Lines::of(&file.text);
    let subject = subject(&file, &log, &lines, &findings);
    write_reports(args, context, &subject)?;
    let text = report::write(format, &subject);
    let value = serde_json::from_str(&text).unwrap_or_else(|_| serde_json::Value::String(text.clone()));
    let answer = Answer::new(text, value);
    let verdict = Verdict {
        args,
        file: &file,
        lines: &lines,
        log: &log,
        findings: &findings,
        options: &options,
        wanted: context.release.as_deref(),
    };
    let told = match &context.release {
        Some(version) => match plan::choose(&log, Some(version)) {
            Ok((section, _)) => Some(section.name()),
            Err(refusal) => return Ok(answer.but(file.refuse(&lines, &refusal))),
        },
        None => None,
    };
    match verdict.clean(context, told) {
        Ok(()) => Ok(answer),
        Err(failure) => Ok(answer.but(failure)),
    }
}

/// `--diff`.
pub fn diff(args: &Args, context: &Context) -> Result<Answer, Failure> {
    let file = file::read(&args.file(context)?)?;
    if let Some(failure) = file.not_utf8() {
        return Err(failure);
    }
    let options = options(args, context, &file)?;
    let fixed = fix::fix(&file.text, &options, args.lint.also_unsafe);
    let text = fix::diff(&file.name, &file.text, &fixed.text);
    let answer = Answer::new(text.clone(), serde_json::json!({ "fixes": fixed.count, "diff": text }));
    if fixed.count == 0 {
        return Ok(answer);
    }
    let many = if fixed.count == 1 { "finding" } else { "findings" };
    let also = args.lint.also_unsafe.then_some("--unsafe");
    let next = ["changelog-lint", "--fix"].into_iter().chain(also).chain([file.name.as_str()]);
    let message = format!("{} {many} of {} can be repaired", fixed.count, file.name);
    Ok(answer.but(Failure::refused("fixable", message).command(next)))
}
