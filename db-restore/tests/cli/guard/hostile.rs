//! A database whose owner is hostile: in everything that an owner without rights can make, an attack waits for a superuser to run it. Whatever
//! is done with the database, nobody gets more rights, no file is written and no command is run.

use std::path::Path;

use crate::common::{BEFORE, Bench, ID, left_out, opened, reason};

/// What an attack tries: each way back to a superuser, then what only one may do; by `back`, over a connection of the server to
/// itself. Six times in each session are enough.
fn attack(file: &Path, back: &str) -> String {
    let file = file.display();
    format!(
        "create function app.attack() returns void language plpgsql as $attack$
         declare way text; act text; before int := coalesce(nullif(current_setting('app.attacks', true), ''), '0');
         begin
           if before > 5 then return; end if;
           perform set_config('app.attacks', (before + 1)::text, false);
           foreach way in array array['reset session authorization', 'reset role', 'set session authorization postgres', 'set role postgres', 'select 1'] loop
             begin execute way; exception when others then null; end;
             foreach act in array array[
               'alter role eve superuser', 'grant postgres to eve', 'create role eves_friend superuser',
               $x$copy (select 1) to program 'touch {file}.program'$x$, $x$copy (select 1) to '{file}.copy'$x$,
               $x$select lo_export(lo_from_bytea(0, 'x'), '{file}.lo')$x$, $x$update pg_catalog.pg_authid set rolsuper = true where rolname = 'eve'$x$,
               $x$select public.dblink_exec('{back}', 'alter role eve superuser')$x$,
               $x$select public.dblink_connect_u('{back}')$x$,
               'create extension if not exists pg_surgery', $x$select pg_catalog.pg_read_file('PG_VERSION')$x$] loop
               begin execute act; exception when others then null; end;
             end loop;
           end loop;
         end $attack$;"
    )
}

/// A function that says to be harmless, and is not: what an immutable one calls may do anything.
fn trap(name: &str, args: &str, result: &str, end: &str) -> String {
    format!(
        "create function {name}({args}) returns {result} immutable language plpgsql as $trap$ begin perform app.attack(); {end} end $trap$;"
    )
}

/// Functions that an owner can make, in the places of others and beside them.
fn traps() -> String {
    let mut sql = String::new();
    sql += &trap("app.f", "int", "int", "return $1;");
    sql += &trap("app.ok", "int", "boolean", "return true;");
    sql += &trap("app.text_ok", "text", "boolean", "return true;");
    sql += &trap("app.fired", "", "trigger", "return new;");
    for hijacked in [
        "format(text, name, name)",
        "count(bigint)",
        "quote_ident(text)",
        "to_regclass(text)",
        "pg_relation_size(oid)",
    ] {
        let (name, args) = hijacked.split_once('(').expect("a function");
        let result = if name == "count" { "bigint" } else { "text" };
        sql += &trap(&format!("public.{name}"), args.trim_end_matches(')'), result, "return null;");
    }
    sql += "create type app.mood as enum ('shop', 'bad'); create type app.pair as (a int, b text);";
    for (name, args, result, end) in [
        ("app.said", "app.mood", "text", "return 'shop';"),
        ("app.mooded", "text", "app.mood", "return 'shop'::app.mood;"),
        ("app.paired", "app.pair", "text", "return 'x';"),
        ("app.compare", "int, int", "int", "return btint4cmp($1, $2);"),
        ("app.defined", "", "event_trigger", ""),
        // Beside amcheck's own, which take a regclass.
        ("public.verify_heapam", "oid", "table (msg text)", "return;"),
        ("public.bt_index_check", "oid", "void", "return;"),
    ] {
        sql += &trap(name, args, result, end);
    }
    sql
}

/// Casts of types of their own, and what is named like something of PostgreSQL's own.
const CASTS: &str = "create cast (app.mood as text) with function app.said(app.mood) as implicit;
            create cast (text as app.mood) with function app.mooded(text) as implicit;
            create cast (app.pair as text) with function app.paired(app.pair) as implicit;
            create table app.moods (m app.mood primary key, n int); insert into app.moods values ('shop', 1);
            create table app.pairs (p app.pair primary key, n int); insert into app.pairs values ((1, 'x'), 1);
            create table app.whose (product app.mood, environment text); insert into app.whose values ('shop', 'production');
            create collation app.\"C\" (lc_collate = 'C', lc_ctype = 'C'); create table app.collated (t text collate app.\"C\" primary key); insert into app.collated values ('a');";

