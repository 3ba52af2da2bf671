//! What odd databases are made of. A piece can be made beside all others of its kind of database.

/// How a piece is made.
#[derive(Clone, Copy)]
pub struct Piece {
    pub name: &'static str,
    /// Once in a cluster, from the maintenance database.
    pub cluster: &'static str,
    /// In the database, by a superuser; each statement that must stand alone is a line that begins with `!`, and one that must fail with `?`.
    pub sql: &'static str,
    /// The oldest server that knows it.
    pub from: u32,
    /// Whether the owner of a database can make it, and bring it back.
    pub owner: bool,
    /// What must be true of the server, in SQL.
    pub where_it_is: &'static str,
}

const fn piece(name: &'static str, sql: &'static str) -> Piece {
    Piece { name, cluster: "", sql, from: 15, owner: true, where_it_is: "true" }
}

const fn superuser(name: &'static str, sql: &'static str) -> Piece {
    Piece { owner: false, ..piece(name, sql) }
}

impl Piece {
    /// The extensions that it needs.
    pub fn extensions(&self) -> impl Iterator<Item = &'static str> {
        let after = |text: &'static str| text.split([' ', ';']).next().unwrap_or_default().trim_matches('"');
        self.sql.split("create extension ").skip(1).map(after)
    }
}

