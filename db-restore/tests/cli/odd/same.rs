//! What a database is, told by pg_dump and by the catalogs: schema with owners, rights and comments, rows, sequences, large objects, settings,
//! extensions. Two databases are the same when this text is.

use std::fmt::Write;

use crate::common::Bench;

/// Questions about what pg_dump leaves out, or about what it says in another order than before.
const QUESTIONS: &[(&str, &str)] = &[
    ("database", "select pg_get_userbyid(datdba), pg_encoding_to_char(encoding), datcollate, datctype, datconnlimit, datallowconn, (select spcname from pg_tablespace where oid = dattablespace), (select array_agg(x::text order by x::text) from unnest(datacl) x) from pg_database where datname = current_database()"),
    ("settings", "select case setrole when 0 then '' else pg_get_userbyid(setrole) end, c from pg_db_role_setting, unnest(setconfig) c where setdatabase = (select oid from pg_database where datname = current_database()) order by 1, 2"),
    ("extensions", "select extname, nspname from pg_extension join pg_namespace n on n.oid = extnamespace order by 1"),
    ("sequences", "select schemaname, sequencename, sequenceowner, last_value, start_value, increment_by, cycle from pg_sequences order by 1, 2"),
    ("large objects", "select m.oid, pg_get_userbyid(lomowner), (select array_agg(x::text order by x::text) from unnest(lomacl) x), md5(lo_get(m.oid)) from pg_largeobject_metadata m order by 1"),
    ("relations", "select n.nspname, c.relname, c.relkind, c.relpersistence, pg_get_userbyid(c.relowner), coalesce(t.spcname, ''), c.reloptions, c.relrowsecurity, c.relforcerowsecurity, coalesce(i.indisvalid::text, ''), coalesce(i.indisclustered::text, ''), coalesce(i.indisreplident::text, ''), obj_description(c.oid, 'pg_class')
        from pg_class c join pg_namespace n on n.oid = c.relnamespace left join pg_tablespace t on t.oid = c.reltablespace left join pg_index i on i.indexrelid = c.oid
        where n.nspname !~ '^pg_' and n.nspname <> 'information_schema' and not (c.relkind = 'i' and not i.indisvalid)
        order by 1, 2"),
    ("columns", "select n.nspname, c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attstorage, a.attcompression, a.attstattarget, a.attidentity, a.attgenerated, col_description(c.oid, a.attnum), (select array_agg(x::text order by x::text) from unnest(attacl) x)
        from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
        where n.nspname !~ '^pg_' and n.nspname <> 'information_schema' and a.attnum > 0 and not a.attisdropped and c.relkind <> 'i' order by 1, 2, a.attname"),
    ("triggers", "select tgrelid::regclass, tgname, tgenabled, tgisinternal from pg_trigger where not tgisinternal order by 1, 2"),
    ("event triggers", "select evtname, evtevent, evtenabled, pg_get_userbyid(evtowner), evtfoid::regproc from pg_event_trigger order by 1"),
    ("publications", "select pubname, pg_get_userbyid(pubowner), puballtables, pubinsert from pg_publication order by 1"),
    ("subscriptions", "select subname, pg_get_userbyid(subowner), subenabled, subslotname from pg_subscription where subdbid = (select oid from pg_database where datname = current_database()) order by 1"),
    ("user mappings", "select srvname, usename, (select array_agg(x order by x) from unnest(umoptions) x) from pg_user_mappings order by 1, 2"),
    ("statistics", "select stxname, pg_get_userbyid(stxowner), pg_get_statisticsobjdef(oid) from pg_statistic_ext order by 1"),
    ("leftovers", "select count(*) from pg_roles where rolname like 'db_restore_tmp%'"),
];

/// A session whatever the database's own settings are.
pub fn session(bench: &Bench) -> postgres::Client {
    let options = "-c statement_timeout=0 -c search_path=public -c default_transaction_isolation=read\\ committed -c default_transaction_read_only=off";
    bench.cluster.config("shop").options(options).connect(postgres::NoTls).expect("a session")
}

fn ask(session: &mut postgres::Client, sql: &str) -> Vec<String> {
    let answer = session.simple_query(sql).unwrap_or_else(|e| panic!("{sql}: {e:?}"));
    let row = |message: &postgres::SimpleQueryMessage| match message {
        postgres::SimpleQueryMessage::Row(row) => {
            Some((0..row.len()).map(|i| row.get(i).unwrap_or("~")).collect::<Vec<_>>().join(" | "))
        }
        _ => None,
    };
    answer.iter().filter_map(row).collect()
}

/// Everything that there is in the live database.
pub fn state(bench: &Bench) -> String {
    let mut text = schema(bench);
    let mut session = session(bench);
    for (what, sql) in QUESTIONS {
        let _ = writeln!(text, "## {what}");
        for row in ask(&mut session, sql) {
            let _ = writeln!(text, "{row}");
        }
    }
    let tables = "select format('%I.%I', n.nspname, c.relname) from pg_class c join pg_namespace n on n.oid = c.relnamespace
                  where c.relkind in ('r', 'm') and (c.relkind = 'r' or c.relispopulated) and n.nspname !~ '^pg_' and n.nspname <> 'information_schema' order by 1";
    for table in ask(&mut session, tables) {
        // Bytes, so that no encoding is in the way; in the order of the bytes, whatever the collation.
        let sql = format!(
            "select count(*), md5(string_agg(encode(sha256(convert_to(t::text, getdatabaseencoding()::name)), 'hex'), '' order by encode(sha256(convert_to(t::text, getdatabaseencoding()::name)), 'hex'))) from only {table} t"
        );
        let _ = writeln!(text, "{table}: {}", ask(&mut session, &sql).join(" "));
    }
    text
}

/// The schema as pg_dump writes it, without what it makes anew each time. Statements are sorted: what depends on nothing may come in another
/// order.
fn schema(bench: &Bench) -> String {
    let mut command = bench.cluster.program("pg_dump");
    command.args(["--schema-only", "--dbname=shop"]).env("PGOPTIONS", "-c statement_timeout=0");
    let output = command.output().expect("pg_dump");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut parts: Vec<&str> = text.split("\n--\n-- Name: ").collect();
    parts.sort_unstable();
    let whole = parts.join("\n--\n-- Name: ");
    whole.lines().filter(|line| !line.contains("restrict ")).map(|line| format!("{line}\n")).collect()
}

/// The first lines that differ.
pub fn difference(before: &str, after: &str) -> String {
    let (old, new): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
    let only = |a: &[&str], b: &[&str], sign: char| {
        let lines = a.iter().filter(|line| !b.contains(line)).take(20);
        lines.map(|line| format!("{sign} {line}\n")).collect::<String>()
    };
    only(&old, &new, '-') + &only(&new, &old, '+')
}
