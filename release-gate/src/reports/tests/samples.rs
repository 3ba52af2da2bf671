//! What the tools' own reports say.

use super::super::Tool::{self, Eslint, Junit, Newman, Playwright, Vitest};
use super::super::read;
use super::{all, folder, numbers, parsed, sample};

/// A sample and the exit code that came with it: the numbers, and why it is no pass.
type Row = (&'static str, i32, Tool, [u64; 6], &'static str);

const SAMPLES: &[Row] = &[
    ("eslint-clean.json", 0, Eslint, [1, 0, 0, 0, 0, 0], ""),
    (
        "eslint-ignored-file.json",
        0,
        Eslint,
        [0, 0, 0, 1, 1, 0],
        "nothing ran: everything was skipped (1 file)",
    ),
    (
        "eslint-json-with-metadata.json",
        1,
        Eslint,
        [1, 2, 0, 0, 2, 0],
        "2 of 3 files failed: prefer-const: 'x' is never reassigned.",
    ),
    ("eslint.json", 1, Eslint, [1, 2, 0, 0, 2, 0], "2 of 3 files failed: prefer-const"),
    (
        "newman-bail.json",
        1,
        Newman,
        [2, 1, 0, 1, 0, 1],
        "1 error outside of any test, and 1 of 4 assertions failed: bad status: test-script:39:17: status 200",
    ),
    ("newman-empty.json", 0, Newman, [0, 0, 0, 0, 0, 0], "nothing ran: the report is empty"),
    ("newman-green.json", 0, Newman, [2, 0, 0, 1, 0, 0], ""),
    ("newman-green.junit.xml", 0, Junit, [3, 0, 0, 0, 0, 0], ""),
    (
        "newman.json",
        1,
        Newman,
        [2, 2, 0, 1, 0, 4],
        "4 errors outside of any test, and 2 of 5 assertions failed: no tests, 500: HTTP 500, and no test looks at it",
    ),
    (
        "newman.junit.xml",
        1,
        Junit,
        [3, 2, 0, 0, 3, 3],
        "3 errors outside of any test, and 2 of 5 tests failed: conn refused: 1 error outside of its tests",
    ),
    (
        "newman.junitfull.xml",
        1,
        Junit,
        [3, 3, 0, 0, 2, 0],
        "3 of 6 tests failed: Cart / bad status › status 200: expected response to have status code 200 but got 500",
    ),
    (
        "playwright-failonflaky.json",
        1,
        Playwright,
        [0, 0, 1, 1, 0, 0],
        "exit code 1 although the report names no failure, only 1 flaky test",
    ),
    ("playwright-flaky-only.json", 0, Playwright, [0, 0, 1, 1, 0, 0], ""),
    (
        "playwright-globalsetup.json",
        1,
        Playwright,
        [0, 0, 0, 0, 0, 1],
        "1 error outside of any test: Error: global setup failed",
    ),
    (
        "playwright-globaltimeout.json",
        1,
        Playwright,
        [0, 0, 0, 11, 0, 2],
        "2 errors outside of any test: Timed out waiting 2.5s for the test suite to run",
    ),
    ("playwright-green.json", 0, Playwright, [2, 0, 0, 0, 0, 0], ""),
    (
        "playwright-loaderror.json",
        1,
        Playwright,
        [0, 0, 0, 0, 0, 2],
        "2 errors outside of any test: Error: Cannot find module './nope'",
    ),
    (
        "playwright-maxfailures.json",
        1,
        Playwright,
        [1, 1, 0, 9, 0, 1],
        "1 error outside of any test, and 1 of 11 tests failed: Testing stopped early after 1 maximum allowed failures.",
    ),
    (
        "playwright-notests.json",
        1,
        Playwright,
        [0, 0, 0, 0, 0, 1],
        "1 error outside of any test: Error: No tests found",
    ),
    (
        "playwright.json",
        1,
        Playwright,
        [4, 7, 2, 7, 0, 0],
        "7 of 20 tests failed: checkout @mobile › fails › [api]: Error: expect(received).toBe(expected)",
    ),
    (
        "playwright.junit.xml",
        1,
        Junit,
        [6, 7, 0, 7, 0, 0],
        "7 of 20 tests failed: api.spec.ts › checkout @mobile › fails",
    ),
    ("vitest-filtered.json", 0, Vitest, [1, 0, 0, 6, 0, 0], ""),
    (
        "vitest-nofiles.json",
        1,
        Vitest,
        [0, 0, 0, 0, 0, 1],
        "1 error outside of any test: the run: it says that it failed",
    ),
    ("vitest-passwithnotests.json", 0, Vitest, [0, 0, 0, 0, 0, 0], "nothing ran: the report is empty"),
    (
        "vitest-unhandled.json",
        1,
        Vitest,
        [1, 0, 0, 0, 0, 0],
        "exit code 1 although the report names no failure",
    ),
    (
        "vitest.json",
        1,
        Vitest,
        [3, 1, 1, 4, 0, 3],
        "3 errors outside of any test, and 1 of 9 tests failed: the file: No test suite found in file",
    ),
    (
        "vitest.junit.xml",
        1,
        Junit,
        [4, 4, 0, 4, 0, 0],
        "4 of 12 tests failed: t/basic.test.js › cart > fails: expected 2 to be 3",
    ),
];

