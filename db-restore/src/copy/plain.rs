//! Dumps in plain SQL, the form that proves least: whether one is whole, and whether it is what pg_dump writes.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use crate::copy::apply;
use crate::copy::script::{END, Piece, Script, Statement};

/// Calls `each` with every statement, without the data. Gives whether the end of a whole dump is there.
pub fn statements(path: &Path, each: &mut dyn FnMut(&Statement)) -> Result<bool, String> {
    let file = File::open(path).map_err(|e| e.to_string())?;
    let mut script = Script::new(BufReader::new(file));
    while let Some(piece) = script.next()? {
        match piece {
            Piece::Statement(statement) => {
                apply::turn(&statement, u32::MAX)?;
                each(&statement);
            }
            Piece::Copy(_) => while script.data()?.is_some() {},
        }
    }
    Ok(script.whole)
}

/// It must be whole, and give psql no orders: `\connect` would lead out of the side database.
pub fn check(path: &Path) -> Result<(), String> {
    if statements(path, &mut |_| ())? {
        Ok(())
    } else {
        Err(format!("it does not end with `{END}`: it is cut off"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(text: &str) -> Result<(), String> {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), text).expect("written");
        check(file.path())
    }

    #[test]
    fn a_plain_dump_is_whole_and_stays_where_it_is() {
        let good = format!(
            "\\restrict k\nCOPY t (a) FROM stdin;\n\\N\n\\connect is data here\n\\.\n{END}\n\\unrestrict k\n"
        );
        assert_eq!(checked(&good), Ok(()));
        assert!(checked("COPY t (a) FROM stdin;\n1\n").expect_err("cut off").contains("cut off"));
        assert!(
            checked(&format!("\\connect shop\n{END}\n")).expect_err("an order").contains("\\connect shop")
        );
        assert!(checked(&format!("\\! rm -rf /\n{END}\n")).is_err());
    }
}
