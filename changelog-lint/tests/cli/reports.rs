//! Reports: valid documents of their formats, with findings and without, and what people see.

use crate::support::{folder, lint};
use serde_json::{Value, json};

const CLEAN: &str = "# Changelog\n\n## 1.0.0 - 2025-01-01\n- a\n";
const BROKEN: &str = "# Changelog\n\n## 1.1.0 - 2025-02-29\n- あいう [未定義][xx] 👍\n\n## 1.0.0 - 2025/01/01\n- a\n## 1.0.0 - 2025-01-01\n- b\n";

#[test]
fn a_clean_file_gives_a_valid_report_of_every_format() {
    let folder = folder(CLEAN);
    let report = |format: &str| {
        let run = lint(folder.path(), &["--report", format]);
        assert_eq!(run.code(), 0, "{format}: {}", run.stderr());
        run
    };
    assert_eq!(report("json").json()["diagnostics"], json!([]));
    assert_eq!(report("gitlab").json(), json!([]));
    assert_eq!(report("sarif").json()["runs"][0]["results"], json!([]));
    assert_eq!(report("github").stdout(), "changelog-lint: CHANGELOG.md: 0 errors, 0 warnings\n");
}

#[test]
fn the_json_report_names_exact_places_and_edits() {
    let folder = folder(BROKEN);
    let run = lint(folder.path(), &["--report", "json"]);
    assert_eq!(run.code(), 1);
    let report = run.json();
    validate(&report);
    assert_eq!(
        (&report["errors"], &report["warnings"], &report["newest"]),
        (&json!(3), &json!(1), &json!("1.1.0"))
    );
    let items = report["diagnostics"].as_array().expect("items");
    let reference = items.iter().find(|i| i["rule"] == "CL509").expect("the reference");
    assert_eq!(
        reference["start"],
        json!({ "line": 4, "column": 7, "offset": BROKEN.find("[未").expect("there") })
    );
    assert_eq!(reference["end"]["column"], 16, "columns are characters");
    let date = items.iter().find(|i| i["rule"] == "CL302").expect("the date");
    assert_eq!(date["fix"]["applicability"], "safe");
    let edit = &date["fix"]["edits"][0];
    let (offset, length) =
        (edit["offset"].as_u64().expect("a number"), edit["length"].as_u64().expect("a number"));
    let (from, to) =
        (usize::try_from(offset).expect("small"), usize::try_from(offset + length).expect("small"));
    assert_eq!((&BROKEN[from..to], &edit["text"]), ("2025/01/01", &json!("2025-01-01")));
    let double = items.iter().find(|i| i["rule"] == "CL201").expect("the double");
    assert_eq!(
        (&double["start"]["line"], &double["related"][0]["start"]["line"]),
        (&json!(8), &json!(6)),
        "both lines"
    );
}

fn validate(report: &Value) {
    let schema: Value =
        serde_json::from_str(include_str!("../../schema/report.schema.json")).expect("a schema");
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    let faults: Vec<String> = validator.iter_errors(report).map(|e| e.to_string()).collect();
    assert!(faults.is_empty(), "{faults:?}\n{report:#}");
}

#[test]
fn sarif_has_rules_regions_and_fingerprints_that_stay_when_lines_move() {
    let fingerprints = |text: &str| {
        let folder = folder(text);
        let report = lint(folder.path(), &["--report", "sarif"]).json();
        assert_eq!(
            (&report["version"], &report["runs"][0]["columnKind"]),
            (&json!("2.1.0"), &json!("unicodeCodePoints"))
        );
        let rules = report["runs"][0]["tool"]["driver"]["rules"].as_array().expect("rules").clone();
        let results = report["runs"][0]["results"].as_array().expect("results").clone();
        for result in &results {
            let index = usize::try_from(result["ruleIndex"].as_u64().expect("an index")).expect("small");
            assert_eq!(rules[index]["id"], result["ruleId"]);
            let place = &result["locations"][0]["physicalLocation"];
            assert_eq!(place["artifactLocation"]["uri"], "CHANGELOG.md");
            assert!(
                place["region"]["startLine"].as_u64() >= Some(1)
                    && place["region"]["startColumn"].as_u64() >= Some(1)
            );
        }
        results.iter().map(|r| r["partialFingerprints"]["changelogLint/v1"].clone()).collect::<Vec<_>>()
    };
    let before = fingerprints(BROKEN);
    assert_eq!(before.len(), 4);
    assert_eq!(fingerprints(&BROKEN.replace("# Changelog\n", "# Changelog\n\nMore words.\n")), before);
}

