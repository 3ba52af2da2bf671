//! The documents of runs: from a run's folder to the remote and back.

use std::path::Path;

use step::{Failure, Permit};

use crate::args::run_name;
use crate::refs::{Moved, Refs};

/// Puts a run's documents on the remote; a sentence.
pub fn store(refs: &Refs, permit: Option<&Permit>, folder: &Path) -> Result<String, Failure> {
    let run = run_name(folder)?;
    let names = documents(folder)?;
    let name = format!("runs/{run}");
    let before = refs.tip(&name)?;
    let tree = refs.tree(folder, &names)?;
    if let Some(before) = &before {
        refs.bring(&[(before, &name)])?;
        if refs.tree_of(before)? == tree {
            return Ok(format!("{} has {run} already", refs.remote()));
        }
    }
    let Some(permit) = permit else { return Ok(format!("would put {run} on {}", refs.remote())) };
    let message = format!("run {run}: {} files\n", names.len());
    match refs.put(permit, &name, before.as_deref(), &tree, &message)? {
        Moved::Done => Ok(format!("{} has {run}", refs.remote())),
        Moved::Lost => {
            let message = format!("{run} was written from elsewhere at the same time; run it again");
            Err(Failure::temporary("written-elsewhere", message))
        }
    }
}

/// Brings the documents of the runs whose names have `like` in them; their names. What is here already is left as it is.
pub fn fetch(refs: &Refs, like: &str, folder: &Path) -> Result<Vec<String>, Failure> {
    let found: Vec<_> = refs.list("runs")?.into_iter().filter(|(_, run)| run.contains(like)).collect();
    let names: Vec<String> = found.iter().map(|(_, run)| format!("runs/{run}")).collect();
    let entries: Vec<(&str, &str)> =
        found.iter().zip(&names).map(|((id, _), name)| (id.as_str(), name.as_str())).collect();
    refs.bring(&entries)?;
    for (entry, run) in &found {
        // A name from the remote becomes a folder's name here.
        let place = folder.join(run_name(Path::new(run))?);
        std::fs::create_dir_all(&place).map_err(|e| unusable(&place, &e))?;
        for (name, content) in refs.files(entry)?.into_iter().filter(|(name, _)| is_document(name)) {
            let file = place.join(name);
            if !file.exists() {
                std::fs::write(&file, content).map_err(|e| unusable(&file, &e))?;
            }
        }
    }
    Ok(found.into_iter().map(|(_, run)| run).collect())
}

/// The documents of a run's folder, by name.
fn documents(folder: &Path) -> Result<Vec<String>, Failure> {
    let entries = std::fs::read_dir(folder).map_err(|e| unusable(folder, &e))?.flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut names: Vec<String> = names.filter(|name| is_document(name)).collect();
    names.sort();
    Ok(names)
}

/// `05-deploy.json`, `05-deploy.failed.json`, `notify.json`, and the mark of a finished run or of one that was left behind; nothing with a path in it.
fn is_document(name: &str) -> bool {
    let usable = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    matches!(name, "finished" | "abandoned")
        || (name.ends_with(".json") && !name.starts_with('.') && name.chars().all(usable))
}

fn unusable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::config("runs", format!("{} cannot be used: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_documents_go_to_the_remote() {
        for name in ["01-changelog.json", "05-deploy.failed.json", "notify.json", "finished"] {
            assert!(is_document(name), "{name}");
        }
        for name in [".lock", "lease", "05-deploy.json.part", "../x.json", ".x.json", "a b.json"] {
            assert!(!is_document(name), "{name}");
        }
    }
}