/// Everything that an owner can make and that runs a function of theirs.
fn hostile(file: &Path, back: &str) -> String {
    let mut sql = String::from("create schema app; set search_path = app, public;");
    sql += &attack(file, back);
    sql += &traps();
    sql += CASTS;
    sql += "create function public.eq(name, text) returns boolean language sql as $$ select app.ok(1) $$;
            create operator public.= (leftarg = name, rightarg = text, function = public.eq);
            create domain app.d as text check (app.text_ok(value));
            create domain app.n as int check (app.ok(value));
            create table app.checked (id int primary key check (app.ok(id)), v app.d default 'x', w int default app.f(1));
            insert into app.checked values (1, 'a'), (2, 'b');
            create index on app.checked (app.f(id)); create index on app.checked (id) where app.ok(id);
            create statistics app.st on (app.f(id)), id from app.checked;
            create table app.generated (a int, b int generated always as (app.f(a)) stored); insert into app.generated values (1);
            create materialized view app.mv as select app.f(id) as x from app.checked;
            create view app.v as select app.f(id) as x from app.checked;
            create table app.fired (id int); insert into app.fired values (1);
            create trigger t before insert on app.fired for each row execute function app.fired();
            alter table app.fired enable always trigger t;
            create rule r as on insert to app.checked do also select app.f(1);
            alter table app.checked disable rule r;
            create table app.parts (k app.d, n int) partition by list (k);
            create table app.part partition of app.parts for values in ('a'); insert into app.parts values ('a', 1);
            create table app.expr (n int) partition by range ((n + app.f(1)));
            create table app.expr1 partition of app.expr for values from (0) to (100); insert into app.expr values (3);
            create function app.next(app.n, int) returns app.n immutable language sql as $$ select 1::app.n $$;
            create aggregate app.agg (int) (sfunc = app.next, stype = app.n, initcond = '1');
            alter table app.fired enable row level security;
            create policy p on app.fired using (app.ok(id)) with check (app.ok(id));
            create table app.range (r int4range, exclude using gist (r with &&));
            comment on table app.checked is $$'; alter role eve superuser; -- \\! touch x$$;
            create table app.folded (id int primary key, t text); insert into app.folded values (1, 'x');
            create index on app.folded ((id + app.f(1))); create index on app.folded (id) where app.ok(1);
            create statistics app.folds on (id + app.f(1)), id from app.folded;
            create table public.schema_migrations (version text primary key); insert into public.schema_migrations values ('1'), ('a\\b');
            create index on public.schema_migrations ((version || app.f(1)::text));
            create table public.knex_migrations (name text primary key); insert into public.knex_migrations values ('2');
            create index on public.knex_migrations ((name || app.f(1)::text));
            create index on app.whose ((environment || app.f(1)::text));
            create table app.\"odd\"\"; drop table x; --\" (\"a'b\"\"c;\" int primary key); insert into app.\"odd\"\"; drop table x; --\" values (7);";
    sql
}

/// What only a superuser can make, and what then calls functions that eve may change at any time: an operator class, an event trigger.
const MADE_FOR_HER: &str = "
    create operator class app.ints for type int using btree as operator 1 <, operator 2 <=, operator 3 =, operator 4 >=, operator 5 >, function 1 app.compare(int, int);
    create index by_hers on app.checked (id app.ints); create event trigger hers on ddl_command_start execute function app.defined();
    alter event trigger hers enable always;";

/// Whether this server has an extension; where not, that is said.
fn has(bench: &Bench, extension: &str) -> bool {
    let sql = format!("select count(*) from pg_available_extensions where name = '{extension}'");
    let there = bench.cluster.value("postgres", &sql) == "1";
    if !there {
        left_out(&format!("{extension}, which is not to be had on this server"));
    }
    there
}

