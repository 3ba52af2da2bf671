//! Which migrations the database says were applied; reading them runs nothing of the database's own.

use serde_json::json;

use crate::common::{Bench, ID, opened};

#[test]
fn applied_migrations_are_read_and_no_cast_of_an_owner_runs() {
    let bench = Bench::start();
    let done = bench.run(&["applied"], &opened(ID));
    assert!(done.0 == 0 && done.1["facts"].get("applied").is_none(), "{}", done.2);
    bench.cluster.execute(
        "shop",
        "create table schema_migrations (version varchar(128) primary key);
         insert into schema_migrations values ('20261124000001'), ('20261124000002');
         create role eve; create type tag as enum ('mine'); alter type tag owner to eve;
         create function spelt(tag) returns text language plpgsql as
             $$ begin create role owned superuser; return 'x'; end $$;
         create cast (tag as text) with function spelt(tag) as implicit;
         create table knex_migrations (name tag); insert into knex_migrations values ('mine');",
    );
    let done = bench.run(&["applied"], &opened(ID));
    assert_eq!(done.0, 0, "{}", done.2);
    assert_eq!(done.1["facts"]["applied"]["names"], json!(["20261124000001", "20261124000002"]));
    assert_eq!(bench.cluster.value("postgres", "select count(*) from pg_roles where rolname = 'owned'"), "0");
}
