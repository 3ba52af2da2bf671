//! Any text: the parser, all rules of all profiles, notes and repairs never panic; spans lie inside; repairs are stable.
#![no_main]

use changelog_lint::changelog::parse;
use changelog_lint::rules::{Options, Profile};
use changelog_lint::{findings, fix, notes, promotion};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let log = parse(&text);
    for section in &log.sections {
        assert!(text.get(section.body.clone()).is_some());
        let _ = notes::whole(&log, section);
        let _ = notes::find(&log, section.name());
    }
    for profile in [Profile::Default, Profile::Strict, Profile::Common] {
        let mut options = Options { profile, ..Options::on(jiff::civil::date(2026, 11, 25)) };
        options.base = Some(text.chars().take(text.chars().count() / 2).collect());
        options.tags = Some(vec!["v1.0.0".to_owned()]);
        for finding in findings::of(&log, &options) {
            assert!(text.get(finding.span.clone()).is_some(), "{finding:?}");
        }
        options.base = None;
        for all in [false, true] {
            let once = fix::fix(&text, &options, all);
            let twice = fix::fix(&once.text, &options, all);
            assert_eq!(once.text, twice.text);
        }
    }
    if let Ok(promotion::Promotion::Edits(edits, _)) = promotion::promote(&log, "99.0.0", "2026-11-25", None) {
        let _ = fix::apply(&text, &edits);
    }
});