/// Lets the server connect to itself as a superuser without a password, as many do: `dblink` is a way to that for whoever runs as a superuser.
fn connects_back(bench: &Bench) -> String {
    bench.cluster.while_stopped(|data| {
        let path = data.join("pg_hba.conf");
        let rules = std::fs::read_to_string(&path).expect("there");
        std::fs::write(path, format!("local all postgres trust\n{rules}")).expect("written");
    });
    let (folder, port) = (bench.cluster.socket_folder().display().to_string(), bench.cluster.port());
    format!("host={folder} port={port} dbname=postgres user=postgres")
}

fn eves() -> Bench {
    use std::os::unix::fs::PermissionsExt;
    let bench = Bench::start();
    // The server's own user must be able to write there, or nothing would be proven.
    std::fs::set_permissions(bench.folder.path(), PermissionsExt::from_mode(0o777)).expect("open to all");
    let back = connects_back(&bench);
    for extension in ["dblink", "amcheck"] {
        if has(&bench, extension) {
            bench.cluster.execute("shop", &format!("create extension {extension} schema public"));
        }
    }
    let file = bench.folder.path().join("PWN");
    bench.cluster.execute("postgres", "create role eve login password 'e'");
    bench.cluster.execute("postgres", "alter database shop owner to eve");
    bench.cluster.execute("shop", "alter schema public owner to eve");
    let mut eve =
        bench.cluster.config("shop").user("eve").password("e").connect(postgres::NoTls).expect("eve");
    let sql = hostile(&file, &back);
    eve.batch_execute(&sql).unwrap_or_else(|e| panic!("{e:?}"));
    bench.cluster.execute("shop", MADE_FOR_HER);
    // A value of a setting that any login may store as it likes, and that is a list.
    eve.batch_execute(
        "select set_config('local_preload_libraries', 'x; alter role eve superuser; --', false);
         alter role eve in database shop set local_preload_libraries from current",
    )
    .expect("stored");
    bench
        .cluster
        .execute("postgres", "alter database shop set app.mode to 'x''; alter role eve superuser; --'");
    bench.cluster.execute("postgres", "comment on database shop is 'it''s; \\ alter role eve superuser; --'");
    bench
}

/// Nobody has got anything.
fn nothing_gained(bench: &Bench, after: &str) {
    let roles = "select string_agg(rolname || ' ' || rolsuper, ', ' order by rolname) from pg_roles where rolname !~ '^pg_'";
    assert_eq!(bench.cluster.value("postgres", roles), "eve false, postgres true", "{after}");
    let members = "select count(*) from pg_auth_members m join pg_roles r on r.oid = m.member where r.rolname !~ '^pg_'";
    assert_eq!(bench.cluster.value("postgres", members), "0", "{after}");
    let files = std::fs::read_dir(bench.folder.path()).expect("there").flatten();
    let pwned: Vec<_> = files.filter(|e| e.file_name().to_string_lossy().starts_with("PWN")).collect();
    assert!(pwned.is_empty(), "{after}: {pwned:?}");
    let surgery = "select count(*) from pg_extension where extname = 'pg_surgery'";
    assert_eq!(bench.cluster.value("shop", surgery), "0", "{after}");
}

/// Rows that are newer than the snapshot, so that they are looked up by their keys.
fn incident(bench: &Bench) {
    // By their owner: a superuser's own question about such tables is what must not be asked.
    let config = bench.cluster.config("shop");
    let options = "-c local_preload_libraries=";
    let mut eve =
        config.clone().user("eve").password("e").options(options).connect(postgres::NoTls).expect("eve");
    let sql = "insert into app.moods values ('bad', 2); insert into app.pairs values ((2, 'y'), 2); update app.whose set environment = environment; insert into app.collated values ('b'); insert into app.folded values (2, 'y')";
    eve.batch_execute(&format!("set search_path = app, public; {sql}")).expect("written");
}

