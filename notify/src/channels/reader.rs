//! A channel's settings: its own table, its secrets, and addresses that show no secret on the way.

use step::{Failure, Secret, Settings};

/// What a channel's settings are read with.
pub struct Reader<'a> {
    pub settings: &'a Settings,
    /// `luxima-alerts`.
    pub name: &'a str,
    /// Nothing will be sent: secrets may be missing.
    pub dry: bool,
}

impl Reader<'_> {
    /// The key within `[notify]`.
    pub fn key(&self, key: &str) -> String {
        format!("channels.{}.{key}", Settings::part(self.name))
    }

    pub(super) fn text(&self, key: &str) -> Result<Option<String>, Failure> {
        self.settings.text(&self.key(key))
    }

    pub(super) fn need(&self, key: &str) -> Result<String, Failure> {
        self.settings.value(&self.key(key))
    }

    pub(super) fn wrong(&self, key: &str, why: &str) -> Failure {
        self.settings.wrong(&self.key(key), why)
    }

    pub(super) fn secret(&self, key: &str, variable: &str) -> Result<Option<Secret>, Failure> {
        self.settings.secret(&self.key(key), variable)
    }

    pub(super) fn need_secret(&self, key: &str, variable: &str) -> Result<Secret, Failure> {
        match self.settings.need_secret(&self.key(key), variable) {
            Err(_) if self.dry => Ok(Secret::new("")),
            found => found,
        }
    }

    /// An address without a slash at its end. What goes there is secret: plain HTTP is for this machine, or where `cleartext` says so.
    pub(super) fn address(&self, key: &str, given: Option<String>) -> Result<String, Failure> {
        let url = match given {
            Some(url) => url,
            None => self.need(key)?,
        };
        self.safe_address(key, &url)?;
        Ok(url.trim_end_matches('/').to_owned())
    }

    fn safe_address(&self, key: &str, url: &str) -> Result<(), Failure> {
        address::guarded(self.settings, &self.key(key), &self.key(address::CLEARTEXT), url)
    }

    /// An address that is a secret itself.
    pub(super) fn secret_address(&self, key: &str, variable: &str) -> Result<Secret, Failure> {
        let secret = self.need_secret(key, variable)?;
        if !secret.expose().is_empty() {
            self.safe_address(&format!("{key}_file"), secret.expose())?;
            // Its path alone, or the last of it, is as good as the whole.
            let (_, path) = secret.expose().split_once("://").unwrap_or_default();
            if let Some((_, path)) = path.split_once('/') {
                let _ = (Secret::new(path), Secret::new(path.rsplit('/').next().unwrap_or_default()));
            }
        }
        Ok(secret)
    }
}