#[test]
fn github_and_gitlab_get_what_they_ask_for() {
    let folder = folder(BROKEN);
    let text = lint(folder.path(), &["--report", "github"]).stdout();
    let first = text.lines().next().expect("a line");
    assert!(
        first.starts_with(
            "::error file=CHANGELOG.md,line=3,endLine=3,col=12,endColumn=22,title=CL303 date-impossible::"
        ),
        "{first}"
    );
    assert!(text.ends_with("changelog-lint: CHANGELOG.md: 3 errors, 1 warning\n"), "{text}");
    let items = lint(folder.path(), &["--report", "gitlab"]).json();
    let items = items.as_array().expect("an array");
    let prints: std::collections::BTreeSet<&str> =
        items.iter().filter_map(|i| i["fingerprint"].as_str()).collect();
    assert_eq!(prints.len(), items.len(), "GitLab drops repeats");
    assert_eq!(
        (&items[0]["severity"], &items[0]["location"]["lines"]["begin"]),
        (&json!("major"), &json!(3))
    );
}

#[test]
fn special_characters_are_escaped_for_github() {
    let folder = folder("# Changelog\n\n## 1.0.0\n### 100%: it\n\n### Added\n- b\n");
    let text = lint(folder.path(), &["--report", "github", "--warn", "CL404"]).stdout();
    assert!(text.contains("::`100%25: it` of 1.0.0 is empty"), "{text}");
}

#[test]
fn reports_go_to_files_beside_the_document() {
    let folder = folder(CLEAN);
    let run = lint(folder.path(), &["--report", "sarif=out.sarif", "--report", "json=out.json"]);
    assert_eq!((run.code(), &run.json()["facts"]["version"]), (0, &json!("1.0.0")));
    for file in ["out.sarif", "out.json"] {
        let text = std::fs::read(folder.path().join(file)).expect(file);
        serde_json::from_slice::<Value>(&text).expect(file);
    }
    let run = lint(folder.path(), &["--report", "json=/nowhere/out.json"]);
    assert_eq!((run.code(), &run.json()["failure"]["reason"]), (1, &json!("report-unwritable")));
}

#[test]
fn the_exit_code_is_never_a_count() {
    let mut text = String::new();
    for _ in 0..257 {
        text.push_str("## 1.0.0\n- a\n");
    }
    let folder = folder(&text);
    let run = lint(folder.path(), &["--report", "json"]);
    assert_eq!((run.code(), &run.json()["errors"]), (1, &json!(256)));
}

#[test]
fn people_see_the_line_and_a_caret_at_the_right_column() {
    let folder = folder(BROKEN);
    let stderr = lint(folder.path(), &["--color", "never"]).stderr();
    let shown = "\
warning[CL509 broken-reference]: the label `xx` is not defined
 --> CHANGELOG.md:4:7
  |
4 | - あいう [未定義][xx] 👍
  |          ^^^^^^^^^^^^
  |
  = help: define it: `[xx]: address`
";
    assert!(stderr.contains(shown), "{stderr}");
    let shown = "\
error[CL201 duplicate-version]: 1.0.0 has two sections
 --> CHANGELOG.md:8:4
  |
8 | ## 1.0.0 - 2025-01-01
  |    ^^^^^
  |
 ::: CHANGELOG.md:6:4
  |
6 | ## 1.0.0 - 2025/01/01
  |    ----- the first one
  |
  = help: keep one of the two sections and move the entries of the other into it
";
    assert!(stderr.contains(shown), "{stderr}");
}

#[test]
fn a_document_that_came_in_is_not_replaced_by_a_report() {
    use std::io::Write;
    let folder = folder(CLEAN);
    let opened = lint(folder.path(), &["--fresh"]).0.stdout;
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_changelog-lint"))
        .args(["--report", "json"])
        .current_dir(folder.path())
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("it starts");
    child.stdin.take().expect("a pipe").write_all(&opened).expect("written");
    let run = crate::support::Run(child.wait_with_output().expect("it ends"));
    assert_eq!((run.code(), &run.json()["failure"]["kind"]), (2, &json!("usage")), "{}", run.stderr());
    assert_eq!(run.json()["facts"]["version"], "1.0.0", "nothing is lost");
    testkit::schema::validate(&run.json());
}

