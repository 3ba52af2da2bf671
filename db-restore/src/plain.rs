//! Dumps in plain SQL, the form that proves least: whether one is whole, and whether it keeps to the database it is sent into.

use std::path::Path;

use crate::sources::archive::lines;

/// Ends every plain dump that is whole.
const END: &str = "-- PostgreSQL database dump complete";

/// Calls `each` with every line that is no data.
pub fn statements(path: &Path, each: &mut dyn FnMut(&str)) -> std::io::Result<()> {
    let mut data = false;
    for line in lines(path)? {
        let line = line?;
        match (data, line.as_str()) {
            (true, "\\.") => data = false,
            (true, _) => {}
            (false, text) => {
                data = text.starts_with("COPY ") && text.ends_with(" FROM stdin;");
                each(text);
            }
        }
    }
    Ok(())
}

/// It must be whole, and give psql no orders: `\connect` would lead out of the side database.
pub fn check(path: &Path) -> Result<(), String> {
    let (mut whole, mut order) = (false, None);
    let mut each = |line: &str| {
        whole |= line == END;
        let allowed = ["\\restrict ", "\\unrestrict "].iter().any(|word| line.starts_with(word));
        if line.starts_with('\\') && !allowed {
            order.get_or_insert_with(|| step::excerpt(line, 60));
        }
    };
    statements(path, &mut each).map_err(|e| e.to_string())?;
    match order {
        Some(order) => Err(format!(
            "it gives psql the order `{order}`, which would lead out of the side database; dump it without --create"
        )),
        None if !whole => Err(format!("it does not end with `{END}`: it is cut off")),
        None => Ok(()),
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
