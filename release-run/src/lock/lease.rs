//! What a run notes about its own lock, in a file beside its documents: it survives a kill, and says whose the lock is.

use std::io::{ErrorKind, Write};
use std::path::Path;

use serde_json::{Value, json};
use step::Failure;

use super::Lease;

/// What the file says; `None` when there is none.
pub fn read(file: &Path) -> Result<Option<Lease>, Failure> {
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unusable(file, &error)),
    };
    let value: Value = serde_json::from_str(&text).unwrap_or_default();
    let word = |key: &str| Some(value.get(key)?.as_str()?.to_owned());
    let lease = || {
        let generation = value.get("generation")?.as_u64()?;
        Some(Lease {
            environment: word("environment")?,
            run: word("run")?,
            token: word("lease")?,
            generation,
        })
    };
    let damaged = || {
        let message = format!(
            "{} is damaged; remove it, and the lock can be taken when its time is over",
            file.display()
        );
        Failure::config("lease-file", message)
    };
    lease().map(Some).ok_or_else(damaged)
}

/// What the file says, which must be there.
pub fn needed(file: &Path) -> Result<Lease, Failure> {
    let message = || format!("there is no {}: `release-run lock` writes it", file.display());
    read(file)?.ok_or_else(|| Failure::usage("lease-file", message()))
}

/// Writes the file and renames it into place. `held` tells a runbook whether there is something to give back.
pub fn write(file: &Path, lease: &Lease, held: bool) -> Result<(), Failure> {
    let value = json!({ "environment": lease.environment, "run": lease.run, "lease": lease.token, "generation": lease.generation, "held": held });
    let mut part = file.as_os_str().to_owned();
    part.push(".part");
    let put = || {
        let mut open = std::fs::File::create(&part)?;
        open.write_all(value.to_string().as_bytes())?;
        open.sync_all()?;
        std::fs::rename(&part, file)
    };
    put().map_err(|e| unusable(file, &e))
}

/// Removes the file.
pub fn remove(file: &Path) -> Result<(), Failure> {
    std::fs::remove_file(file).map_err(|e| unusable(file, &e))
}

fn unusable(file: &Path, error: &std::io::Error) -> Failure {
    Failure::config("lease-file", format!("{} cannot be used: {error}", file.display()))
}
