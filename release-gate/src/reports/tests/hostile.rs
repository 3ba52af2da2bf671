//! What is no report, or was made to hurt.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;
use std::process::Command;

use super::super::{parse, read};
use super::{all, parsed, sample};

/// What is read, and the beginning of what is said.
const NONE: &[(&str, &str)] = &[
    ("", "empty: the tool ended before it wrote one"),
    (" \n\t\u{feff}", "neither JSON nor XML"),
    ("\n\n", "empty"),
    ("\u{feff}", "empty"),
    (
        "> shop@1.0.0 lint\n> eslint -f json\n\n[]",
        "neither JSON nor XML; have the tool write the file itself",
    ),
    ("<!DOCTYPE html><html><body>502</body></html>", "a page in HTML"),
    ("<!doctype HTML>", "a page in HTML"),
    ("<html><head></head></html>", "a page in HTML"),
    ("<?xml version=\"1.0\"?><rss/>", "XML, but none in JUnit's form"),
    ("<?xml version=\"1.0\"?>", "XML, but none in JUnit's form"),
    ("<testsuites><testsuite>", "cut off: it ends in the middle"),
    ("<testsuites><testsuite name='a", "cut off, or no XML"),
    ("<testsuites></testsuite>", "no well-formed XML"),
    ("<testsuites/><testsuites/>", "XML of another shape than JUnit's"),
    ("<testsuites><other><testcase/></other></testsuites>", "XML of another shape than JUnit's"),
    ("<testsuite failures='-1'/>", "XML with a number that is none (failures)"),
    ("<testsuite errors='99999999999999999999'/>", "XML with a number that is none (errors)"),
    (
        "<testsuite><testcase name='a'><testcase name='b'><failure/></testcase></testcase></testsuite>",
        "XML of another shape than JUnit's",
    ),
    (
        "<testsuite><testcase name='a'><step><testsuite/></step></testcase></testsuite>",
        "XML of another shape than JUnit's",
    ),
    (
        "<testsuite failures='0' failures='1'><testcase name='a'/></testsuite>",
        "XML with an attribute that cannot be read",
    ),
    (
        "<testsuite><testcase name='a' status='passed' status='failed'/></testsuite>",
        "XML with an attribute that cannot be read",
    ),
    (
        "<testsuite x=1 failures='4'><testcase name='a'/></testsuite>",
        "XML with an attribute that cannot be read",
    ),
    (
        "<testsuite bad failures='4'><testcase name='a'/></testsuite>",
        "XML with an attribute that cannot be read",
    ),
    (
        "<testsuite><testcase name='a'><x y='1' y='2'/></testcase></testsuite>",
        "XML with an attribute that cannot be read",
    ),
    ("<testsuite failures='1.0'/>", "XML with a number that is none (failures)"),
    ("<testsuite failures='&one;'/>", "XML with a number that is none (failures)"),
    (
        "<testsuite><testcase name='a'/></testsuite>\nFAILED 3 tests, exit 1\n",
        "XML with something else around it",
    ),
    (
        "<testsuite><testcase name='a'/></testsuite>{\"numFailedTests\":3}",
        "XML with something else around it",
    ),
    (
        "<testsuite><testcase name='a'/></testsuite><![CDATA[<failure/>]]>",
        "XML with something else around it",
    ),
    ("<testsuite><testcase name='a'/></testsuite>\0\0", "XML with something else around it"),
    ("<testsuite><testcase name='a'/></testsuite>&amp;", "XML with something else around it"),
    ("<testsuite><testcase name='a'/></testsuite><failure/>", "XML, but none in JUnit's form"),
    ("{}", "JSON, but none of"),
    ("[1]", "JSON, but none of"),
    ("[{}]", "JSON, but none of"),
    ("[{\"source\":\"a.css\",\"warnings\":[]}]", "JSON, but none of"),
    ("{\"message\":\"Not Found\"}", "JSON, but none of"),
    ("{\"results\":{\"tool\":{}}}", "JSON, but none of"),
    ("{\"results\":[]}", "JSON, but none of"),
    ("{\"stats\":{\"suites\":1},\"tests\":[]}", "JSON, but none of"),
    ("{\"success\":true}", "JSON, but none of"),
    ("{\"suites\":[],\"suites\":[]}", "JSON, but none of"),
    ("{\"suites\":[],\"run\":{}}", "JSON with parts of the reports of several tools"),
    (
        "{\"numTotalTests\":1,\"testResults\":[],\"stats\":{\"expected\":0,\"skipped\":0,\"unexpected\":9,\"flaky\":0}}",
        "JSON with parts of the reports of several tools",
    ),
    (
        "{\"testResults\":[],\"errors\":[{\"message\":\"x\"}]}",
        "JSON with parts of the reports of several tools",
    ),
    ("{\"testResults\":[],\"run\":{\"failures\":[{}]}}", "JSON with parts of the reports of several tools"),
    ("{\"suites\":[],\"success\":true}", "JSON with parts of the reports of several tools"),
    ("{\"results\":[],\"metadata\":{},\"errors\":[]}", "JSON with parts of the reports of several tools"),
    ("{\"run\":{},\"collection\":{},\"errors\":[]}", "JSON with parts of the reports of several tools"),
    ("{\"suites\":[],\"collection\":{}}", "JSON with parts of the reports of several tools"),
    ("{\"suites\":[],\"errors\":[]}", "a report of Playwright without `stats`"),
    ("{\"suites\":[]", "cut off"),
    ("[]{}", "JSON with something else behind it"),
    ("[}", "no well-formed JSON"),
];

