//! Settings and rights of the database itself, which no dump holds.

use crate::common::{BEFORE, Bench, ID, OLD, opened};

use super::claims::run;

/// What a bad release does to the database itself, and what of it must be said.
const SETTINGS: &[(&str, &str)] = &[
    ("alter database shop set search_path = wrong", "search_path is app, public (was wrong)"),
    ("alter database shop reset work_mem", "work_mem is 8MB (was not set)"),
    ("alter database shop set jit = off", "jit is not set any more"),
    ("alter database shop set \"app.token\" = 'top-secret-of-the-release'", "app.token again"),
    (
        "alter role shop_app in database shop set statement_timeout = '1ms'",
        "statement_timeout of the role shop_app is 5s (was 1ms)",
    ),
    ("revoke connect on database shop from shop_app", "CONNECT of shop_app is given again"),
    ("grant create on database shop to eve", "CREATE of eve is taken away"),
    ("alter database shop connection limit 3", "connection limit is 42 (was 3)"),
    ("alter database shop owner to eve", "its owner is shop_owner (was eve)"),
];

const PROPERTIES: &str = "
    select pg_get_userbyid(datdba), datconnlimit, (select array_agg(a order by a) from unnest(datacl::text[]) a)::text,
           (select array_agg(s.setrole::regrole || ' ' || c order by s.setrole::regrole || ' ' || c)::text from pg_db_role_setting s, unnest(setconfig) c where s.setdatabase = d.oid)
    from pg_database d where datname = 'shop'";

#[test]
fn settings_and_rights_of_the_database_are_those_of_the_snapshot() {
    for source in ["archive", "database"] {
        let bench = Bench::start();
        for sql in [
            "create role shop_app login; create role eve; create role shop_owner",
            "alter database shop owner to shop_owner; alter database shop connection limit 42",
            "alter database shop set search_path = app, public",
            "alter database shop set work_mem = '8MB'",
            "alter database shop set \"app.token\" = 'top-secret-of-before'",
            "alter role shop_app in database shop set statement_timeout = '5s'",
            "alter role shop_app set lock_timeout = '7s'",
            "revoke all on database shop from public; grant connect on database shop to shop_app",
        ] {
            bench.cluster.execute("postgres", sql);
        }
        let properties = || bench.cluster.query("postgres", PROPERTIES);
        let good = properties();
        bench.set(&format!("source = \"{source}\""));
        let (id, _) = bench.snapshot(BEFORE);
        assert_eq!(bench.run(&["rehearse"], &opened(BEFORE)).0, 0);
        SETTINGS.iter().for_each(|(sql, _)| bench.cluster.execute("postgres", sql));
        bench
            .cluster
            .execute("postgres", "alter role shop_app set lock_timeout = '1ms'; alter role shop_app nologin");
        let bad = properties();
        let (code, done, stderr) =
            bench.run(&["restore", "-v", "--confirm", &format!("shop@{id}")], &opened(ID));
        assert_eq!(code, 0, "{source}: {stderr}");
        assert_eq!(properties(), good, "{source}");
        let said = format!("{stderr}{done}");
        for (_, words) in SETTINGS {
            assert!(stderr.contains(words), "{source}: {words}: {stderr}");
        }
        assert!(!said.contains("top-secret"), "{source}: {stderr}");
        if source == "archive" {
            assert!(stderr.contains("lock_timeout of the role shop_app is 1ms (was 7s)"), "{stderr}");
            assert!(stderr.contains("the role shop_app has no login (it had: login)"), "{stderr}");
        }
        let besides = &done["steps"][0]["output"]["besides"];
        assert!(besides["changed"].as_array().map(Vec::len) >= Some(SETTINGS.len()), "{besides}");
        let undo = bench.run(&["undo", "--confirm", &format!("shop@{OLD}")], &opened(&run(1)));
        assert_eq!((undo.0, properties()), (0, bad), "{source}: {}", undo.2);
    }
}
