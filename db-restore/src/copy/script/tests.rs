//! The reader of scripts: what it takes, and what it refuses.

use super::*;

fn all(text: &str) -> Result<Vec<String>, String> {
    let mut script = Script::new(text.as_bytes());
    let mut pieces = Vec::new();
    while let Some(piece) = script.next()? {
        match piece {
            Piece::Statement(statement) => pieces.push(statement.text),
            Piece::Copy(statement) => {
                let mut rows = 0;
                while script.data()?.is_some() {
                    rows += 1;
                }
                pieces.push(format!("{} [{rows}]", statement.text));
            }
        }
    }
    Ok(pieces)
}

#[test]
fn statements_end_where_the_server_says_that_they_end() {
    let one = |text: &str| assert_eq!(all(&format!("{text};\n")), Ok(vec![text.to_owned()]), "{text}");
    one("select 'a;b', E'it\\'s; \\\\', \"x;y\", 'it''s;'");
    one("create function f() returns int language sql as $$ select 1; select 2; $$");
    one("create function f() returns int language sql as $body$ $$ ; $x$ $body$");
    one(
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END",
    );
    one("CREATE OR REPLACE PROCEDURE p() BEGIN ATOMIC select 1; END");
    one("CREATE RULE r AS ON INSERT TO t DO (select 1; select 2)");
    one("select a$b$c");
    assert_eq!(all("select 1; -- x ; \\! y\nselect /* ; /* \\! */ ; */ 2;").map(|s| s.len()), Ok(2));
    assert_eq!(all("begin; end;"), Ok(vec!["begin".into(), "end".into()]));
}

#[test]
fn data_is_data() {
    let text = "COPY public.t (a) FROM stdin;\n\\N\n\\connect x\n;\n\\.\nselect 1;\n";
    assert_eq!(all(text), Ok(vec!["COPY public.t (a) FROM stdin [3]".into(), "select 1".into()]));
    for table in
        ["\"a.b\".\"c\"\"d; drop table x; --\"", "public.\"COPY x FROM stdin;\"", "public.\"select\"", "a.b"]
    {
        let text = format!("COPY {table} (\"e'f\", \"ü 中\") FROM stdin;\n1\t2\n\\.\n");
        assert!(all(&text).is_ok(), "{text}: {:?}", all(&text));
    }
    assert!(all("COPY t (a) FROM stdin;\n1\n").expect_err("cut").contains("cut off"));
    assert!(all("COPY t (a) FROM stdin; select 1;\n1\n\\.\n").is_err());
    assert!(all("COPY t TO PROGRAM 'x';\n").is_err());
    assert!(all("COPY t FROM PROGRAM 'x' FROM stdin;\n\\.\n").is_err());
    assert!(all("COPY FROM stdin;\n\\.\n").is_err());
    assert!(all("COPY (select 1) TO stdout;\n").is_err());
}

#[test]
fn psql_gets_no_orders() {
    for order in [
        "\\connect x\n",
        " \\! touch PWN\n",
        "select 1; \\! touch PWN\n",
        "select 1 \\g |sh\n",
        "select 1 \\gexec\n",
        "\\restrict a b\n",
        "\\restrict a; \\! x\n",
        "\\unrestrict `x`\n",
        "select 1;\\c po\\\\drop table t;\n",
        "\\.\n",
        "select \\\n1;\n",
        "/* x */ \\! y\n",
        "\\copy t from program 'x'\n",
    ] {
        assert!(all(order).expect_err(order).contains("gives psql the order"), "{order}");
    }
    assert_eq!(all("\\restrict abc123\nselect 1;\n\\unrestrict abc123\n"), Ok(vec!["select 1".into()]));
    assert_eq!(all("select :'x', ':y', `1`;\n").map(|s| s.len()), Ok(1), "they mean nothing to a server");
}