#[test]
fn what_is_no_report_is_told_apart() {
    for (text, why) in NONE {
        let said = parsed(text).map(|report| format!("{report:?}"));
        assert!(said.as_ref().is_err_and(|said| said.starts_with(why)), "{text:?}: {said:?}, not {why:?}");
    }
    for (bytes, why) in [
        (b"\xff\xfe[\0]\0".as_slice(), "UTF-16"),
        (b"\x1f\x8b\x08", "compressed"),
        (b"PK\x03\x04", "a zip archive"),
        (b"\x7fELF", "neither"),
        (b"<testsuites name='\xff'/>", "no well-formed XML"),
        (b"[{\"filePath\":\"\xff\",\"messages\":[],\"errorCount\":0}]", "no well-formed JSON"),
    ] {
        let said = parse(bytes, Path::new("/")).map(|report| format!("{report:?}"));
        assert!(said.as_ref().is_err_and(|said| said.starts_with(why)), "{bytes:?}: {said:?}");
    }
}

/// A mark of the byte order and blank lines are no part of a report.
#[test]
fn a_report_may_begin_with_nothing() {
    let green = parsed(&sample("playwright-green.json")).expect("a report");
    let text = format!("\u{feff}\r\n\n {}\n", sample("playwright-green.json"));
    assert_eq!(parsed(&text).expect("a report"), green);
}

#[test]
fn no_cut_report_is_one() {
    for name in all() {
        let text = sample(&name);
        let text = text.trim_end();
        let step = (text.len() / 60).max(1);
        for end in (0..text.len()).step_by(step).chain([text.len() - 1]) {
            let cut = parse(&text.as_bytes()[..end], Path::new("/srv/shop"));
            assert!(cut.is_err(), "{name} cut at {end} of {}: {cut:?}", text.len());
        }
    }
}

#[test]
fn only_a_regular_file_is_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    fs::write(at("report.json"), sample("eslint-clean.json")).expect("written");
    fs::write(at("empty.json"), "").expect("written");
    std::os::unix::fs::symlink(at("report.json"), at("link.json")).expect("a link");
    File::create(at("large.json")).and_then(|file| file.set_len(5 << 30)).expect("a file with a hole");
    let made = Command::new("mkfifo").arg(at("fifo.json")).status().expect("mkfifo");
    assert!(made.success());
    assert!(read(&at("report.json")).is_ok());
    for (name, why) in [
        ("none.json", "the report is not there: the command has written none"),
        ("empty.json", "the report is empty: the tool ended before it wrote one"),
        ("link.json", "the report is a symbolic link; name the file itself"),
        ("large.json", "the report is larger than 200 MiB"),
        ("fifo.json", "the report is no regular file"),
        (".", "the report is a folder; name the file in it"),
    ] {
        assert_eq!(read(&at(name)).expect_err(name), why, "{name}");
    }
}

#[test]
fn what_has_no_end_is_left() {
    let text = b"{\"suites\":[{\"title\":\"".as_slice().chain(io::repeat(b'x'));
    assert_eq!(parse(text, Path::new("/")).expect_err("endless"), "larger than 200 MiB");
    let xml = b"<testsuites><testsuite name='".as_slice().chain(io::repeat(b'x'));
    let said = parse(xml, Path::new("/")).expect_err("endless");
    assert!(said.starts_with("XML with one text of more than 8 MiB"), "{said}");
    let xml = b"<testsuites><testsuite><system-out><![CDATA[".as_slice().chain(io::repeat(b'x'));
    let said = parse(xml, Path::new("/")).expect_err("endless");
    assert!(said.starts_with("XML with one text of more than 8 MiB"), "{said}");
}

