//! What a setting is: declared once by its program, in a table of constants. From it come the check of `release.toml`, the answer of
//! `PROGRAM settings`, the tables of the manual and the schema for editors.

/// One key of a table of `release.toml`.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// The key below its table, with dots for tables in it; `*` is a name that people choose. A secret's is without `_file`.
    pub key: &'static str,
    /// What its value may be.
    pub kind: Kind,
    /// One sentence for people, without a full stop.
    pub about: &'static str,
    /// The value where none is set, written as in an environment variable.
    pub default: Option<&'static str>,
    /// What happens where none is set and that is no value.
    pub otherwise: Option<&'static str>,
    /// A value as an example, written as in an environment variable.
    pub example: Option<&'static str>,
    /// Whether the program cannot work without it.
    pub is_required: bool,
}

impl Setting {
    /// A setting without a default.
    pub const fn new(key: &'static str, kind: Kind, about: &'static str) -> Self {
        Setting { key, kind, about, default: None, otherwise: None, example: None, is_required: false }
    }

    /// With the value that it has where none is set.
    #[must_use]
    pub const fn default(self, value: &'static str) -> Self {
        Setting { default: Some(value), ..self }
    }

    /// With what happens where none is set.
    #[must_use]
    pub const fn otherwise(self, words: &'static str) -> Self {
        Setting { otherwise: Some(words), ..self }
    }

    /// One without which the program cannot work.
    #[must_use]
    pub const fn required(self) -> Self {
        Setting { is_required: true, ..self }
    }

    /// With an example.
    #[must_use]
    pub const fn example(self, value: &'static str) -> Self {
        Setting { example: Some(value), ..self }
    }

    /// The key as it is written in the file: a secret stands in a file of its own, which is named.
    pub(super) fn written(&self) -> String {
        if self.kind.is_secret() { format!("{}_file", self.key) } else { self.key.to_owned() }
    }

    /// Whether a key as people write it (`channels.team.kind`) is this one.
    pub(super) fn is(&self, key: &str) -> bool {
        let written = self.written();
        let mut own = written.split('.');
        let mut given = key.split('.');
        loop {
            match (own.next(), given.next()) {
                (None, None) => return true,
                (Some(a), Some(b)) if a == b || a == "*" => {}
                _ => return false,
            }
        }
    }
}

/// What a value may be.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// Text in quotes.
    Text,
    /// Text, or a whole number that is used as text.
    Id,
    /// One of these words.
    Word(&'static [&'static str]),
    /// Text of a form.
    Form(&'static Form),
    /// `true` or `false`.
    Flag,
    /// A whole number between these, both included.
    Whole(i64, i64),
    /// A number above 0.
    Positive,
    /// A number from 0 to 1.
    Part,
    /// A length of time, such as `90s`.
    Time,
    /// A file or folder; a relative one is relative to `release.toml`.
    Path,
    /// A secret: a file that holds it is named, or the variable `X_FILE` names one, or the variable X holds it.
    Secret(&'static str),
    /// A list, or one value for a list of one.
    List(&'static Kind),
}

impl Kind {
    pub(super) fn is_secret(&self) -> bool {
        matches!(self, Kind::Secret(_))
    }

    /// The variables that hold a secret, and those that name its file first; of anything else, none.
    pub(super) fn variables(&self) -> Vec<String> {
        let Kind::Secret(words) = self else { return Vec::new() };
        let names = words.split([',', ' ']).filter(|name| name.contains('_'));
        names.flat_map(|name| [format!("{name}_FILE"), name.to_owned()]).collect()
    }
}

/// Texts of a form.
#[derive(Debug)]
pub struct Form {
    /// What they are, for people: `20 small letters`.
    pub name: &'static str,
    /// The same as a regular expression, for editors (ECMA 262).
    pub pattern: &'static str,
    /// Whether a text is one.
    pub fits: fn(&str) -> bool,
}

/// Addresses that others are put below: no user, query or fragment.
pub const ADDRESS: Form = Form {
    name: "an address, such as https://host.example, without user, query or fragment",
    pattern: r"^https?://[^ \t\r\n@?#]+$",
    fits: |text| is_address(text) && !text.contains(['@', '?', '#']),
};

/// Addresses of pages, and of whatever else is asked for as it is written.
pub const PAGE: Form = Form {
    name: "an address, such as https://host.example/page",
    pattern: r"^https?://[^ \t\r\n]+$",
    fits: is_address,
};

fn is_address(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|rest| !rest.is_empty() && !rest.contains(BLANKS))
}

const BLANKS: [char; 4] = [' ', '\t', '\r', '\n'];

/// How a page says its build.
const MARKER: Form = Form {
    name: "a header's name, or html: and an attribute's name, or next",
    pattern: r"^(html:)?[^ \t\r\n:]+$",
    fits: |text| {
        let name = text.strip_prefix("html:").unwrap_or(text);
        !name.is_empty() && !name.contains(BLANKS) && !name.contains(':')
    },
};

/// The settings of `[product]`.
pub(super) const PRODUCT: &[Setting] = &[
    Setting::new("name", Kind::Text, "the product's name; it is in the id of every document").example("shop"),
    Setting::new(
        "repository",
        Kind::Text,
        "where its repository is on the web; the changelog's links lead there",
    )
    .otherwise("the address of git's remote")
    .example("https://github.com/example/shop"),
    Setting::new("changelog", Kind::Path, "the changelog").otherwise("CHANGELOG.md").example("CHANGELOG.md"),
    Setting::new("image", Kind::Text, "the image of a build, with {version}, {tag} or {commit}")
        .example("registry.example/shop:{version}"),
];

/// The settings of `[environment.X]` itself.
pub(super) const ENVIRONMENT: &[Setting] = &[
    Setting::new("public_urls", Kind::List(&Kind::Form(&PAGE)), "the pages that are asked and purged")
        .example("https://shop.example/"),
    Setting::new(
        "marker",
        Kind::Form(&MARKER),
        "by what a page says its build: a header, html:attribute, or next (what that framework writes by itself)",
    )
    .example("X-Release"),
    Setting::new("branch", Kind::Text, "the branch of what runs there").example("main"),
    Setting::new("role", Kind::Word(&["production", "staging"]), "which procedures go there")
        .otherwise("its name, where that is production or staging"),
];
