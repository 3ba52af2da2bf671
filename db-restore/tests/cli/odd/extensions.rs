//! Extensions that no package brings, in a PostgreSQL of our own: its programs are copied, for they look for extensions where they lie themselves.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use testkit::postgres::Cluster;

use crate::common::{BEFORE, Bench, ID, bin, opened, reason};

/// Can be made in one database of the server only, as `pg_cron` can.
const ONLY_HERE: &str = "
    do $$ begin if current_database() <> 'shop' then raise exception 'can only create extension in database shop'; end if; end $$;
    create schema only_here; create table only_here.job (id serial primary key, command text); select pg_extension_config_dump('only_here.job', '');
    select pg_extension_config_dump('only_here.job_id_seq', ''); grant usage on schema only_here to public;";
/// Has a catalog of its own, and judges every definition by it, as `timescaledb` does.
const CATALOG: &str = "
    create table catalogued (name text primary key, n int check (n > 0)); select pg_extension_config_dump('catalogued', 'where n > 1'); insert into catalogued values ('built in', 1);
    create function judge () returns event_trigger language plpgsql as $$ begin if not exists (select from public.catalogued where n > 1) then raise exception 'the catalog is empty: call pre_restore first'; end if; end $$;
    create event trigger judge on ddl_command_end execute function judge();";

/// The folder of programs that know these extensions.
fn programs(root: &Path) -> PathBuf {
    let bin = bin().canonicalize().expect("there");
    let major = bin
        .parent()
        .and_then(Path::file_name)
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    let shares = [
        bin.join("../share/postgresql"),
        bin.join("../share"),
        PathBuf::from(format!("/usr/share/postgresql/{major}")),
    ];
    let share = shares
        .iter()
        .find(|s| s.join("extension/plpgsql.control").is_file())
        .expect("the extensions of this PostgreSQL");
    let share = share.canonicalize().expect("there");
    let common = bin.ancestors().find(|a| share.starts_with(a)).expect("at least the root").to_owned();
    let here = |path: &Path| root.join(path.strip_prefix(&common).expect("below it"));
    linked(&share, &here(&share), "extension");
    linked(&share.join("extension"), &here(&share).join("extension"), "");
    let parent = bin.parent().expect("a folder");
    if parent != common {
        linked(parent, &here(parent), "bin");
    } else {
        symlink(bin.join("../lib"), root.join("lib")).expect("linked");
    }
    std::fs::create_dir_all(here(&bin)).expect("a folder");
    // The server looks for extensions beside itself; the others stay where they find their libraries.
    std::fs::copy(bin.join("postgres"), here(&bin).join("postgres")).expect("copied");
    for program in ["initdb", "pg_dump", "pg_restore"] {
        symlink(bin.join(program), here(&bin).join(program)).expect("linked");
    }
    for (name, sql) in
        [("only_here", ONLY_HERE), ("catalog", CATALOG), ("timescaledb", "create table hyper (id int);")]
    {
        let folder = here(&share).join("extension");
        std::fs::write(
            folder.join(format!("{name}.control")),
            "default_version = '1'\nrelocatable = false\nsuperuser = true\n",
        )
        .expect("written");
        std::fs::write(folder.join(format!("{name}--1.sql")), sql).expect("written");
    }
    here(&bin)
}

/// A folder with links to all that is in another one but one entry.
fn linked(from: &Path, to: &Path, but: &str) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("there").flatten().filter(|entry| entry.file_name() != but) {
        symlink(entry.path(), to.join(entry.file_name())).expect("linked");
    }
}

fn bench(root: &tempfile::TempDir) -> Bench {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(root.path(), PermissionsExt::from_mode(0o755)).expect("readable");
    Bench::on(Cluster::of(&programs(root.path()), &[]))
}

#[test]
fn an_extension_that_no_copy_can_have_is_left_out_and_said_or_refused_when_the_snapshot_is_taken() {
    let root = tempfile::tempdir().expect("a folder");
    let bench = bench(&root);
    bench.cluster.execute("shop", "create extension only_here; insert into only_here.job (command) values ('vacuum'); comment on extension only_here is 'ours'; grant select on only_here.job to public");
    let (id, _) = bench.snapshot(BEFORE);
    let (code, rehearsed, stderr) = bench.run(&["rehearse"], &opened(BEFORE));
    assert_eq!(code, 0, "{rehearsed} {stderr}");
    assert_eq!(rehearsed["steps"][0]["output"]["left_out"], serde_json::json!(["only_here"]), "{rehearsed}");
    assert!(
        stderr.contains("only_here") && stderr.contains("can only create extension in database shop"),
        "{stderr}"
    );
    bench.cluster.execute("shop", "update products set price = 0");
    let done = bench.restored(&id, ID);
    assert_eq!(done["steps"][0]["output"]["left_out"], serde_json::json!(["only_here"]), "{done}");
    assert_eq!(bench.prices()[0][1], "85000");
    // Where the name is the right one again, it can be made.
    bench.cluster.execute("shop", "create extension only_here");
    bench.cluster.execute("shop", "drop extension only_here; create extension timescaledb");
    let (code, refused, _) = bench.run(&["snapshot"], &opened("shop-1.3.0-20261124T180000Z-000d"));
    assert_eq!((code, reason(&refused).0), (1, "tied-extensions"), "{refused}");
}

#[test]
fn an_extension_with_a_catalog_and_an_event_trigger_of_its_own_comes_back() {
    let root = tempfile::tempdir().expect("a folder");
    let bench = bench(&root);
    bench.cluster.execute("shop", "create extension catalog; insert into catalogued values ('ours', 2); create index ours on catalogued (n); create table more (id int)");
    let before = bench.content();
    let (id, _) = bench.snapshot(BEFORE);
    let (code, failed, stderr) = bench.run(&["rehearse"], &opened(BEFORE));
    assert_eq!(code, 0, "{failed} {stderr}");
    bench.cluster.execute("shop", "update products set price = 0");
    bench.restored(&id, ID);
    assert_eq!(bench.content(), before);
    assert_eq!(
        bench.cluster.query("shop", "select name, n from catalogued order by n"),
        [["built in", "1"], ["ours", "2"]]
    );
    assert_eq!(
        bench.cluster.value("shop", "select evtenabled from pg_event_trigger"),
        "O",
        "it judges again"
    );
}
