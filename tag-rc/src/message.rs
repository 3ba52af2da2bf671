//! What an annotated tag says: its name, the notes, and trailers that name the run and what was proven. Pure.

use std::fmt::Write;

/// The trailer that names the run.
const RUN: &str = "Rilis-Run";
/// The trailer that names the branch whose tip was tagged.
const BRANCH: &str = "Rilis-Branch";
/// The trailer of a final that names its candidate and how it came from there.
const CANDIDATE: &str = "Rilis-Candidate";
/// The trailer of a final that says why it has no candidate.
const NO_CANDIDATE: &str = "Rilis-No-Candidate";
/// The trailer of a hotfix that names the final it is built on.
const BASE: &str = "Rilis-Base";
/// The trailer of a hotfix that says why it is not built on what runs alone.
const OTHER_BASE: &str = "Rilis-Other-Base";
/// The trailer of a gate that did not say yes, who went on all the same, and why; one each.
const WAIVED: &str = "Rilis-Waived";
/// The trailer that names the head of the approvals that this release has seen: whoever rewrites them later is found out by it.
const APPROVALS: &str = "Rilis-Approvals";
/// How a signature begins, as git looks for it.
const SIGNATURES: [&str; 4] = [
    "-----BEGIN PGP SIGNATURE-----",
    "-----BEGIN PGP MESSAGE-----",
    "-----BEGIN SSH SIGNATURE-----",
    "-----BEGIN SIGNED MESSAGE-----",
];

/// The trailers of a tag.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trailers {
    /// The id of the document whose run made it.
    pub run: Option<String>,
    /// The branch.
    pub branch: Option<String>,
    /// `v1.2.0-rc3 (merge)`.
    pub candidate: Option<String>,
    /// Why there was none.
    pub no_candidate: Option<String>,
    /// `v1.2.0`, of a hotfix.
    pub base: Option<String>,
    /// Why it is not built on that alone.
    pub other_base: Option<String>,
    /// `ci (unknown), Rina <rina@luxima.id>: GitHub is down`.
    pub waived: Vec<String>,
    /// The head of the approvals.
    pub approvals: Option<String>,
}

/// The whole message, in a form that git takes as it is. A line of the notes that would begin a signature is set in: it is none.
pub fn compose(tag: &str, notes: Option<&str>, trailers: &Trailers) -> String {
    let mut text = format!("{tag}\n\n");
    let mut blank = true;
    // Notes and names are anybody's words: whoever reads the tag, reads it in a terminal.
    let notes = notes.map(|notes| step::plain(&notes.replace('\t', "    ")).into_owned());
    let notes = notes.as_deref();
    for line in notes.unwrap_or_default().trim().lines().map(str::trim_end) {
        if !(blank && line.is_empty()) {
            let inset = if begins_signature(line) { " " } else { "" };
            let _ = writeln!(text, "{inset}{line}"); // a String takes everything
        }
        blank = line.is_empty();
    }
    if notes.is_some_and(|n| !n.trim().is_empty()) {
        text.push('\n');
    }
    let Trailers { run, branch, candidate, no_candidate, base, other_base, waived, approvals } = trailers;
    let one = [
        (RUN, run),
        (BRANCH, branch),
        (BASE, base),
        (CANDIDATE, candidate),
        (NO_CANDIDATE, no_candidate),
        (OTHER_BASE, other_base),
        (APPROVALS, approvals),
    ];
    let one = one.into_iter().filter_map(|(name, value)| Some((name, value.as_ref()?)));
    for (name, value) in one.chain(waived.iter().map(|waived| (WAIVED, waived))) {
        let value = step::plain_line(value);
        let _ = writeln!(text, "{name}: {}", value.split_whitespace().collect::<Vec<_>>().join(" "));
    }
    text
}

/// The message without the signature below it, and whether there was one. A signature is the last thing in a tag: one that more
/// words follow was written by somebody into the notes.
pub fn unsigned(message: &str) -> (&str, bool) {
    let mut start = None;
    let mut at = 0;
    for line in message.split_inclusive('\n') {
        if begins_signature(line) {
            start = Some(at);
        }
        at += line.len();
    }
    let ends = message.trim_end().lines().next_back().is_some_and(|last| last.starts_with("-----END "));
    start.filter(|_| ends).map_or((message, false), |at| (&message[..at], true))
}

fn begins_signature(line: &str) -> bool {
    SIGNATURES.iter().any(|mark| line.starts_with(mark))
}

/// Text from outside, fit for a terminal and a line: what would steer it is replaced, and it ends where nobody reads on.
pub fn printable(text: &str) -> String {
    const LONGEST: usize = 200;
    let shown = |c: char| if c.is_control() || is_steering(c) { '\u{fffd}' } else { c };
    text.chars().take(LONGEST).map(shown).collect()
}

/// Marks that turn the direction of writing around, and separators of lines.
fn is_steering(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}')
}