#[test]
fn what_is_nested_endlessly_is_refused() {
    let suites = format!("{{\"errors\":[],\"stats\":{{}},\"suites\":{}", "[{\"suites\":".repeat(100_000));
    assert!(parsed(&suites).is_err());
    let ignored = format!("{{\"config\":{{\"x\":{}", "[".repeat(1_000_000));
    assert_eq!(parsed(&ignored).expect_err("too deep"), "JSON that is nested too deeply for a report");
    for tag in ["testsuite", "a"] {
        let xml = format!("<testsuite>{}", format!("<{tag}>").repeat(1_000_000));
        assert_eq!(parsed(&xml).expect_err("too deep"), "XML of another shape than JUnit's", "{tag}");
    }
    // A few are fine.
    let fine = format!("{}<testcase name='a'/>{}", "<testsuite>".repeat(40), "</testsuite>".repeat(40));
    assert_eq!(parsed(&fine).expect("a report").passed, 1);
    let test =
        "{\"title\":\"a\",\"tests\":[{\"status\":\"expected\",\"results\":[{\"status\":\"passed\"}]}]}";
    let (open, close) = ("{\"suites\":[".repeat(30), "]}".repeat(30));
    let stats = "{\"expected\":1,\"skipped\":0,\"unexpected\":0,\"flaky\":0}";
    let fine =
        format!("{{\"errors\":[],\"stats\":{stats},\"suites\":[{open}{{\"specs\":[{test}]}}{close}]}}");
    assert_eq!(parsed(&fine).expect("a report").passed, 1);
}

/// Nothing is ever expanded, and nothing fetched.
#[test]
fn entities_of_a_document_are_refused() {
    let bomb = "<!DOCTYPE lolz [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;\">]><testsuite><testcase name='&b;'><failure>&b;</failure></testcase></testsuite>";
    assert_eq!(parsed(bomb).expect_err("a bomb"), "XML with a document type");
    let file = "<?xml version='1.0'?><!DOCTYPE x [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><testsuite name='&x;'/>";
    assert_eq!(parsed(file).expect_err("a file"), "XML with a document type");
    // Without a document type nothing is known of them, and a test is still a test.
    let unknown =
        "<testsuite><testcase name='&x;'><failure message='&x;'>&x;</failure></testcase></testsuite>";
    assert_eq!(parsed(unknown).expect("a report").failed, 1);
}

#[test]
fn no_number_is_too_large() {
    let most = u64::MAX;
    let stats = format!("{{\"expected\":{most},\"skipped\":{most},\"unexpected\":{most},\"flaky\":{most}}}");
    let report = parsed(&format!("{{\"suites\":[],\"errors\":[],\"stats\":{stats}}}")).expect("a report");
    assert!(report.trouble(0).is_some());
    let xml = format!(
        "<testsuites errors='{most}'><testsuite errors='{most}' failures='{most}' skipped='{most}' tests='{most}'/></testsuites>"
    );
    assert!(parsed(&xml).expect("a report").trouble(0).is_some());
    let case = "<testcase name='b'><skipped/></testcase><testcase name='a'/>";
    let suite = format!("<testsuite skipped='{most}'>{case}</testsuite>");
    let report =
        parsed(&format!("<testsuites skipped='{most}'>{suite}{suite}</testsuites>")).expect("a report");
    assert_eq!((report.skipped, report.total), (most, most), "{report:?}");
    let failures = format!("<testsuite failures='{most}' errors='{most}'><testcase name='a'/></testsuite>");
    let report = parsed(&format!("<testsuites>{failures}{failures}<error/></testsuites>")).expect("a report");
    assert_eq!(report.outside, most);
    let file = format!(
        "{{\"filePath\":\"a\",\"messages\":[{{\"severity\":1}}],\"errorCount\":{most},\"warningCount\":{most}}}"
    );
    let report = parsed(&format!("[{file},{file}]")).expect("a report");
    assert_eq!((report.failed, report.warnings), (2, most));
}

/// A thousand failures leave twenty, and a name of a megabyte its beginning.
#[test]
fn what_is_kept_is_bounded() {
    let message = format!(
        "{{\"ruleId\":\"{}\",\"severity\":2,\"message\":\"{}\"}}",
        "r".repeat(1 << 20),
        "m ".repeat(1 << 19)
    );
    let messages = vec![message.as_str(); 20].join(",");
    let few = "{\"ruleId\":\"r\",\"severity\":2,\"message\":\"m\"},".repeat(1000);
    let name = "d/".repeat(100_000);
    let file = format!("{{\"filePath\":\"{name}a.js\",\"errorCount\":1,\"messages\":[{few}{messages}]}}");
    let report = parsed(&format!("[{file},{file}]")).expect("a report");
    assert_eq!(report.failed, 2);
    assert_eq!(report.wrong.len(), 20);
    let report = parsed(&format!("[{{\"filePath\":\"a\",\"errorCount\":1,\"messages\":[{messages}]}}]"))
        .expect("a report");
    for wrong in &report.wrong {
        assert!(wrong.message.chars().count() <= 300, "{}", wrong.message.len());
        assert!(wrong.name.chars().count() <= 200, "{}", wrong.name.len());
    }
}
