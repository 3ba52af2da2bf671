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
}

/// The whole message, in a form that git takes as it is.
pub fn compose(tag: &str, notes: Option<&str>, trailers: &Trailers) -> String {
    let mut text = format!("{tag}\n\n");
    let mut blank = true;
    for line in notes.unwrap_or_default().trim().lines().map(str::trim_end) {
        if !(blank && line.is_empty()) {
            let _ = writeln!(text, "{line}"); // a String takes everything
        }
        blank = line.is_empty();
    }
    if notes.is_some_and(|n| !n.trim().is_empty()) {
        text.push('\n');
    }
    let Trailers { run, branch, candidate, no_candidate } = trailers;
    let all = [(RUN, run), (BRANCH, branch), (CANDIDATE, candidate), (NO_CANDIDATE, no_candidate)];
    for (name, value) in all.iter().filter_map(|(name, value)| Some((name, value.as_ref()?))) {
        let _ = writeln!(text, "{name}: {}", value.split_whitespace().collect::<Vec<_>>().join(" "));
    }
    text
}

/// The message without the signature below it, and whether there was one.
pub fn unsigned(message: &str) -> (&str, bool) {
    const MARKS: [&str; 4] = ["PGP SIGNATURE", "PGP MESSAGE", "SSH SIGNATURE", "SIGNED MESSAGE"];
    let start = MARKS.iter().filter_map(|mark| message.rfind(&format!("\n-----BEGIN {mark}-----\n"))).max();
    start.map_or((message, false), |at| (&message[..=at], true))
}

/// The trailers in the last paragraph; what the notes say is not believed.
pub fn trailers(message: &str) -> Trailers {
    let (message, _) = unsigned(message);
    let last = message.trim_end().rsplit("\n\n").next().unwrap_or_default();
    let value = |name: &str| {
        let of = |line: &str| line.strip_prefix(name)?.strip_prefix(": ").map(str::to_owned);
        last.lines().find_map(of)
    };
    Trailers {
        run: value(RUN),
        branch: value(BRANCH),
        candidate: value(CANDIDATE),
        no_candidate: value(NO_CANDIDATE),
    }
}

/// Whether two messages say the same, whichever runs made them.
pub fn same_but_run(one: &str, other: &str) -> bool {
    let start = format!("{RUN}: ");
    let lines = |text| unsigned(text).0.trim_end().lines().filter(|l: &&str| !l.starts_with(&start));
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
            no_candidate: None,
        }
    }

    #[test]
    fn a_message_is_read_as_it_was_written() {
        let notes = "### Added\n- Pay with QRIS  \n\n\n\n- Rilis-Run: not-a-trailer\nRilis-Run: spoofed\n";
        let text = compose("v1.2.0", Some(notes), &ours("shop-1"));
        assert_eq!(
            text,
            "v1.2.0\n\n### Added\n- Pay with QRIS\n\n- Rilis-Run: not-a-trailer\nRilis-Run: spoofed\n\n\
             Rilis-Run: shop-1\nRilis-Branch: main\nRilis-Candidate: v1.2.0-rc1 (merge)\n"
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
}