#[test]
fn words_tell_what_a_statement_is() {
    let mut script = Script::new(&b"ALTER TABLE public.\"Odd TO\" OWNER TO \"Some one\";\nGRANT ALL ON SCHEMA x TO y WITH GRANT OPTION;"[..]);
    let Ok(Some(Piece::Statement(owner))) = script.next() else { panic!("a statement") };
    assert!(owner.begins(&["alter", "table"]) && owner.has("owner", "to"), "{owner:?}");
    let Ok(Some(Piece::Statement(grant))) = script.next() else { panic!("a statement") };
    assert!(grant.begins(&["grant", "all", "on", "schema"]), "{grant:?}");
}

#[test]
fn what_is_no_utf8_is_left_to_the_server() {
    let text = b"SET client_encoding = 'LATIN1';\nCOMMENT ON TABLE t IS '\xd6; it''s';\nselect 1;";
    let mut script = Script::new(&text[..]);
    let mut next = || match script.next() {
        Ok(Some(Piece::Statement(statement))) => Ok(statement),
        Err(why) => Err(why),
        other => panic!("{other:?}"),
    };
    assert_eq!(next().map(|s| s.encoded), Ok(None));
    let encoded = Some((b"COMMENT ON TABLE t IS '\xd6; it''s'".to_vec(), "LATIN1".to_owned()));
    assert_eq!(next().map(|s| s.encoded), Ok(encoded));
    assert_eq!(next().map(|s| (s.text, s.encoded)), Ok(("select 1".into(), None)));
    let read = |text: &[u8]| {
        Script::new(text).next().and_then(|_| {
            let mut script = Script::new(text);
            script.next()?;
            script.next()
        })
    };
    assert!(read(b"SET client_encoding = 'SJIS';\nselect 1;").expect_err("SJIS").contains("--encoding=UTF8"));
    assert!(
        read(b"SET client_encoding = 'SQL_ASCII';\nselect '\xfc';")
            .expect_err("no text")
            .contains("SQL_ASCII")
    );
    assert!(read("SET client_encoding = 'SQL_ASCII';\nselect 'ü';".as_bytes()).is_ok());
    assert!(read(b"SET client_encoding = 'UTF8';\nselect '\xfc';").is_err());
    let old = "SET standard_conforming_strings = off;\nselect 'a\\';b';\n";
    assert_eq!(all(old).map(|s| s.len()), Ok(2));
}

#[test]
fn only_the_last_thing_makes_a_dump_whole() {
    let whole = |text: &str| {
        let mut script = Script::new(text.as_bytes());
        loop {
            match script.next() {
                Ok(Some(_)) => {}
                Ok(None) => return script.whole,
                Err(_) => return false,
            }
        }
    };
    assert!(whole(&format!("select 1;\n--\n{END}\n--\n\n\\unrestrict k\n")));
    assert!(!whole(&format!("select 1;\n{END}\nselect 2;\n")));
    assert!(!whole("select 1;\n"));
    // A second dump that is cut off, be it in its very first line.
    let one = format!("--\n{BEGIN}\n--\n\n\\restrict k\n\nselect 1;\n\n--\n{END}\n--\n\n\\unrestrict k\n\n");
    assert!(whole(&one) && whole(&format!("{one}{one}")));
    let body = one.find("select").expect("there");
    for end in [format!("--\n{BEGIN}").len(), body - 12, body - 1, body + 9, one.len() - 20] {
        assert_eq!(whole(&format!("{one}{}\n", &one[..end])), end > body + 9, "{end}");
    }
    assert!(!whole(&format!("{one}-- Name: orders\n")));
}

#[test]
fn a_dump_that_is_cut_off_before_another_one_is_found() {
    let text = format!("--\n{BEGIN}\n--\nselect 1;\n--\n{BEGIN}\n--\nselect 2;\n--\n{END}\n--\n");
    assert!(all(&text).expect_err("cut").contains("the one before it is cut off"));
}
