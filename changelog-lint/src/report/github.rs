//! Workflow commands of GitHub Actions: they become annotations without any permission. GitHub shows ten errors and ten
//! warnings of a step, so the last line has the sums.

use super::{Subject, summary};

pub(super) fn write(subject: &Subject) -> String {
    let mut report = String::new();
    for finding in subject.findings {
        let (start, end) = (subject.start(finding), subject.end(finding));
        // Columns of several lines mean nothing to GitHub.
        let columns = if start.line == end.line {
            format!(",col={},endColumn={}", start.column, end.column)
        } else {
            String::new()
        };
        let help = finding.help.as_ref().map(|help| format!(" ({help})")).unwrap_or_default();
        report.push_str(&format!(
            "::{} file={},line={},endLine={}{columns},title={}::{}\n",
            finding.level.word(),
            property(subject.path),
            start.line,
            end.line,
            property(&format!("{} {}", finding.rule.code, finding.rule.name)),
            data(&format!("{}{help}", finding.message)),
        ));
    }
    report.push_str(&format!("changelog-lint: {}: {}\n", data(subject.path), summary(subject.findings)));
    report
}

fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
