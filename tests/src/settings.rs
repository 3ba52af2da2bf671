//! What the programs say of their settings, put together: the schema of `release.toml`, and the tables of the pages.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Where a table begins and ends in a page.
const BEGIN: &str = "<!-- settings -->\n";
const END: &str = "<!-- end of settings -->";

/// The schema as one program knows it.
pub fn schema(program: &str) -> Value {
    let output = Command::new(crate::bin(program)).args(["settings", "--schema"]).output().expect("started");
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// The schema of all programs: each one's own table is its own word.
pub fn merged() -> Value {
    let mut all = schema(crate::programs().next().expect("a program"));
    for program in crate::programs() {
        all["$defs"][program] = schema(program)["$defs"][program].take();
    }
    all
}

/// The pages that hold settings, by their path in the workspace, with what they must hold.
pub fn pages(root: &Path) -> Vec<(PathBuf, String)> {
    let schema = merged();
    let readme = |program: &str| {
        let path = PathBuf::from(program).join("README.md");
        let text = std::fs::read_to_string(root.join(&path)).expect("a README");
        let (before, rest) = text.split_once(BEGIN)?;
        let (_, after) = rest.split_once(END).expect("the end of the settings");
        let table = table(&schema["$defs"][program]);
        Some((path, format!("{before}{BEGIN}\n{table}\n{END}{after}")))
    };
    let mut pages: Vec<(PathBuf, String)> = crate::programs().filter_map(readme).collect();
    pages.push(("docs/settings.md".into(), page(&schema)));
    pages.push(("docs/release.schema.json".into(), format!("{schema:#}\n")));
    pages
}

fn page(schema: &Value) -> String {
    let mut page = "# Settings\n\n\
        What `release.toml` may hold; `PROGRAM settings --env NAME` shows what is set, and where. Each program reads `[PROGRAM]`, with\n\
        `[environment.NAME.PROGRAM]` laid over it, and over both the variable `RILIS_PROGRAM_KEY` (`RILIS_TAG_RC_BRANCH`); what is misspelt or does not\n\
        fit is an error. For an editor, copy [release.schema.json](release.schema.json) beside your `release.toml`, and let that begin with the\n\
        line `#:schema ./release.schema.json`.\n\
        \n\
        A time is a number with its unit in quotes: `\"90s\"`, `\"1h 30m\"` (`d`, `h`, `m`, `s`, `ms`, the greater first, each once). \"One, or a list\" is `\"a\"` or\n\
        `[\"a\", \"b\"]`, in a variable too. A path is relative to the folder of `release.toml`; `~` is not a folder. A secret stands in a file of its own that nobody else can read\n\
        (`chmod 600`), outside of the repository, or in the variable: never in `release.toml`. A key that is unknown is an error in every table of the\n\
        file that the program reads; a value that is wrong is one in the environment that a step works for, and with `--check` in all of them.\n\n\
        This page is made of what the programs say of themselves (`make settings`).\n"
        .to_owned();
    let tables =
        [("[product]", &schema["properties"]["product"]), ("[environment.NAME]", environment(schema))];
    let programs = crate::programs().map(|name| (name, &schema["$defs"][name]));
    for (name, schema) in tables.into_iter().chain(programs) {
        write!(page, "\n## {name}\n\n{}", table(schema)).expect("text");
    }
    page
}

fn environment(schema: &Value) -> &Value {
    &schema["properties"]["environment"]["additionalProperties"]
}

/// The keys of a table, one line each.
fn table(schema: &Value) -> String {
    let mut rows = "| key | what it is | value | where it is not set |\n|---|---|---|---|\n".to_owned();
    let mut keys = Vec::new();
    flatten("", schema, &mut keys);
    for (key, one) in keys {
        let (about, value, otherwise) = (about(one), cell(&one["x-value"]), otherwise(one));
        writeln!(rows, "| `{key}` | {about} | {value} | {otherwise} |").expect("text");
    }
    rows
}

fn flatten<'a>(prefix: &str, schema: &'a Value, keys: &mut Vec<(String, &'a Value)>) {
    let named =
        schema["properties"].as_object().into_iter().flatten().map(|(key, inner)| (key.as_str(), inner));
    let free = schema["additionalProperties"].is_object().then_some(("*", &schema["additionalProperties"]));
    for (key, inner) in named.chain(free) {
        let key = if prefix.is_empty() { key.to_owned() } else { format!("{prefix}.{key}") };
        if inner["type"] == "object" {
            flatten(&key, inner, keys);
        } else if inner.get("$ref").is_none() {
            keys.push((key, inner));
        }
    }
}

/// A text as it is written in a table.
fn cell(value: &Value) -> String {
    value.as_str().unwrap_or_default().replace('|', "\\|")
}

fn about(one: &Value) -> String {
    let about = cell(&one["description"]);
    match one["x-secret"].as_str() {
        Some(variable) if variable.contains([' ', ',']) => {
            format!("{about}; or {variable}, each also with `_FILE`")
        }
        Some(variable) => format!("{about}; or `{variable}_FILE`, `{variable}`"),
        None => about,
    }
}

fn otherwise(one: &Value) -> String {
    match (one.get("default"), one["x-otherwise"].as_str()) {
        (Some(value), _) => format!("`{}`", value.as_str().map_or_else(|| value.to_string(), str::to_owned)),
        (None, Some(words)) => words.to_owned(),
        (None, None) if one["x-required"] == true => "must be set".to_owned(),
        (None, None) => String::new(),
    }
}
