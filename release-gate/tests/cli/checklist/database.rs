//! The list in PostgreSQL itself, asked by the role that the shipped SQL speaks of.

use super::bench::{Answer, Bench};

#[test]
fn a_list_that_is_done_is_a_yes_over_each_kind_of_connection() {
    let bench = Bench::start();
    let root = bench.cluster.certificate();
    for lines in [
        "".to_owned(),
        "tls = 'disable'\n".to_owned(),
        "tls = 'require'\n".to_owned(),
        format!("host = 'localhost'\ntls = 'verify-full'\ntls_root = '{}'\n", root.display()),
    ] {
        bench.database(&lines);
        let Answer { code, verdict, document, said } = bench.ask();
        assert_eq!((code, verdict.as_str()), (0, "yes"), "{lines}: {said}");
        let from = document["facts"]["checklist"]["from"].as_str().expect("a place");
        assert!(from.starts_with("public.qa_checks of the database shop at "), "{from}");
    }
    assert_eq!(bench.api.server().log().len(), 0, "nobody else is asked");
}

/// What the database holds, with more settings, and what comes of it.
type Case = (&'static str, &'static str, (i32, &'static str, &'static str));

const CASES: &[Case] = &[
    ("delete from public.qa_checks", "", (1, "unknown", "shows no row of v1.2.0-rc1")),
    ("drop policy qa_gate on public.qa_checks", "", (1, "unknown", "row level security hides them from this role")),
    ("update public.qa_checks set commit_sha = repeat('8f2c', 16) where item = 'login'", "", (1, "no", "is about commit 8f2c8f2c8f2c")),
    ("update public.qa_checks set status = 'fail' where item = 'login'", "", (1, "no", "login (Try login) failed by Rina")),
    ("update public.qa_checks set status = 'pending' where item = 'login'", "", (75, "unknown", "login (Try login) is not answered yet")),
    ("alter table public.qa_checks drop constraint qa_checks_status_check; update public.qa_checks set status = 'ok'", "", (1, "unknown", "the status of checkout.card is `ok`")),
    ("alter table public.qa_checks alter required drop default, alter required type int using 1", "", (1, "unknown", "neither true nor false")),
    ("create type qa_status as enum ('pass'); alter table public.qa_checks rename status to old; alter table public.qa_checks add status qa_status default 'pass'", "", (1, "unknown", "status of checkout.card is no text")),
    ("alter table public.qa_checks rename note to notes", "", (1, "unknown", "is not as it must be")),
    ("revoke select on public.qa_checks from release_gate", "", (1, "unknown", "may not do that with public.qa_checks: grant it the right")),
    ("update public.qa_checks set note = repeat('x', 70000000) where item = 'login'", "", (1, "unknown", "larger than 64 MiB")),
    ("update public.qa_checks set checked_by = U&'\\3164' where item = 'login'", "", (75, "unknown", "names nobody who has checked it")),
    ("", "tls = 'verify-full'\ntls_root = '/dev/zero'\n", (78, "", "it is no regular file")),
    ("drop table public.qa_checks", "", (1, "unknown", "there is no table public.qa_checks")),
    ("", "table = 'qa.qa_checks'\n", (1, "unknown", "there is no table qa.qa_checks")),
    ("", "min_items = 4\n", (1, "unknown", "has 3 items")),
    ("", "database = 'nothing'\n", (1, "unknown", "is not there: set checklist.database")),
    ("", "user = 'nobody'\n", (1, "unknown", "does not let nobody in")),
    ("alter role release_gate password 'another'", "", (1, "unknown", "does not let release_gate in: look at checklist.user")),
    ("", "port = 9\n", (75, "unknown", "does not answer")),
    ("alter role release_gate superuser", "", (1, "unknown", "may do anything on the server")),
    ("grant pg_execute_server_program to release_gate", "", (1, "unknown", "may do anything on the server")),
    ("", "tls = 'verify-full'\n", (1, "unknown", "is not as checklist.tls wants it")),
    // A policy and a view are somebody's code: nothing that they do to a database comes about.
    (
        "create table public.witness (x int); grant insert on public.witness to release_gate;
         create function public.evil() returns boolean language plpgsql as $$ begin
             begin set transaction read write; exception when others then null; end;
             insert into public.witness values (1); return true; end $$;
         drop policy qa_gate on public.qa_checks; create policy evil on public.qa_checks for select to release_gate using (public.evil())",
        "",
        (1, "unknown", "refuses"),
    ),
    // A function that is called as one of ours is not found by its name.
    (
        "create function public.bool_or(oid) returns boolean language sql as 'select false';
         create view public.pg_roles as select 'x'::name as rolname, false as rolsuper, 0::oid as oid;
         alter role release_gate set search_path = public, pg_catalog; alter role release_gate superuser",
        "",
        (1, "unknown", "may do anything on the server"),
    ),
];

#[test]
fn whatever_else_a_list_is_it_is_no_yes() {
    let bench = Bench::start();
    for (sql, lines, expected) in CASES {
        bench.anew();
        bench.execute(sql);
        bench.database(lines);
        let mut command = bench.command(&["checklist", "--verbose", "--timeout", "3s"]);
        let Answer { code, verdict, said, .. } = bench.exchange(&mut command, &bench.document());
        assert_eq!((code, verdict.as_str()), (expected.0, expected.1), "{sql} {lines}: {said}");
        assert!(said.contains(expected.2), "{sql} {lines}: {said}");
    }
}

#[test]
fn a_table_that_somebody_works_on_is_waited_for_until_the_deadline() {
    let bench = Bench::start();
    bench.database("");
    let mut other = bench.cluster.session("shop");
    other.batch_execute("begin; lock table public.qa_checks").expect("locked");
    let mut command = bench.command(&["checklist", "--timeout", "2s"]);
    let Answer { code, verdict, said, .. } = bench.exchange(&mut command, &bench.document());
    // Whichever of both ends it first, the server's limit or our own.
    let is_told = said.contains("has said nothing for 1s") || said.contains("statement timeout");
    assert!(code == 75 && verdict == "unknown" && is_told, "{said}");
    other.batch_execute("rollback").expect("let go");
    assert_eq!(bench.ask().verdict, "yes");
}
