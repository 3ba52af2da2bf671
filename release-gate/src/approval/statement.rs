//! What a person signs. Pure.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The version of the form.
pub const SCHEMA: u64 = 1;

/// What a statement says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// This may be released.
    Approve,
    /// This must never be released.
    Reject,
    /// A statement of the same person counts no more.
    Revoke,
}

/// The migrations that come with it, and the worst that they do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Migrations {
    pub class: String,
    pub files: Vec<String>,
}

/// What is to be released.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shipped {
    pub product: String,
    pub environment: String,
    pub version: String,
    /// The candidate's tag.
    pub tag: String,
    /// The tree of its commit.
    pub tree: String,
    /// Its images by digest, where a registry tells.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<String>,
    pub migrations: Migrations,
}

/// A statement, as it is signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// The version of the form: [`SCHEMA`].
    pub schema: u64,
    pub kind: Kind,
    /// Its own name, 16 hex digits.
    pub id: String,
    /// The role in which somebody approves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Who, by the name in the file of allowed signers.
    pub by: String,
    pub at: Timestamp,
    /// Why, of a rejection or a revocation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The statement that counts no more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
    /// What it is about; a revocation is about a statement.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shipped: Option<Shipped>,
}

impl Shipped {
    /// Why an approval of `other` is none of this: the first thing that differs.
    pub fn differs(&self, other: &Shipped) -> Option<&'static str> {
        let same = |images: &[String], others: &[String]| {
            let mut pair = [images.to_vec(), others.to_vec()];
            pair.iter_mut().for_each(|all| all.sort());
            pair[0] == pair[1]
        };
        [
            (self.product == other.product, "another product"),
            (self.environment == other.environment, "another environment"),
            (self.version == other.version, "another version"),
            (self.tag == other.tag, "another candidate"),
            (self.tree == other.tree, "another tree"),
            (
                self.images.is_empty() || !other.images.is_empty(),
                "no image (approve where Coolify can be asked which it is)",
            ),
            (same(&self.images, &other.images), "other images"),
            (self.migrations == other.migrations, "other migrations"),
        ]
        .into_iter()
        .find_map(|(is_same, what)| (!is_same).then_some(what))
    }
}