/// Pieces that a superuser's tool brings back.
pub const PIECES: &[Piece] = &[
    piece("an index that is not valid", "create table inv (id int primary key, e int); insert into inv select g, g % 10 from generate_series(1, 100) g;
?create unique index concurrently inv_e on inv (e)"),
    piece("an index that is not valid on a partition's parent only", "create table par (a int, b int) partition by range (a); create table par1 partition of par for values from (0) to (10); create table par2 partition of par for values from (10) to (20);
        create index par_only on only par (b); create index par1_b on par1 (b); alter index par_only attach partition par1_b; insert into par select g, g from generate_series(0, 19) g;
        create unique index par_key on par (a);"),
    piece("texts that look like SQL", "create table orders (id int primary key, status text default 'OWNER TO nobody_1;'); alter table orders enable row level security;
        create policy p on orders for select using (status = 'READY TO SHIP'); create policy \"q TO nobody_2\" on orders to public using (status = 'GRANT ALL TO nobody_3');
        comment on table orders is E'How to open it:\\nGRANT SELECT ON t TO nobody_4;\\nCREATE EXTENSION nothing_5;\\nSET default_tablespace = nowhere_6;\\n\\\\connect postgres\\n';
        create function make_tenant() returns void language plpgsql as $f$
begin
GRANT SELECT ON t TO nobody_7;
ALTER TABLE t OWNER TO nobody_8;
CREATE EXTENSION nothing_9;
end $f$;
        create view \"v OWNER TO nobody_10;\" as select 'FROM nobody_11' as \"TO nobody_12\";
        insert into orders values (1, E'\\\\.'), (2, E'a\\tb\\nCOPY x FROM stdin;'), (3, E'\\\\connect shop');"),
    piece("bodies in standard SQL", "create function atomic (a int) returns int language sql begin atomic select case when a > 0 then 1 else 2 end; select a; end;
        create procedure atomic_p (inout a int) language sql begin atomic select a + 1; end;"),
    superuser("publications", "create table pubbed (id int primary key, a int); create publication pub_some for table pubbed (id) where (id > 0); create publication pub_every for all tables; create publication pub_schema for tables in schema public; comment on publication pub_some is 'x';
        alter table pubbed replica identity full;"),
    Piece { cluster: "create role mapped; create role fdw_user login", ..superuser("a foreign server", "create extension postgres_fdw; create server elsewhere foreign data wrapper postgres_fdw options (host '127.0.0.1', port '1');
        create user mapping for mapped server elsewhere options (user 'x', password 'it''s'); create user mapping for public server elsewhere; grant usage on foreign server elsewhere to fdw_user;
        create foreign table far (id int, n text default 'x') server elsewhere; alter foreign table far owner to fdw_user;
        create table mixed (a int, b int) partition by range (a); create table mixed1 partition of mixed for values from (0) to (10); create foreign table mixed2 partition of mixed for values from (10) to (20) server elsewhere;
        insert into mixed values (1, 1); create table over (a int); create foreign table over1 () inherits (over) server elsewhere; insert into over values (1);") },
    Piece { cluster: "create role owner_a; create role owner_b login; create role reader; create role \"Odd \"\" TO one\"; grant owner_a to owner_b", ..superuser("owners and rights", "create schema owned authorization owner_a; create table owned.t (id int primary key, a text, b text); alter table owned.t owner to owner_b; revoke insert, update, delete on owned.t from owner_b;
        insert into owned.t values (1, 'x', 'y'); grant select (a), update (b) on owned.t to reader; grant all on owned.t to \"Odd \"\" TO one\" with grant option; grant usage on schema owned to public;
        set role \"Odd \"\" TO one\"; grant select on owned.t to reader with grant option; reset role;
        create function owned.f () returns int language sql as 'select 1'; revoke execute on function owned.f () from public; grant execute on function owned.f () to reader; alter function owned.f () owner to owner_a;
        create type owned.mood as enum ('a', 'b'); revoke usage on type owned.mood from public; alter type owned.mood owner to owner_a; create sequence owned.s; grant usage on sequence owned.s to reader;
        alter default privileges for role owner_a in schema owned grant select on tables to reader; alter default privileges for role owner_a revoke execute on functions from public;
        create view owned.v with (security_barrier) as select id from owned.t; alter view owned.v owner to owner_b; grant select on owned.v to public; create materialized view owned.m as select count(*) from owned.v; alter materialized view owned.m owner to owner_a;
        revoke create on schema public from public; grant create on schema public to owner_a; comment on schema owned is 'it''s owned';") },
    piece("checks, domains and casts", "create function even (int) returns boolean immutable language sql as 'select $1 % 2 = 0'; create domain evens as int check (even(value)) default 2; create table checked (a evens, b int check (even(b)), c int generated always as (b * 2) stored, d int generated always as identity (start 5 increment 3));
        insert into checked (a, b) values (2, 4), (4, 6); alter table checked add constraint later check (b < 6) not valid; create type pair as (a int, b text); create table paired (p pair, l pair[]); insert into paired values ((1, 'x'), array[(2, 'y')::pair]);
        create cast (pair as text) with inout; create type temp_range as range (subtype = float8); create table ranged (r temp_range, m temp_multirange, exclude using gist (r with &&)); insert into ranged values ('[1,2)', '{[1,2)}');
        create function plus (pair, pair) returns pair language sql immutable as 'select $1'; create operator + (leftarg = pair, rightarg = pair, function = plus); create aggregate agg (pair) (sfunc = plus, stype = pair);
        create text search configuration ts (copy = simple); create statistics st (dependencies) on a, b from checked;"),
    Piece { where_it_is: "(select count(*) from pg_collation where collprovider = 'i') > 9", ..piece("a collation of ICU", "create collation odd (provider = icu, locale = 'und', deterministic = false); create table collated (t text collate odd); create index on collated (t); insert into collated values ('a'), ('A');") },
    superuser("an operator class, a leakproof function and one in C", "create function leak () returns int language sql leakproof as 'select 1'; create function in_c (text) returns text language internal immutable strict as 'upper'; create table classed (b int); create operator class int_class for type int using btree as operator 1 <, operator 2 <=, operator 3 =, operator 4 >=, operator 5 >, function 1 btint4cmp(int4, int4); create index by_class on classed (b int_class);"),
    piece("rules, triggers and inheritance", "create table base (id int primary key, n text); create table child (extra int) inherits (base); insert into child values (1, 'x', 2); insert into base values (2, 'y');
        create function fire () returns trigger language plpgsql as $$ begin raise exception 'fired'; end $$; create trigger off_one before insert on base execute function fire(); alter table base disable trigger off_one;
        create trigger always_one before insert on child for each row execute function fire(); alter table child enable always trigger always_one; create trigger replica_one after update on child for each row execute function fire(); alter table child enable replica trigger replica_one;
        create rule r as on delete to base do instead nothing; alter table base disable rule r; create constraint trigger ct after insert on base deferrable initially deferred for each row execute function fire();
        alter table base set (fillfactor = 70, autovacuum_enabled = off); alter table base alter n set storage external; alter table base alter n set statistics 50; alter table base cluster on base_pkey; create unlogged table un (id int); insert into un values (1);"),
    piece("names", "create schema \"a.b\"; create table \"a.b\".\"c\"\"d; drop table x; --\" (\"e'f\" int primary key, \"\u{fc} \u{4e2d}\" text); insert into \"a.b\".\"c\"\"d; drop table x; --\" values (1, '\u{fc}\u{4e2d}\u{1f600}');
        create table \"select\" (\"from\" int, \"table\" int); insert into \"select\" values (1, 2); create table \"COPY x FROM stdin;\" (a text); insert into \"COPY x FROM stdin;\" values ('\\.');
        create function \"f OWNER TO x\" (\"in\" int) returns int language sql as 'select 1'; create index \"i TO j\" on \"select\" (\"from\"); comment on column \"select\".\"from\" is E'\\n-- PostgreSQL database dump complete\\n';"),
    piece("large objects", "do $$ begin perform lo_from_bytea(4711, 'x'); perform lo_from_bytea(4712, decode('00ff', 'hex')); for n in 1..30 loop perform lo_create(0); end loop; end $$; comment on large object 4711 is 'it''s'; grant select on large object 4711 to public;"),
    piece("sequences", "create sequence seq increment -3 minvalue -100 maxvalue 10 start 4 cycle cache 5; select nextval('seq'); create table ser (id serial, big bigserial); insert into ser values (default, default), (default, default); select setval('ser_id_seq', 99, false); alter sequence ser_big_seq owned by none;"),
    superuser("extensions", "create extension citext; create extension hstore; create schema ext; create extension pg_trgm schema ext; create extension \"uuid-ossp\"; create table ci (a citext primary key, h hstore); insert into ci values ('Ab', 'a=>1'); create index on ci using gin (a ext.gin_trgm_ops);
        comment on extension citext is 'ours'; grant usage on schema ext to public;"),
    piece("values", "create table vals (n numeric, f float8, i interval, j jsonb, b bytea, t timestamptz, a text[], bits bit varying, p point, tv tsvector, m money); insert into vals values ('NaN', '-0', '1 mon', '{\"a\":1.00}', '\\x00ff', 'infinity', array[null, '', 'NULL', '{}'], B'101', '(1,2)', 'a b', 1), (1.00, 'Infinity', '30 days', 'null', '', '-infinity', '{}', B'', null, '', 0);
        create table \"no columns\" (); insert into \"no columns\" default values; create table wide (id int, t text); insert into wide select 1, repeat('x', 3000000);"),
    Piece { cluster: "create role set_by", ..superuser("settings of the database", "do $$ begin execute format('alter database %I set search_path to owned, public', current_database()); execute format('alter database %I set app.mode to %L', current_database(), 'a, b; ''c'''); execute format('alter role set_by in database %I set work_mem to ''5MB''', current_database());
        execute format('alter database %I connection limit 50', current_database()); execute format('revoke all on database %I from public', current_database()); execute format('grant connect on database %I to set_by with grant option', current_database()); execute format('alter database %I set default_transaction_isolation to serializable', current_database()); execute format('alter database %I set statement_timeout to 1', current_database()); end $$;") },
    piece("materialized views", "create table mvt (id int); insert into mvt values (1); create materialized view mv1 as select id from mvt; create materialized view mv2 as select id from mv1; create unique index on mv2 (id); create materialized view mv3 as select id from mvt with no data;"),
    piece("a foreign key that is not valid", "create table fk_a (id int primary key); create table fk_b (a int); insert into fk_b values (7); alter table fk_b add foreign key (a) references fk_a (id) not valid; create table fk_c (a int references fk_a (id) deferrable initially deferred, id int primary key); alter table fk_a add column c int; alter table fk_a add foreign key (c) references fk_c (id);"),
    piece("partitions", "create table pt (a int, b text, primary key (a, b)) partition by list (b); create table pt_x partition of pt for values in ('x') partition by hash (a); create table pt_x0 partition of pt_x for values with (modulus 2, remainder 0); create table pt_x1 partition of pt_x for values with (modulus 2, remainder 1); create table pt_d partition of pt default;
        insert into pt select g, case g % 2 when 0 then 'x' else 'z' end from generate_series(1, 20) g; create table pt_f (a int, b text, foreign key (a, b) references pt (a, b)); insert into pt_f values (2, 'x'); create function pt_t () returns trigger language plpgsql as $$ begin return new; end $$; create trigger t after insert on pt for each row execute function pt_t();
        alter table pt_x0 disable trigger t; alter table pt_d set (fillfactor = 50);"),
    Piece { cluster: "TABLESPACE", ..superuser("a tablespace", "create table spaced (id int primary key) tablespace fast; insert into spaced values (1); create index spaced_i on spaced (id) tablespace fast; create table spaced_p (a int) partition by range (a) tablespace fast; create table spaced_p1 partition of spaced_p for values from (0) to (10);") },
    Piece { from: 18, ..piece("virtual columns and constraints that are not enforced", "create table virt (a int, b int generated always as (a * 2) virtual, constraint c check (a > 0) not enforced); insert into virt values (-1); alter table virt add constraint nn not null a not valid;") },
    Piece { from: 17, ..superuser("a login trigger that lets nobody in", "create function no_login () returns event_trigger language plpgsql as $$ begin if session_user ~ 'tmp' or current_setting('event_triggers') = 'on' and current_setting('application_name') like 'db-restore%' then raise exception 'nobody'; end if; end $$;
!create event trigger locked on login execute function no_login()
!alter event trigger locked enable always") },
    superuser("an event trigger that forbids everything", "create function no_ddl () returns event_trigger language plpgsql as $$ begin raise exception 'DDL is frozen (%)', tg_tag; end $$;
!create event trigger frozen on ddl_command_start execute function no_ddl()
!create event trigger frozen_end on ddl_command_end when tag in ('CREATE TABLE', 'CREATE SCHEMA') execute function no_ddl()
!create event trigger no_drop on sql_drop execute function no_ddl()
!alter event trigger frozen enable always
!alter event trigger no_drop enable replica
!comment on event trigger frozen is 'ask us before'"),
];

/// One that forbids to rename the database.
pub const SUBSCRIPTION: Piece = superuser(
    "a subscription",
    "!create subscription sub connection 'host=127.0.0.1 port=1 dbname=x' publication p with (connect = false, slot_name = none)",
);

/// Pieces for a database in LATIN1.
pub const LATIN1: &[Piece] = &[
    piece(
        "latin names",
        "do $$ begin for i in 1..60 loop execute format('create table t%s (\"\u{fc}\" int primary key, v text); comment on table t%s is %L; insert into t%s values (1, %L)', i, i, '\u{d6}' || repeat('x', 300), i, '\u{e4}'); end loop; end $$;",
    ),
    piece(
        "a latin function",
        "create function f () returns text language sql as $$ select '\u{e9}'::text $$; create view \"v\u{e4}\" as select f() as \"\u{df}\"; create type \"\u{e5}\" as enum ('\u{f8}'); create table e (a \"\u{e5}\" default '\u{f8}'); insert into e values (default);",
    ),
];

/// Pieces for a database without an encoding: bytes.
pub const BYTES: &[Piece] = &[piece(
    "bytes",
    "create table z (id text primary key, v text); insert into z values (E'\\344', 'x'), (E'\\374\\200', E'\\377'); create table y (v text default '\u{fc}'); insert into y values (E'\\344'); comment on table y is '\u{e4}';",
)];
