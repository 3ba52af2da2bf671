//! `notify templates`: proves every template, or writes the built-in ones as files.

use std::path::Path;

use serde_json::json;
use step::{Answer, Context, Failure};

use crate::listing::counted;
use crate::message::samples::samples;
use crate::message::story::Story;
use crate::message::templates::{BUILT_IN, Layout};
use crate::message::words::{self, LANGUAGES};
use crate::settings;

/// `notify templates`: every template in both languages on sample documents, or the built-in ones as files.
pub fn templates(context: &Context, write: Option<&Path>) -> Result<Answer, Failure> {
    if let Some(folder) = write {
        return written(folder);
    }
    let own = settings::templates(&context.settings)?;
    let mut broken: Vec<String> = Vec::new();
    let mut proven = 0;
    for lang in LANGUAGES {
        let layout = Layout::new(lang, own.as_deref(), &mut |why| broken.push(why));
        for (document, stopped) in samples() {
            let story = Story::of(&document, stopped);
            match layout.attempt(layout.theirs().unwrap_or(layout.ours()), &story) {
                Ok(_) => proven += 1,
                Err(why) => broken.push(format!("{why} ({lang}, {})", story.event)),
            }
        }
    }
    broken.dedup();
    let whose =
        own.map_or_else(|| "the built-in templates".to_owned(), |folder| folder.display().to_string());
    let value = json!({ "proven": proven, "broken": broken });
    if broken.is_empty() {
        return Ok(Answer::new(
            format!("{} with {whose}", counted(proven, "message proven", "messages proven")),
            value,
        ));
    }
    let failure = Failure::config(
        "template",
        format!(
            "{whose}: {} go out with the built-in template",
            counted(broken.len(), "message would", "messages would")
        ),
    );
    Ok(Answer::new(broken.join("\n"), value).but(failure))
}

fn written(folder: &Path) -> Result<Answer, Failure> {
    let failed = |path: &Path, e: &std::io::Error| Failure::usage("file", format!("{}: {e}", path.display()));
    std::fs::create_dir_all(folder).map_err(|e| failed(folder, &e))?;
    let words = words::BUILT_IN.iter().map(|(lang, text)| (format!("{lang}.toml"), *text));
    let files: Vec<(String, &str)> =
        BUILT_IN.iter().map(|(name, text)| ((*name).to_owned(), *text)).chain(words).collect();
    for (name, text) in &files {
        let path = folder.join(name);
        // Somebody's own work is not written over.
        let file = std::fs::File::options().write(true).create_new(true).open(&path);
        file.and_then(|mut f| std::io::Write::write_all(&mut f, text.as_bytes()))
            .map_err(|e| failed(&path, &e))?;
    }
    let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
    Ok(Answer::new(
        format!("{} written to {}", counted(names.len(), "file", "files"), folder.display()),
        json!({ "files": names }),
    ))
}
