//! Breaks the heading of the newest release of a changelog, as people break them; the file's own manner stays what it is.

use changelog_lint::changelog::parse;
use changelog_lint::findings;
use changelog_lint::notes;
use changelog_lint::rules::Options;

/// How a heading is broken: a name, and what becomes of its hashes, its words, and the version in them.
type Way = (&'static str, fn(&str, &str, &str) -> String);

/// The ways.
pub const WAYS: &[Way] = &[
    ("no space", |hashes, words, _| format!("{hashes}{words}")),
    ("deeper", |hashes, words, _| format!("#{hashes} {words}")),
    ("two deeper", |hashes, words, _| format!("##{hashes} {words}")),
    ("bold", |_, words, _| format!("**{words}**")),
    ("plain", |_, words, _| words.to_owned()),
    ("quote", |hashes, words, _| format!("> {hashes} {words}")),
    ("list", |hashes, words, _| format!("- {hashes} {words}")),
    ("h2", |_, words, _| format!("<h2>{words}</h2>")),
    ("backslash", |hashes, words, _| format!("\\{hashes} {words}")),
    ("x behind", |hashes, words, version| {
        format!("{hashes} {}", words.replacen(version, &format!("{version}x"), 1))
    }),
    ("spaced dots", |hashes, words, version| {
        format!("{hashes} {}", words.replacen(version, &version.replace('.', " . "), 1))
    }),
    ("underscores", |hashes, words, version| {
        format!("{hashes} {}", words.replacen(version, &version.replace('.', "_"), 1))
    }),
    ("nbsp", |hashes, words, _| format!("{hashes}&nbsp;{words}")),
    ("code span", |_, words, _| format!("`{}`", words.replace('`', ""))),
    ("bullet", |_, words, _| format!("• {words}")),
];

/// The changelog broken in one way, with the line, 0-based; `None` where the newest heading is none of one line with hashes.
pub fn broken(text: &str, way: &Way) -> Option<(String, String)> {
    let log = parse(text);
    let newest = notes::newest(&log)
        .filter(|newest| log.releases().next().is_some_and(|one| one.heading == newest.heading))?;
    let span = log.line_of(&log.heading(newest).span);
    let line = &text[span.clone()];
    let words = line.trim_start_matches('#');
    let hashes = &line[..line.len() - words.len()];
    let written = &text[log.at(newest)];
    if hashes.is_empty()
        || line.contains('\n')
        || ["x behind", "spaced dots", "underscores"].contains(&way.0) && !written.contains('.')
    {
        return None;
    }
    let line = (way.1)(hashes, words.trim().trim_end_matches('#').trim(), written);
    Some((format!("{}\n{line}\n{}", &text[..span.start], &text[span.end..]), line))
}

/// What would be opened of a broken changelog though another version was the newest: the version, if it is an older one.
pub fn opens_older(text: &str, way: &Way) -> Option<(String, String)> {
    let (after, line) = broken(text, way)?;
    let log = parse(text);
    let was = notes::newest(&log)?.name().to_owned();
    let now = parse(&after);
    let newest = notes::newest(&now)?.name().to_owned();
    let options = Options::on(jiff::civil::date(2026, 11, 25));
    let told = !findings::hiding_a_newer(&now, &options).is_empty();
    (!told && newest != was).then(|| {
        let story = format!("{}: `{line}` opens {newest} instead of {was}", way.0);
        (newest, story)
    })
}
