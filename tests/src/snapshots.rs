//! db-restore's snapshots as somebody may change them who knows how they are made: the manifest ends with its own SHA-256, and the
//! folder's name says the time.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// Rewrites a manifest, with the hash that belongs to it.
pub fn edit(folder: &Path, change: impl Fn(&mut Value)) {
    let path = folder.join("manifest.json");
    let mut manifest: Value = serde_json::from_slice(&std::fs::read(&path).expect("there")).expect("JSON");
    let fields = manifest.as_object_mut().expect("an object");
    fields.remove("sha256");
    fields.remove("hmac_sha256");
    change(&mut manifest);
    let text = serde_json::to_string_pretty(&manifest).expect("JSON");
    let text = text.strip_suffix("\n}").expect("an object");
    let cluster = manifest["system_identifier"].as_str().expect("a number");
    let hashed =
        text.replacen(&format!("\"system_identifier\": \"{cluster}\""), "\"system_identifier\": \"\"", 1);
    let hash: String = Sha256::digest(hashed).iter().map(|b| format!("{b:02x}")).collect();
    std::fs::write(path, format!("{text},\n  \"sha256\": \"{hash}\"\n}}")).expect("written");
}

/// The snapshot was taken at another time, by its own word; gives the folder's name by that time.
pub fn taken_at(folder: &Path, at: Timestamp) -> PathBuf {
    let name = folder.file_name().expect("a name").to_string_lossy().into_owned();
    let mut parts: Vec<String> = name.rsplitn(3, '-').map(str::to_owned).collect();
    parts[1] = at.strftime("%Y%m%dT%H%M%SZ").to_string();
    parts.reverse();
    let id = parts.join("-");
    edit(folder, |manifest| {
        manifest["id"] = json!(id);
        manifest["taken_at"] = json!(at.to_string());
        manifest["finished_at"] = json!(at.to_string());
    });
    let renamed = folder.with_file_name(&id);
    std::fs::rename(folder, &renamed).expect("renamed");
    renamed
}
