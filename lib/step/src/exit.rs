//! How a program ends: the codes that scripts and the keeper of a run branch on.

/// An exit code with its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Changed, unchanged or planned.
    Done = 0,
    /// Refused, or tried and failed; `kind` and `acted` in the document say which.
    Failed = 1,
    /// The command line is wrong.
    Usage = 2,
    /// What came on stdin is no usable document.
    NoDocument = 65,
    /// A bug.
    Bug = 70,
    /// The document could not be written: the world may have changed, and nobody knows.
    NotWritten = 74,
    /// Running it again may work.
    Temporary = 75,
    /// A setting or a secret is missing or wrong.
    Config = 78,
    /// SIGHUP.
    HungUp = 129,
    /// SIGINT.
    Interrupted = 130,
    /// SIGTERM.
    Terminated = 143,
}

/// All of them, with what `--help` says; those of signals are one line.
const TABLE: [(&[Exit], &str); 9] = [
    (&[Exit::Done], "done: changed, unchanged or planned"),
    (&[Exit::Failed], "refused, or tried and failed (`kind` and `acted` in the document say which)"),
    (&[Exit::Usage], "wrong usage"),
    (&[Exit::NoDocument], "no usable document on stdin: the step before died"),
    (&[Exit::Bug], "a bug in this program"),
    (&[Exit::NotWritten], "the document could not be written: look before running again"),
    (&[Exit::Temporary], "temporary: running it again may work"),
    (&[Exit::Config], "a setting or a secret is missing or wrong"),
    (&[Exit::HungUp, Exit::Interrupted, Exit::Terminated], "interrupted"),
];

impl Exit {
    /// The code with this number; `None` of one that no program of ours ends with.
    pub fn of(code: i32) -> Option<Self> {
        TABLE.iter().flat_map(|(exits, _)| *exits).copied().find(|exit| i32::from(exit.code()) == code)
    }

    /// The number.
    pub const fn code(self) -> u8 {
        self as u8
    }
}

/// The table that ends every `--help`.
pub(crate) fn table() -> String {
    let line = |(exits, meaning): &(&[Exit], &str)| {
        let codes: Vec<String> = exits.iter().map(|exit| exit.code().to_string()).collect();
        format!("{:>5}  {meaning}", codes.join(", "))
    };
    format!("Exit codes:\n{}", TABLE.iter().map(line).collect::<Vec<_>>().join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_every_code_once() {
        let mut codes: Vec<u8> = TABLE.iter().flat_map(|(exits, _)| *exits).map(|exit| exit.code()).collect();
        assert_eq!(codes, [0, 1, 2, 65, 70, 74, 75, 78, 129, 130, 143]);
        codes.dedup();
        assert_eq!(codes.len(), 11);
        assert!(
            table().starts_with("Exit codes:\n    0  done: changed")
                && table().ends_with("129, 130, 143  interrupted")
        );
    }
}
