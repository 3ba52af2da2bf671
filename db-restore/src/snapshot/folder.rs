//! A snapshot's folder on disk: filled aside where nobody else may read it, made a snapshot by its name, measured, and removed.

use std::fs::File;
use std::path::{Path, PathBuf};

use step::{Permit, Secret};

use super::manifest::{self, Manifest};

/// The dump's name in it.
const DUMP: &str = "dump";

/// The size of all files of a folder.
pub fn size(folder: &Path) -> std::io::Result<u64> {
    std::fs::read_dir(folder)?.map(|entry| entry?.metadata().map(|m| m.len())).sum()
}

/// Why not all of the files are there that the manifest names, as far as their sizes tell.
pub fn incomplete(folder: &Path, manifest: &Manifest) -> Option<String> {
    if manifest.files.is_empty() {
        return Some("it holds no files".to_owned());
    }
    manifest.files.iter().find_map(|(name, expected)| match std::fs::metadata(folder.join(DUMP).join(name)) {
        Err(error) => Some(format!("{name}: {error}")),
        Ok(found) if found.len() != expected.bytes => {
            Some(format!("{name} has {} bytes instead of {}", found.len(), expected.bytes))
        }
        Ok(_) => None,
    })
}

/// An empty folder for a dump that is not finished, which nobody but us may read; one that a killed attempt of the same run left
/// is thrown away.
pub fn temporary(snapshots: &Path, document: &str, _permit: &Permit) -> std::io::Result<PathBuf> {
    use std::os::unix::fs::DirBuilderExt;
    let path = snapshots.join(format!(".tmp-{document}"));
    if path.exists() {
        std::fs::remove_dir_all(&path)?;
    }
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&path)?;
    Ok(path)
}

/// The folder of a snapshot's dump.
pub fn dump_of(folder: &Path) -> PathBuf {
    folder.join(DUMP)
}

/// Makes a finished dump a snapshot: the manifest, everything on disk, then the name.
pub fn publish(
    temporary: &Path,
    folder: &Path,
    (manifest, key): (&Manifest, Option<&Secret>),
    _permit: &Permit,
) -> std::io::Result<()> {
    let text = manifest.sealed(key).map_err(std::io::Error::other)?;
    std::fs::write(temporary.join(manifest::FILE), text)?;
    for entry in std::fs::read_dir(dump_of(temporary))? {
        File::open(entry?.path())?.sync_all()?;
    }
    for path in [&temporary.join(manifest::FILE), &dump_of(temporary), temporary] {
        File::open(path)?.sync_all()?;
    }
    std::fs::rename(temporary, folder)?;
    folder.parent().map_or(Ok(()), |parent| File::open(parent)?.sync_all())
}

/// Removes a snapshot of ours: its name first, so that what is half gone is none.
pub fn remove(snapshots: &Path, id: &str, _permit: &Permit) -> std::io::Result<()> {
    let gone = snapshots.join(format!(".gone-{id}"));
    std::fs::rename(snapshots.join(id), &gone)?;
    std::fs::remove_dir_all(gone)
}