#[test]
fn a_hostile_owner_gains_nothing_from_a_clone_or_a_prune() {
    let bench = eves();
    bench.set(
        "source = \"database\"\nmarker_table = \"app.whose\"\nprobes = [\"select count(*) >= 0 from app.v\"]",
    );
    let (code, document, stderr) = bench.run(&["snapshot"], &opened(BEFORE));
    assert_eq!(code, 0, "{document} {stderr}");
    nothing_gained(&bench, "snapshot of a clone");
    let id = document["facts"]["snapshot"]["id"].as_str().expect("an id").to_owned();
    incident(&bench);
    let before = bench.content();
    bench.restored(&id, ID);
    nothing_gained(&bench, "restore of a clone");
    let undo = opened("shop-1.3.0-20261124T140000Z-0009");
    let (code, _, stderr) = bench.run(&["undo", "--confirm", "shop@shop__old_20261124t120000z_7f3a"], &undo);
    assert_eq!((code, bench.content() == before), (0, true), "{stderr}");
    nothing_gained(&bench, "undo");
    for run in ["shop-1.3.0-20261124T150000Z-000a", "shop-1.3.0-20261124T160000Z-000b"] {
        let (code, _, stderr) = bench.run(&["snapshot"], &opened(run));
        assert_eq!(code, 0, "{stderr}");
    }
    bench.set("keep = \"0s\"\nkeep_databases = \"0s\"");
    let (code, pruned, stderr) = bench.run(&["prune", "--confirm", "shop@prune"], &opened(ID));
    assert_eq!((code, &pruned["steps"][0]["status"]), (0, &"changed".into()), "{stderr}");
    nothing_gained(&bench, "prune");
    assert_eq!(bench.content(), before);
}

#[test]
fn a_copy_with_a_subscription_and_a_hostile_event_trigger_is_dropped_without_running_it() {
    let bench = eves();
    bench.cluster.execute("shop", "alter event trigger hers disable");
    bench.cluster.execute("shop", "create subscription sub connection 'host=127.0.0.1 port=1 dbname=x' publication p with (connect = false, slot_name = none)");
    bench.cluster.execute("shop", "alter event trigger hers enable always");
    for run in [BEFORE, "shop-1.3.0-20261124T110500Z-0002"] {
        let (_, document, _) = bench.run(&["snapshot"], &opened(run));
        nothing_gained(&bench, "snapshot");
        // The second one throws the first one's copy away.
        let id = document["facts"]["snapshot"]["id"].as_str().expect("an id");
        let (code, failed, stderr) = bench.run(&["rehearse", "--snapshot", id], &opened(run));
        assert_eq!(code, 0, "{failed} {stderr}");
        nothing_gained(&bench, "rehearse");
    }
    assert_eq!(bench.databases().len(), 2, "{:?}", bench.databases());
}

#[test]
fn a_hostile_owner_gains_nothing_from_any_command() {
    let bench = eves();
    bench.set("probes = [\"select count(*) >= 0 from app.v\"]\nmarker_table = \"app.whose\"");
    let before = bench.content();
    let asked = |bench: &Bench, args: &[&str]| {
        let (code, document, stderr) = bench.run(args, &opened(BEFORE));
        nothing_gained(bench, &args.join(" "));
        assert_eq!(code, 0, "{args:?} {stderr}");
        document
    };
    let document = asked(&bench, &["applied"]);
    let names = &document["facts"]["applied"]["names"];
    assert_eq!(*names, serde_json::json!(["1", "2", "a\\b"]), "{document}");
    asked(&bench, &["snapshot", "-n"]);
    let (code, document, stderr) = bench.run(&["snapshot"], &opened(BEFORE));
    assert_eq!(code, 0, "{stderr}");
    nothing_gained(&bench, "snapshot");
    let id = document["facts"]["snapshot"]["id"].as_str().expect("an id").to_owned();
    asked(&bench, &["rehearse", "-n"]);
    let (code, failed, stderr) = bench.run(&["rehearse"], &opened(BEFORE));
    nothing_gained(&bench, "rehearse");
    assert_eq!(code, 0, "{failed} {stderr}");
    incident(&bench);
    asked(&bench, &["restore", "-n", "--snapshot", &id]);
    bench.restored(&id, ID);
    nothing_gained(&bench, "restore");
    assert_eq!(bench.content(), before);
    asked(&bench, &["undo", "-n"]);
    let undo = opened("shop-1.3.0-20261124T140000Z-0009");
    let (code, _, stderr) = bench.run(&["undo", "--confirm", "shop@shop__old_20261124t120000z_7f3a"], &undo);
    assert_eq!(code, 0, "{stderr}");
    nothing_gained(&bench, "undo");
    bench.set("app_role = \"eve\"");
    let (code, _, stderr) = bench.run(
        &["restore", "--snapshot", &id, "--confirm", &format!("shop@{id}")],
        &opened("shop-1.3.0-20261124T150000Z-000a"),
    );
    assert_eq!(code, 0, "{stderr}");
    nothing_gained(&bench, "restore with probes as eve");
    let settings = "select setconfig::text from pg_db_role_setting where setrole <> 0 and setdatabase = (select oid from pg_database where datname = 'shop')";
    assert!(
        bench.cluster.value("postgres", settings).contains("x; alter role eve superuser; --"),
        "one value as it was"
    );
}