#[test]
fn each_sample_says_what_it_proves() {
    let names: Vec<&str> = SAMPLES.iter().map(|row| row.0).collect();
    assert_eq!(names, all(), "each sample has a row");
    for (name, exit_code, tool, expected, trouble) in SAMPLES {
        let report = parsed(&sample(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!((report.tool, numbers(&report)), (*tool, *expected), "{name}: {report:#?}");
        assert_eq!(report.total, report.ran() + report.skipped, "{name}");
        let said = report.trouble(*exit_code).unwrap_or_default();
        let is_right = if trouble.is_empty() { said.is_empty() } else { said.starts_with(trouble) };
        assert!(is_right, "{name}: {said:?}, not {trouble:?}");
        assert!(report.trouble(2).is_some(), "{name}: an exit code of 2 is never a pass");
        let from_file = read(&folder().join(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(numbers(&from_file), *expected, "{name} from its file");
    }
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    for (name, expected) in [
        (
            "eslint.json",
            ("prefer-const", "lint/src/bad.js", 1, "'x' is never reassigned. Use 'const' instead."),
        ),
        (
            "playwright.json",
            (
                "checkout @mobile › fails › [api]",
                "pw/tests/api.spec.ts",
                5,
                "Error: expect(received).toBe(expected) // Object.is equality Expected: \"b\" Received: \"a\"",
            ),
        ),
        ("playwright-globalsetup.json", ("", "pw/gs.ts", 1, "Error: global setup failed")),
        (
            "vitest.json",
            (
                "the file",
                "vitest/t/empty.test.js",
                0,
                "No test suite found in file /srv/shop/vitest/t/empty.test.js",
            ),
        ),
        ("newman.json", ("no tests, 500", "", 0, "HTTP 500, and no test looks at it")),
    ] {
        let report = parsed(&sample(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
        let first = report.wrong.first().unwrap_or_else(|| panic!("{name} names nothing"));
        let file = first.file.as_deref().unwrap_or_default();
        let found = (first.name.as_str(), file, first.line.unwrap_or(0));
        assert_eq!(found, (expected.0, expected.1, expected.2), "{name}");
        assert!(first.message.starts_with(expected.3), "{name}: {}", first.message);
    }
    let report = parsed(&sample("playwright.json")).expect("a report");
    assert_eq!(report.version.as_deref(), Some("1.65.1"));
    let names: Vec<&str> = report.wrong.iter().map(|wrong| wrong.name.as_str()).collect();
    assert!(names.contains(&"checkout @mobile › unexpected pass › [api]"), "{names:?}");
    assert!(
        names.ends_with(&["checkout @mobile › flaky › [api]", "checkout @mobile › flaky › [api-mobile]"]),
        "{names:?}"
    );
    let passed = report.wrong.iter().find(|wrong| wrong.name.contains("unexpected pass")).expect("named");
    assert_eq!(passed.message, "it passed, and was expected to fail");
}