#[test]
fn paths_are_those_from_the_root_of_the_repository_however_the_file_is_named() {
    let root = tempfile::tempdir().expect("a folder");
    let docs = root.path().join("docs");
    std::fs::create_dir_all(&docs).expect("made");
    std::fs::write(docs.join("CHANGELOG.md"), BROKEN).expect("written");
    let uri = |folder: &std::path::Path, file: &str| {
        let report = lint(folder, &["--report", "sarif", file]).json();
        report["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"].clone()
    };
    let absolute = docs.join("CHANGELOG.md").canonicalize().expect("there").display().to_string();
    // Outside of a repository: relative as it was given, else a URI of its own.
    assert_eq!(uri(root.path(), "docs/CHANGELOG.md"), "docs/CHANGELOG.md");
    assert_eq!(uri(root.path(), &absolute), format!("file://{absolute}"));
    std::fs::create_dir(root.path().join(".git")).expect("made");
    for (folder, file) in [
        (root.path(), "docs/CHANGELOG.md"),
        (&docs, "CHANGELOG.md"),
        (&docs, "./CHANGELOG.md"),
        (&docs, &absolute),
    ] {
        assert_eq!(uri(folder, file), "docs/CHANGELOG.md", "{file} in {}", folder.display());
    }
    let github = lint(&docs, &["--report", "github"]).stdout();
    assert!(github.starts_with("::error file=docs/CHANGELOG.md,"), "{github}");
    let gitlab = lint(&docs, &["--report", "gitlab"]).json();
    assert_eq!(gitlab[0]["location"]["path"], "docs/CHANGELOG.md");
    assert_eq!(lint(&docs, &["--report", "json"]).json()["path"], "docs/CHANGELOG.md");
    // People name it as they did.
    assert!(lint(&docs, &["--fresh"]).stderr().contains(" CHANGELOG.md:3:"));
}

#[test]
fn stdout_holds_one_report() {
    let folder = folder("# Changelog\n\n## 1.2.0 - 2025-01-02\n\n- a\n");
    let run = lint(folder.path(), &["--report", "sarif", "--report", "json"]);
    assert_eq!((run.code(), run.stdout().as_str()), (2, ""), "{}", run.stderr());
    assert!(run.stderr().contains("stdout can hold one report"), "{}", run.stderr());
    let run = lint(folder.path(), &["--report", "sarif=x", "--report", "json=x", "--fresh"]);
    assert_eq!(run.code(), 2, "{}", run.stderr());
    assert!(!folder.path().join("x").exists());
}

#[test]
fn a_report_replaces_nothing_but_an_earlier_report() {
    let changelog = "# Changelog\n\n## 1.2.0 - 2025-02-02\n\n- OLD\n";
    let folder = folder(changelog);
    std::fs::write(folder.path().join("release.toml"), "[product]\nname = 'shop'\n").expect("written");
    for format in ["json", "sarif", "github", "gitlab"] {
        for path in ["CHANGELOG.md", "./CHANGELOG.md", "release.toml"] {
            let before = std::fs::read(folder.path().join(path)).expect("read");
            let run = lint(folder.path(), &["--fresh", "--report", &format!("{format}={path}")]);
            assert_eq!(
                (run.code(), run.json()["failure"]["reason"].as_str()),
                (1, Some("report-unwritable")),
                "{format}"
            );
            assert_eq!(std::fs::read(folder.path().join(path)).expect("read"), before, "{format} {path}");
        }
        let report = format!("{format}=lint.{format}");
        assert_eq!(lint(folder.path(), &["--fresh", "-n", "--report", &report]).code(), 0);
        assert!(!folder.path().join(format!("lint.{format}")).exists(), "plan mode writes nothing");
        for _ in 0..2 {
            assert_eq!(
                lint(folder.path(), &["--fresh", "--report", &report]).code(),
                0,
                "an earlier report is replaced"
            );
        }
        assert!(folder.path().join(format!("lint.{format}")).exists());
    }
    let other = lint(folder.path(), &["--fresh", "--report", "json=lint.sarif"]);
    assert_eq!(other.code(), 1, "a report of another form is none of this one");
}

#[test]
fn a_secret_is_in_no_report() {
    let secret = "s3cr3tTokenValue99";
    let folder = folder(format!("# Changelog\n\n## 1.2.0 - 2025-02-02\n\n- o [1][{secret}]\n"));
    for format in ["json", "sarif", "github", "gitlab"] {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_changelog-lint"));
        let file = format!("r.{format}");
        command.current_dir(folder.path()).env("X_TOKEN", secret).args([
            "--fresh",
            "--report",
            &format!("{format}={file}"),
        ]);
        command.stdin(std::process::Stdio::null()).output().expect("it runs");
        let report = std::fs::read_to_string(folder.path().join(&file)).expect("a report");
        assert!(!report.contains(secret) && report.contains("[redacted]"), "{report}");
    }
}
