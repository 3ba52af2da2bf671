//! Large reports, as the tools write them: to measure what reading one costs.

use std::io::{self, Write};

/// What a report that was made holds.
#[derive(Clone, Debug, Default)]
pub struct Written {
    /// Tests that passed, failed, were flaky and were skipped.
    pub tests: [u64; 4],
    /// Its size.
    pub bytes: u64,
}

/// A text as a test prints it, with colours.
const OUTPUT: &str = r#"\u001b[90mGET\u001b[39m /api/cart?item=4711 \u001b[32m200\u001b[39m {\"id\":4711,\"name\":\"Gayo, beans\",\"price\":\"12.50\"}\n"#;
const SNIPPET: &str = r#" \u001b[90m 14 |\u001b[39m   \u001b[36mawait\u001b[39m expect(page\u001b[33m.\u001b[39mgetByRole(\u001b[32m'button'\u001b[39m))\u001b[33m.\u001b[39mtoBeVisible()\u001b[33m;\u001b[39m\n"#;

/// Writes a report of Playwright of at least so many bytes: files of tests, of which most pass, with output, steps, and screenshots within it.
pub fn playwright(out: &mut dyn Write, bytes: u64) -> io::Result<Written> {
    let mut out = Counted { out, bytes: 0 };
    let mut written = Written::default();
    write!(
        out,
        "{{\n  \"config\": {{\n    \"rootDir\": \"/srv/shop/pw/tests\",\n    \"shard\": null,\n    \"version\": \"1.65.1\",\n    \"workers\": 4\n  }},\n  \"suites\": ["
    )?;
    let mut file = 0;
    while out.bytes < bytes {
        write!(
            out,
            "{}\n    {{\n      \"title\": \"part{file}.spec.ts\",\n      \"file\": \"part{file}.spec.ts\",\n      \"column\": 0,\n      \"line\": 0,\n      \"specs\": [],\n      \"suites\": [\n        {{\n          \"title\": \"part {file}\",\n          \"file\": \"part{file}.spec.ts\",\n          \"line\": 2,\n          \"column\": 6,\n          \"specs\": [",
            if file == 0 { "" } else { "," }
        )?;
        for test in 0..20 {
            if test > 0 {
                write!(out, ",")?;
            }
            spec(&mut out, file * 20 + test, &mut written.tests)?;
        }
        write!(out, "\n          ]\n        }}\n      ]\n    }}")?;
        file += 1;
    }
    let [passed, failed, flaky, skipped] = written.tests;
    write!(
        out,
        "\n  ],\n  \"errors\": [],\n  \"stats\": {{\n    \"startTime\": \"2026-11-22T21:41:02.144Z\",\n    \"duration\": 83656.8,\n    \"expected\": {passed},\n    \"skipped\": {skipped},\n    \"unexpected\": {failed},\n    \"flaky\": {flaky}\n  }}\n}}\n"
    )?;
    written.bytes = out.bytes;
    Ok(written)
}

fn spec(out: &mut impl Write, number: u64, tests: &mut [u64; 4]) -> io::Result<()> {
    let (kind, status, tries): (usize, &str, &[&str]) = match number % 50 {
        7 => (1, "unexpected", &["failed", "failed", "failed"]),
        17 => (2, "flaky", &["failed", "passed"]),
        27 | 37 => (3, "skipped", &["skipped"]),
        _ => (0, "expected", &["passed"]),
    };
    tests[kind] += 1;
    let is_good = kind != 1;
    let expected = if kind == 3 { "skipped" } else { "passed" };
    write!(
        out,
        "\n            {{\n              \"title\": \"does number {number}\",\n              \"ok\": {is_good},\n              \"tags\": [],\n              \"tests\": [\n                {{\n                  \"timeout\": 30000,\n                  \"annotations\": [],\n                  \"expectedStatus\": \"{expected}\",\n                  \"projectId\": \"chromium\",\n                  \"projectName\": \"chromium\",\n                  \"results\": ["
    )?;
    for (retry, end) in tries.iter().enumerate() {
        if retry > 0 {
            write!(out, ",")?;
        }
        result(out, end, retry)?;
    }
    write!(
        out,
        "\n                  ],\n                  \"status\": \"{status}\"\n                }}\n              ],\n              \"id\": \"f1cb60346fa183169422-{number:020}\",\n              \"file\": \"part{}.spec.ts\",\n              \"line\": {},\n              \"column\": 3\n            }}",
        number / 20,
        number % 20 * 9 + 3
    )
}

const PAD: &str = "                      ";

fn result(out: &mut impl Write, end: &str, retry: usize) -> io::Result<()> {
    write!(
        out,
        "\n                    {{\n{PAD}\"workerIndex\": {retry},\n{PAD}\"parallelIndex\": 0,\n{PAD}\"status\": \"{end}\",\n{PAD}\"duration\": 1234,"
    )?;
    if end == "failed" {
        errors(out)?;
    } else {
        write!(out, "\n{PAD}\"errors\": [],")?;
    }
    let line = format!("\n{PAD}  {{\n{PAD}    \"text\": \"{OUTPUT}\"\n{PAD}  }}");
    write!(out, "\n{PAD}\"stdout\": [{}\n{PAD}],\n{PAD}\"stderr\": [],", [line.as_str(); 12].join(","))?;
    let step =
        format!("\n{PAD}  {{\n{PAD}    \"title\": \"a step of it\",\n{PAD}    \"duration\": 7\n{PAD}  }}");
    write!(out, "\n{PAD}\"retry\": {retry},\n{PAD}\"steps\": [{}\n{PAD}],", [step.as_str(); 10].join(","))?;
    write!(
        out,
        "\n{PAD}\"startTime\": \"2026-11-22T21:42:44.817Z\",\n{PAD}\"annotations\": [],\n{PAD}\"attachments\": ["
    )?;
    if end == "failed" {
        let picture = "iVBORw0KGgoAAAANSUhEUgAA".repeat(2000);
        write!(
            out,
            "\n{PAD}  {{\n{PAD}    \"name\": \"screenshot\",\n{PAD}    \"contentType\": \"image/png\",\n{PAD}    \"body\": \"{picture}\"\n{PAD}  }}\n{PAD}"
        )?;
    }
    write!(out, "]\n                    }}")
}

fn errors(out: &mut impl Write) -> io::Result<()> {
    let snippet = SNIPPET.repeat(8);
    let message = format!(
        "Error: \\u001b[2mexpect(\\u001b[22mlocator\\u001b[2m).toBeVisible\\u001b[22m\\n\\n{snippet}"
    );
    write!(
        out,
        "\n{PAD}\"error\": {{\n{PAD}  \"message\": \"{message}\",\n{PAD}  \"stack\": \"{message}    at /srv/shop/pw/tests/part.spec.ts:14:9\",\n{PAD}  \"snippet\": \"{snippet}\"\n{PAD}}},"
    )?;
    write!(
        out,
        "\n{PAD}\"errors\": [\n{PAD}  {{\n{PAD}    \"location\": {{\n{PAD}      \"file\": \"/srv/shop/pw/tests/part.spec.ts\",\n{PAD}      \"column\": 9,\n{PAD}      \"line\": 14\n{PAD}    }},\n{PAD}    \"message\": \"{message}\"\n{PAD}  }}\n{PAD}],"
    )
}

/// Counts what is written.
struct Counted<'a> {
    out: &'a mut dyn Write,
    bytes: u64,
}

impl Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = self.out.write(bytes)?;
        self.bytes += length as u64;
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