#[test]
fn a_plain_dump_has_no_language_but_sql_and_reaches_one_database() {
    let bench = Bench::start();
    bench.cluster.execute("postgres", "create role eve login password 'e'");
    let good = |bench: &Bench| {
        let output = bench.cluster.program("pg_dump").args(["--dbname=shop"]).output().expect("pg_dump");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let text = good(&bench);
    let folder = bench.folder.path().join("snapshots");
    std::fs::create_dir_all(&folder).expect("a folder");
    let end = "--\n-- PostgreSQL database dump complete\n--\n";
    let orders = [
        " \\! touch PWN\n",
        "select 1; \\! touch PWN\n",
        "select 1; \\c shop \\\\ drop table public.products;\n",
        "select 1 \\g |sh\n",
        "\\connect postgres\n",
        "alter role eve superuser;\n",
        "grant postgres to eve;\n",
        "copy (select 1) to program 'touch PWN';\n",
        "do $$ begin reset session authorization; alter role eve superuser; end $$;\n",
        "grant connect on database shop to eve;\n",
        "create function public.x() returns int language c as 'libc.so.6', 'system';\n",
        "select 1;\n\\.\n",
        "set role postgres; alter role eve superuser;\n",
        "select lo_export(lo_from_bytea(0, 'x'), '/tmp/rilis-PWN');\n",
        "alter system set work_mem = '5MB';\n",
    ];
    for (n, order) in orders.iter().enumerate() {
        let name = format!("x{n}-{}.sql", jiff::Timestamp::now().as_second());
        std::fs::write(folder.join(&name), format!("{text}\n{order}{end}")).expect("written");
        let (code, failed, stderr) = bench.run(&["rehearse", "--snapshot", &name], &opened(BEFORE));
        assert_eq!(code, 1, "{order}: {failed} {stderr}");
        assert!(
            ["corrupt", "restore-failed", "rights", "query"].contains(&reason(&failed).0),
            "{order}: {failed}"
        );
        assert_eq!(bench.prices().len(), 2, "{order}");
        nothing_gained(&bench, order);
        std::fs::remove_file(folder.join(name)).expect("removed");
    }
    let name = format!("good-{}.sql", jiff::Timestamp::now().as_second());
    std::fs::write(folder.join(&name), &text).expect("written");
    let (code, _, stderr) = bench.run(&["rehearse", "--snapshot", &name], &opened(BEFORE));
    assert_eq!(code, 0, "{stderr}");
}

#[test]
fn names_and_commands_can_be_shown_and_pasted() {
    let bench = Bench::start();
    let odd = "Toko 'Kita'; $(touch PWN) \u{1b}[31m";
    bench.cluster.execute("postgres", &format!("alter database shop rename to \"{odd}\""));
    bench.reset("database = \"shop\"", &format!("database = \"{}\"", odd.replace('\u{1b}', "\\u001b")));
    let (code, document, stderr) = bench.run(&["snapshot"], &opened(BEFORE));
    assert_eq!(code, 0, "{stderr}");
    assert!(!stderr.contains('\u{1b}'), "{stderr:?}");
    let id = document["facts"]["snapshot"]["id"].as_str().expect("an id").to_owned();
    let (code, refused, stderr) = bench.run(&["restore", "--snapshot", &id], &opened(ID));
    assert_eq!((code, reason(&refused).0), (1, "unconfirmed"), "{stderr}");
    let next = refused["failure"]["next"].as_str().expect("a command");
    let words = std::process::Command::new("sh")
        .args(["-c", &format!("printf '%s\\n' {next}")])
        .output()
        .expect("sh");
    let words = String::from_utf8_lossy(&words.stdout).into_owned();
    assert_eq!(words.lines().count(), 8, "{next}: {words}");
    assert!(!next.contains('\u{1b}') && !bench.folder.path().join("PWN").exists());
}

#[test]
fn a_superuser_makes_nothing_on_the_word_of_what_it_would_run() {
    let bench = eves();
    let config = bench.cluster.config("shop");
    let options = "-c local_preload_libraries=";
    let mut eve =
        config.clone().user("eve").password("e").options(options).connect(postgres::NoTls).expect("eve");
    eve.batch_execute(
        "create function app.denied(v int) returns boolean language plpgsql volatile as $denied$ begin
           if pg_catalog.current_setting('is_superuser') = 'on' then perform app.attack();
           elsif current_user like 'db\\_restore\\_tmp%' then raise exception 'x' using errcode = '42501'; end if; return true; end $denied$;
         create domain app.denying as int check (app.denied(value));
         create function app.given(a app.denying[] default '{1}'::app.denying[]) returns int language sql as 'select 1'",
    )
    .expect("made");
    let (code, _, stderr) = bench.run(&["snapshot"], &opened(BEFORE));
    assert_eq!(code, 0, "{stderr}");
    let (code, _, stderr) = bench.run(&["rehearse"], &opened(BEFORE));
    nothing_gained(&bench, "rehearse");
    // It cannot be made by the worker, and is made by nobody else.
    assert_eq!(code, 1, "{stderr}");
}

/// Tables whose index is slow for the role that reads, or fails it after that; and rights that somebody gives to that role meanwhile.
const SLOW: &str = "create function slow(int) returns int immutable language plpgsql as $$ begin
    if current_user like 'db\\_restore\\_tmp%' then perform pg_sleep(0.6); END end if; return $1; end $$;
    create table slowly (id int); create index on slowly ((id + slow(1))); alter table slowly owner to eve";
const READERS: &str = "select count(*) from pg_roles where rolname like 'db\\_restore\\_tmp%'";

fn give_to_the_reader(bench: &Bench) {
    let end = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while bench.cluster.value("postgres", READERS) == "0" && std::time::Instant::now() < end {}
    let given = "do $$ declare r text; begin for r in select rolname from pg_roles where rolname like 'db\\_restore\\_tmp%' loop
        execute format('grant select on products to %I', r); end loop; end $$";
    bench.cluster.execute("shop", given);
    let granted = "select count(*) from pg_class where relacl::text like '%db\\_restore\\_tmp%'";
    assert_eq!(bench.cluster.value("shop", granted), "1");
}

fn eves_shop() -> Bench {
    let bench = Bench::start();
    bench.cluster.execute("postgres", "create role eve login password 'e'; alter database shop owner to eve");
    bench
}

#[test]
fn a_snapshot_at_work_keeps_its_role_and_leaves_none_whatever_is_given_to_it() {
    let bench = eves_shop();
    let (id, _) = bench.snapshot(BEFORE);
    bench.cluster.execute("shop", &SLOW.replace("END", ""));
    std::thread::scope(|scope| {
        let taken = scope.spawn(|| bench.run(&["snapshot"], &opened("shop-1.3.0-20261124T150000Z-000a")));
        give_to_the_reader(&bench);
        let (code, _, stderr) = bench.run(&["rehearse", "--snapshot", &id], &opened(ID));
        assert_eq!(code, 0, "{stderr}");
        let (code, _, stderr) = taken.join().expect("it ended");
        assert_eq!(code, 0, "{stderr}");
    });
    assert_eq!(bench.cluster.value("postgres", READERS), "0");
}

#[test]
fn a_snapshot_that_fails_leaves_no_role_whatever_is_given_to_it() {
    let bench = eves_shop();
    bench.cluster.execute("shop", &SLOW.replace("END", "raise exception 'no';"));
    std::thread::scope(|scope| {
        let taken = scope.spawn(|| bench.run(&["snapshot"], &opened(BEFORE)));
        give_to_the_reader(&bench);
        let (code, _, stderr) = taken.join().expect("it ended");
        assert_ne!(code, 0, "{stderr}");
    });
    assert_eq!(bench.cluster.value("postgres", READERS), "0");
}
