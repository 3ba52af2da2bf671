//! Who does what of a dump.

use super::*;

fn turned(text: &str) -> Result<Turn, String> {
    let mut script = Script::new(text.as_bytes());
    match script.next()? {
        Some(Piece::Statement(statement)) => turn(&statement, 15),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_may_run_code_is_the_workers() {
    for text in [
        "CREATE TABLE t (a int CHECK (f(a)));",
        "CREATE INDEX i ON t (f(a));",
        "REFRESH MATERIALIZED VIEW m;",
        "SELECT f();",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $$ select 1 $$;",
        "DO LANGUAGE plpgsql $$ begin end $$;",
        "GRANT boss TO eve;",
        "ALTER ROLE eve SUPERUSER;",
        "ALTER DATABASE x OWNER TO eve;",
        "ALTER TABLE t ADD CONSTRAINT c CHECK (f(a));",
        "COMMENT ON TABLE t IS 'owner to';",
    ] {
        assert_eq!(turned(text), Ok(Turn::Worker), "{text}");
    }
}

#[test]
fn the_superuser_does_what_runs_nothing() {
    let cases = [
        ("CREATE EXTENSION IF NOT EXISTS pg_trgm WITH SCHEMA public;", Turn::Superuser),
        ("CREATE OR REPLACE PROCEDURAL LANGUAGE plperl;", Turn::Superuser),
        ("ALTER TABLE public.t OWNER TO eve;", Turn::Later),
        ("ALTER FUNCTION public.f(int) OWNER TO eve;", Turn::Routine),
        ("GRANT ALL ON TABLE t TO eve;", Turn::Later),
        ("ALTER DEFAULT PRIVILEGES FOR ROLE a IN SCHEMA s GRANT SELECT ON TABLES TO b;", Turn::Later),
        ("SET SESSION AUTHORIZATION a;", Turn::Later),
        ("CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION f();", Turn::Last),
        ("ALTER PUBLICATION p OWNER TO a;", Turn::Last),
        ("SET transaction_timeout = 0;", Turn::Nobody),
    ];
    for (text, turn) in cases {
        assert_eq!(turned(text), Ok(turn), "{text}");
    }
    assert!(turned("GRANT CONNECT ON DATABASE shop TO eve;").is_err());
    assert!(turned("GRANT SET ON PARAMETER x TO eve;").is_err());
}
