//! Messages by templates: built in, and a team's own over them. A team's template that is broken is named with its line, and the
//! built-in one is used: an incident's message must not die of it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Kwargs, Serde, Value};
use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior, filters, tests as questions};

use super::story::Story;
use super::words::Words;
use super::{html, markup};

/// The templates that are built in.
pub const BUILT_IN: &[(&str, &str)] = &[
    ("layout.html", include_str!("../../templates/layout.html")),
    ("changes.html", include_str!("../../templates/changes.html")),
    ("data.html", include_str!("../../templates/data.html")),
    ("error.html", include_str!("../../templates/error.html")),
    ("way_back.html", include_str!("../../templates/way_back.html")),
    ("release_ok.html", include_str!("../../templates/release_ok.html")),
    ("release_failed.html", include_str!("../../templates/release_failed.html")),
    ("candidate_ok.html", include_str!("../../templates/candidate_ok.html")),
    ("candidate_failed.html", include_str!("../../templates/candidate_failed.html")),
    ("rollback_ok.html", include_str!("../../templates/rollback_ok.html")),
    ("rollback_failed.html", include_str!("../../templates/rollback_failed.html")),
    ("rehearsal_ok.html", include_str!("../../templates/rehearsal_ok.html")),
    ("manual_ok.html", include_str!("../../templates/manual_ok.html")),
];
/// A template gets so far and no further: an endless loop ends here.
const FUEL: u64 = 200_000;

/// Templates and words of one language.
pub struct Layout {
    words: Arc<Words>,
    own: Option<PathBuf>,
    ours: Environment<'static>,
    theirs: Option<Environment<'static>>,
}

impl Layout {
    /// For a language, with a team's own templates and words from a folder over ours; complaints about them go to `warn`.
    pub fn new(language: &str, own: Option<&Path>, warn: &mut dyn FnMut(String)) -> Self {
        let built_in = Words::of(language);
        let words = match own.map(|folder| built_in.clone().with(folder, language)) {
            Some(Ok(words)) => words,
            Some(Err(why)) => {
                warn(format!("{why}; the built-in words are used"));
                built_in
            }
            None => built_in,
        };
        let words = Arc::new(words);
        let theirs = own.map(|folder| environment(&words, Some(folder.to_owned())));
        Layout { ours: environment(&words, None), words, own: own.map(Path::to_owned), theirs }
    }

    /// Its words.
    pub fn words(&self) -> &Words {
        &self.words
    }

    /// The message about a story, as Telegram's HTML.
    pub fn render(&self, story: &Story, warn: &mut dyn FnMut(String)) -> String {
        if let Some(theirs) = &self.theirs {
            match self.attempt(theirs, story) {
                Ok(html) => return html,
                Err(why) => warn(format!("{why}; the built-in template is used")),
            }
        }
        // Ours is tested; were it to break all the same, the bare facts are better than silence.
        let bare = || format!("{} <b>{}</b> {}", story.sign, markup::text(&story.build), story.event);
        self.attempt(&self.ours, story).unwrap_or_else(|_| bare())
    }

    /// Renders and looks whether Telegram would take it.
    ///
    /// # Errors
    /// A sentence that names template and line.
    pub fn attempt(&self, environment: &Environment, story: &Story) -> Result<String, String> {
        let name = self.template(story);
        let place = |name: &str, line: usize| match &self.own {
            Some(own) if own.join(name).is_file() => format!("{}:{line}", own.join(name).display()),
            _ => format!("{name}:{line}"),
        };
        let told = |e: Error| {
            let why = e.detail().map_or_else(|| e.kind().to_string(), |d| format!("{}: {d}", e.kind()));
            format!("{}: {why}", place(e.name().unwrap_or(&name), e.line().unwrap_or(1)))
        };
        let template = environment.get_template(&name).map_err(told)?;
        let (raw, spans) = template.render_with_spans(Serde(story)).map_err(told)?;
        if let Some((at, why)) = html::broken(&raw) {
            let span = spans.iter().rfind(|s| s.output_range().start <= at);
            let (name, line) =
                span.map_or((name.as_str(), 1), |s| (s.name(), s.line() + lines_between(&raw, s, at)));
            return Err(format!("{}: {why}", place(name, line)));
        }
        let html = tidy(&raw);
        if html::plain(&html).trim().is_empty() {
            return Err(format!("{}: the message is empty", place(&name, 1)));
        }
        Ok(html)
    }