/// The trailers in the last paragraph; what the notes say is not believed.
pub fn trailers(message: &str) -> Trailers {
    let (message, _) = unsigned(message);
    let last = message.trim_end().rsplit("\n\n").next().unwrap_or_default();
    let value = |name: &str| {
        let of = |line: &str| line.strip_prefix(name)?.strip_prefix(": ").map(str::to_owned);
        last.lines().find_map(of)
    };
    let waived = |line: &str| line.strip_prefix(WAIVED)?.strip_prefix(": ").map(str::to_owned);
    Trailers {
        waived: last.lines().filter_map(waived).collect(),
        approvals: value(APPROVALS),
        run: value(RUN),
        branch: value(BRANCH),
        candidate: value(CANDIDATE),
        no_candidate: value(NO_CANDIDATE),
        base: value(BASE),
        other_base: value(OTHER_BASE),
    }
}

/// Whether two messages say the same, whichever runs made them, and whatever was approved in between.
pub fn same_but_run(one: &str, other: &str) -> bool {
    let of_a_run = [RUN, APPROVALS].map(|name| format!("{name}: "));
    let is_same = |line: &&str| !of_a_run.iter().any(|start| line.starts_with(start));
    let lines = |text| unsigned(text).0.trim_end().lines().filter(is_same);
    lines(one).eq(lines(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ours(run: &str) -> Trailers {
        let text = |t: &str| Some(t.to_owned());
        Trailers {
            run: text(run),
            branch: text("main"),
            candidate: text("v1.2.0-rc1 (merge)"),
            approvals: text("aa"),
            waived: vec!["ci (unknown), Rina: GitHub is down".into(), "window (no), Rina: a fix".into()],
            ..Trailers::default()
        }
    }

    #[test]
    fn a_message_is_read_as_it_was_written() {
        let notes = "### Added\n- Pay with QRIS  \n\n\n\n- Rilis-Run: not-a-trailer\nRilis-Run: spoofed\n";
        let text = compose("v1.2.0", Some(notes), &ours("shop-1"));
        assert_eq!(
            text,
            "v1.2.0\n\n### Added\n- Pay with QRIS\n\n- Rilis-Run: not-a-trailer\nRilis-Run: spoofed\n\n\
             Rilis-Run: shop-1\nRilis-Branch: main\nRilis-Candidate: v1.2.0-rc1 (merge)\n\
             Rilis-Approvals: aa\nRilis-Waived: ci (unknown), Rina: GitHub is down\nRilis-Waived: window (no), Rina: a fix\n"
        );
        assert_eq!(trailers(&text), ours("shop-1"));
        let signed = format!("{text}-----BEGIN SSH SIGNATURE-----\nU1NI\n\nx\n-----END SSH SIGNATURE-----\n");
        assert_eq!(unsigned(&signed), (text.as_str(), true));
        assert_eq!(trailers(&signed), ours("shop-1"));
        assert!(same_but_run(&signed, &compose("v1.2.0", Some(notes), &ours("shop-2"))));
        assert!(!same_but_run(&text, &compose("v1.2.0", Some("other"), &ours("shop-1"))));
        assert_eq!(trailers("v1.2.0\n\nby hand\n"), Trailers::default());
        assert_eq!(compose("v1.2.0", None, &Trailers::default()), "v1.2.0\n\n");
    }

    #[test]
    fn a_signature_in_the_notes_is_none_of_the_tag() {
        let block = "-----BEGIN PGP SIGNATURE-----\n\niQ\n-----END PGP SIGNATURE-----";
        let notes = format!("### Security\n- keys are signed:\n\n{block}\n");
        let text = compose("v1.2.0", Some(&notes), &ours("shop-1"));
        assert_eq!((unsigned(&text).1, trailers(&text)), (false, ours("shop-1")));
        assert!(text.contains("\n -----BEGIN PGP SIGNATURE-----\n"), "{text}");
        // As others make it, whose tags are not set in.
        let theirs = text.replace("\n -----BEGIN", "\n-----BEGIN");
        assert_eq!((unsigned(&theirs).1, trailers(&theirs)), (false, ours("shop-1")));
        for (mark, end) in [
            ("PGP SIGNATURE", "PGP SIGNATURE"),
            ("SSH SIGNATURE", "SSH SIGNATURE"),
            ("SIGNED MESSAGE", "SIGNED MESSAGE"),
        ] {
            let signed = format!("{theirs}-----BEGIN {mark}-----\nU1NI\n-----END {end}-----\n");
            assert_eq!(unsigned(&signed), (theirs.as_str(), true), "{mark}");
            assert_eq!(trailers(&signed), ours("shop-1"), "{mark}");
        }
    }

    #[test]
    fn text_from_outside_does_not_steer_a_terminal() {
        assert_eq!(printable("a\x1b[2Jb\u{202e}c\nd"), "a\u{fffd}[2Jb\u{fffd}c\u{fffd}d");
        assert_eq!(printable(&"x".repeat(5000)).len(), 200);
        assert_eq!(printable("Perbaiki harga · é"), "Perbaiki harga · é");
    }
}