    /// The team's templates, if there are any.
    pub fn theirs(&self) -> Option<&Environment<'static>> {
        self.theirs.as_ref()
    }

    /// Ours.
    pub fn ours(&self) -> &Environment<'static> {
        &self.ours
    }

    /// A procedure without a template of its own is told like a release.
    pub fn template(&self, story: &Story) -> String {
        let name = format!("{}.html", story.event);
        let own = self.own.as_ref().is_some_and(|folder| folder.join(&name).is_file());
        if own || BUILT_IN.iter().any(|(known, _)| *known == name) {
            return name;
        }
        format!("release_{}.html", if story.failed.is_some() { "failed" } else { "ok" })
    }
}

/// Text that a template says as it stands has the same line ends in the output.
fn lines_between(raw: &str, span: &minijinja::OutputSpan, at: usize) -> usize {
    match span.kind() {
        minijinja::OutputSpanKind::Raw => {
            let from = span.output_range().start;
            raw.get(from..at.min(raw.len())).map_or(0, |text| text.matches('\n').count())
        }
        _ => 0,
    }
}

/// Without spaces at line ends, without more than one empty line, without line ends just inside an element.
fn tidy(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len());
    for line in raw.lines() {
        let line = line.trim_end();
        if !(line.is_empty() && (out.is_empty() || out.ends_with("\n\n"))) {
            out.push_str(line);
            out.push('\n');
        }
    }
    out.replace("\n</blockquote>", "</blockquote>").replace("\n</pre>", "</pre>").trim_end().to_owned()
}

fn environment(words: &Arc<Words>, own: Option<PathBuf>) -> Environment<'static> {
    let mut environment = Environment::empty();
    library(&mut environment);
    if let Ok(syntax) = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build() {
        environment.set_syntax(syntax);
    }
    environment.set_fuel(Some(FUEL));
    // A field that a story does not have is a slip of the pen; one that is not known is `none`, and says nothing.
    environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
    environment.set_formatter(|out, _, value| {
        let said = if value.is_none() { String::new() } else { escaped(value) };
        out.write_str(&said).map_err(Error::from)
    });
    environment.set_loader(move |name| load(own.as_deref(), name));
    let ours = Arc::clone(words);
    environment.add_function("t", move |key: String, values: Kwargs| say(&ours, &key, &values));
    let ours = Arc::clone(words);
    environment.add_filter("duration", move |ms: u64| ours.span(ms));
    let ours = Arc::clone(words);
    environment.add_filter("instant", move |time: String, format: String| {
        Value::from_safe_string(ours.instant(&time, &format).unwrap_or_else(|| markup::text(&time)))
    });
    environment.add_filter("code", |text: String| Value::from_safe_string(markup::code(&text)));
    environment.add_filter("in_code", |text: String| {
        Value::from_safe_string(format!("<code>{}</code>", markup::code(&text)))
    });
    environment
        .add_filter("cut", |text: String, lines: usize, length: usize| markup::cut(&text, lines, length));
    environment
}

/// What a message may need of minijinja's own filters and tests. All of them would be a tenth of the program.
fn library(environment: &mut Environment<'static>) {
    environment.add_filter("capitalize", filters::capitalize);
    environment.add_filter("default", filters::default);
    environment.add_filter("join", filters::join);
    environment.add_filter("length", filters::length);
    environment.add_filter("lower", filters::lower);
    environment.add_filter("replace", |text: String, from: String, to: String| text.replace(&from, &to));
    environment.add_filter("safe", filters::safe);
    environment.add_filter("trim", filters::trim);
    environment.add_filter("upper", filters::upper);
    environment.add_test("defined", questions::is_defined);
    environment.add_test("endingwith", questions::is_endingwith);
    environment.add_test("none", questions::is_none);
    environment.add_test("startingwith", questions::is_startingwith);
}

fn load(own: Option<&Path>, name: &str) -> Result<Option<String>, Error> {
    let path = own.map(|folder| folder.join(name)).filter(|path| path.is_file());
    if let Some(path) = path {
        let failed =
            |e| Error::new(ErrorKind::InvalidOperation, format!("{} cannot be read: {e}", path.display()));
        return std::fs::read_to_string(&path).map(Some).map_err(failed);
    }
    Ok(BUILT_IN.iter().find(|(known, _)| *known == name).map(|(_, text)| (*text).to_owned()))
}

fn escaped(value: &Value) -> String {
    let said = value.to_string();
    if value.is_safe() { said } else { markup::text(&said) }
}

/// The catalogue's word, with the values made harmless.
fn say(words: &Words, key: &str, values: &Kwargs) -> Result<Value, Error> {
    let mut filled = markup::text(words.word(key));
    for name in values.args() {
        let value: Value = values.get(name)?;
        // A step's place that has no name is the beginning.
        let said = if value.is_none() { markup::text(words.word("the_beginning")) } else { escaped(&value) };
        filled = filled.replace(&format!("{{{name}}}"), &said);
    }
    Ok(Value::from_safe_string(filled))
}
