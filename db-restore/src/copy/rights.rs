//! Owners and rights for archives of others that hold none (`--no-owner`, `--no-acl`): those of the live database, object by object. What was
//! revoked there stays revoked: PostgreSQL's own rights let everybody run a function.

use std::collections::{BTreeMap, BTreeSet};

use step::{Failure, Permit};

use super::properties::{Right, privilege};
use crate::server::sql::{self, Sql, name};
use crate::server::{Row, Session, Value, get};

/// Every object of the live database that somebody has given or taken rights on, once for each right that is left (once without one if
/// there is none): kind, name with its schema, column, owner, privilege, grantee (nobody in particular: everybody), whether they may give it on.
const RIGHTS: &str = "
    with ours as (select oid, nspname, nspowner, nspacl from pg_namespace where nspname !~ '^pg_' and nspname <> 'information_schema'),
    given as (
        select 'schema' as kind, quote_ident(nspname) as what, null::text as col, nspowner as owner, nspacl as acl from ours
        union all
        select case c.relkind when 'S' then 'sequence' else 'table' end, format('%I.%I', n.nspname, c.relname), null, c.relowner, c.relacl
        from pg_class c join ours n on n.oid = c.relnamespace where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
        union all
        select 'column', format('%I.%I', n.nspname, c.relname), quote_ident(a.attname), c.relowner, a.attacl
        from pg_attribute a join pg_class c on c.oid = a.attrelid join ours n on n.oid = c.relnamespace where a.attnum > 0 and not a.attisdropped
        union all
        select 'routine', p.oid::regprocedure::text, null, p.proowner, p.proacl from pg_proc p join ours n on n.oid = p.pronamespace
        union all
        select 'type', format('%I.%I', n.nspname, t.typname), null, t.typowner, t.typacl from pg_type t join ours n on n.oid = t.typnamespace
        union all
        select 'language', quote_ident(lanname), null, lanowner, lanacl from pg_language where oid >= 16384
        union all
        select 'foreign data wrapper', quote_ident(fdwname), null, fdwowner, fdwacl from pg_foreign_data_wrapper
        union all
        select 'foreign server', quote_ident(srvname), null, srvowner, srvacl from pg_foreign_server
        union all
        select 'large object', oid::text, null, lomowner, lomacl from pg_largeobject_metadata)
    select g.kind, g.what, g.col, pg_get_userbyid(g.owner), a.privilege_type,
           case a.grantee when 0 then null else pg_get_userbyid(a.grantee) end, coalesce(a.is_grantable, false)
    from given g left join lateral aclexplode(g.acl) a on true where g.acl is not null";
/// What roles give by themselves on what they will make.
const DEFAULTS: &str = "
    select pg_get_userbyid(d.defaclrole), quote_ident(n.nspname), d.defaclobjtype::text, a.privilege_type,
           case a.grantee when 0 then null else pg_get_userbyid(a.grantee) end, coalesce(a.is_grantable, false)
    from pg_default_acl d left join pg_namespace n on n.oid = d.defaclnamespace left join lateral aclexplode(d.defaclacl) a on true";
/// The routines of users.
const ROUTINES: &str = "
    select p.oid::regprocedure::text from pg_proc p join pg_namespace n on n.oid = p.pronamespace
    where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
      and not exists (select from pg_depend d where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e')";
/// What a role owns in a database: how it is called, and how it is found elsewhere.
const OWNED: &str = "
    select i.type, i.identity, a.type, a.object_names, a.object_args
    from pg_shdepend d join pg_roles r on r.oid = d.refobjid, lateral pg_identify_object(d.classid, d.objid, 0) i,
         lateral pg_identify_object_as_address(d.classid, d.objid, 0) a
    where d.refclassid = 'pg_authid'::regclass and d.deptype = 'o' and r.rolname = $1
      and d.dbid = (select oid from pg_database where datname = current_database())";
/// Who owns what is found so. What belongs to the first superuser is not written down.
const OWNER: &str = "
    select coalesce((select pg_get_userbyid(s.refobjid) from pg_shdepend s
                     where s.classid = o.classid and s.objid = o.objid and s.deptype = 'o' and s.refclassid = 'pg_authid'::regclass
                       and s.dbid = (select oid from pg_database where datname = current_database())), pg_get_userbyid(10))
    from pg_get_object_address($1, $2, $3) o";

/// What came of it.
pub struct Given {
    /// How many objects have the rights of the live database now.
    pub count: usize,
    /// Routines that the live database does not have.
    pub unknown: Vec<String>,
}

/// The rights on one object.
struct Object {
    kind: String,
    what: String,
    column: Option<String>,
    owner: String,
    rights: Vec<Right>,
}

/// Gives what is in the copy the rights that the live database has on the same.
pub fn give(permit: &Permit, live: &mut Session, copy: &mut Session) -> Result<Given, Failure> {
    let mut objects: BTreeMap<(String, String, Option<String>), Object> = BTreeMap::new();
    for row in live.ask(RIGHTS, &[])? {
        let (kind, what, column): (String, String, Option<String>) =
            (get(&row, 0)?, get(&row, 1)?, get(&row, 2)?);
        let fresh = || Object {
            kind: kind.clone(),
            what: what.clone(),
            column: column.clone(),
            owner: String::new(),
            rights: Vec::new(),
        };
        let object = objects.entry((kind.clone(), what.clone(), column.clone())).or_insert_with(fresh);
        object.owner = get(&row, 3)?;
        object.rights.extend(right(&row, 4)?);
    }
    let objects: Vec<Object> = objects.into_values().collect();
    let there = present(copy, &objects)?;
    let mut statements = Vec::new();
    let mut count = 0;
    for (object, _) in objects.iter().zip(there).filter(|(_, there)| *there) {
        statements.extend(object.statements()?);
        count += 1;
    }
    statements.extend(defaults(live, copy)?);
    if !statements.is_empty() {
        copy.change(permit, sql::join(statements, ";\n"))?;
    }
    let known: BTreeSet<String> = live.texts(ROUTINES, &[])?.into_iter().collect();
    let unknown = copy.texts(ROUTINES, &[])?.into_iter().filter(|routine| !known.contains(routine));
    Ok(Given { count, unknown: unknown.collect() })
}

/// The right of a row from this column on, if it has one.
fn right(row: &Row, at: usize) -> Result<Option<Right>, Failure> {
    let privilege: Option<String> = get(row, at)?;
    let (to, grantable) = (get(row, at + 1)?, get(row, at + 2)?);
    Ok(privilege.map(|privilege| Right { privilege, to, grantable }))
}

/// Which of them are in the copy; one round trip.
fn present(copy: &mut Session, objects: &[Object]) -> Result<Vec<bool>, Failure> {
    let values: Vec<[&dyn Value; 1]> = objects.iter().map(|object| [&object.what as &dyn Value]).collect();
    let look = |kind: &str| match kind {
        "schema" => "select true where to_regnamespace($1) is not null",
        "routine" => "select true where to_regprocedure($1) is not null",
        "type" => "select true where to_regtype($1) is not null",
        "language" => "select true from pg_language where quote_ident(lanname) = $1",
        "foreign data wrapper" => "select true from pg_foreign_data_wrapper where quote_ident(fdwname) = $1",
        "foreign server" => "select true from pg_foreign_server where quote_ident(srvname) = $1",
        "large object" => "select true from pg_largeobject_metadata where oid::text = $1",
        _ => "select true where to_regclass($1) is not null",
    };
    let questions: Vec<(Sql, &[&dyn Value])> =
        objects.iter().zip(&values).map(|(o, value)| (look(&o.kind).into(), &value[..])).collect();
    Ok(copy.ask_all(&questions)?.iter().map(|rows| !rows.is_empty()).collect())
}

impl Object {
    /// Nobody's rights but those that the live database has.
    fn statements(&self) -> Result<Vec<Sql>, Failure> {
        let on = if self.kind == "routine" { sql::signature(&self.what) } else { self.named() };
        if let Some(column) = &self.column {
            let column = |right: &Right| {
                let parts =
                    [privilege(&right.privilege)?, sql::given(column), on.clone(), to(right), option(right)];
                Ok(sql::fill("grant {} ({}) on table {} to {}{}", &parts))
            };
            return self.rights.iter().map(column).collect();
        }
        const KINDS: &[&str] = &[
            "schema",
            "table",
            "sequence",
            "routine",
            "type",
            "language",
            "foreign data wrapper",
            "foreign server",
            "large object",
        ];
        let kind = KINDS.iter().find(|kind| **kind == self.kind);
        let kind = || Sql::from(*kind.unwrap_or(&"table"));
        let mut list =
            vec![sql::fill("revoke all on {} {} from public, {}", &[kind(), on.clone(), name(&self.owner)])];
        for right in &self.rights {
            list.push(right.sql(kind(), on.clone())?);
        }
        Ok(list)
    }

    fn named(&self) -> Sql {
        match self.what.parse::<u32>() {
            Ok(number) => sql::number(number),
            Err(_) => sql::given(&self.what),
        }
    }
}

fn to(right: &Right) -> Sql {
    right.to.as_ref().map_or_else(|| "public".into(), |role| name(role))
}

fn option(right: &Right) -> Sql {
    if right.grantable { " with grant option".into() } else { "".into() }
}

/// What roles give by themselves: everywhere that is all there is, in one schema it comes on top.
fn defaults(live: &mut Session, copy: &mut Session) -> Result<Vec<Sql>, Failure> {
    let schemas: BTreeSet<String> =
        copy.texts("select quote_ident(nspname) from pg_namespace", &[])?.into_iter().collect();
    let (mut statements, mut begun) = (Vec::new(), BTreeSet::new());
    for row in live.ask(DEFAULTS, &[])? {
        let (role, schema, kind): (String, Option<String>, String) =
            (get(&row, 0)?, get(&row, 1)?, get(&row, 2)?);
        let Some(objects) = objects_of(&kind).filter(|_| schema.as_ref().is_none_or(|s| schemas.contains(s)))
        else {
            continue;
        };
        let place = match &schema {
            Some(schema) => sql::fill(" in schema {}", &[sql::given(schema)]),
            None => "".into(),
        };
        let head = sql::fill("alter default privileges for role {}{}", &[name(&role), place]);
        if schema.is_none() && begun.insert((role.clone(), kind)) {
            statements.push(sql::fill(
                "{} revoke all on {} from public, {}",
                &[head.clone(), objects.into(), name(&role)],
            ));
        }
        if let Some(right) = right(&row, 3)? {
            let parts = [head, privilege(&right.privilege)?, objects.into(), to(&right), option(&right)];
            statements.push(sql::fill("{} grant {} on {} to {}{}", &parts));
        }
    }
    Ok(statements)
}

fn objects_of(kind: &str) -> Option<&'static str> {
    match kind {
        "r" => Some("tables"),
        "S" => Some("sequences"),
        "f" => Some("functions"),
        "T" => Some("types"),
        "n" => Some("schemas"),
        "L" => Some("large objects"),
        _ => None,
    }
}

/// Gives what a role owns in the copy the owners that the live database has for the same, and the rest the owner of the database. Gives how many
/// there were, and what the live database does not have.
pub fn owners(
    permit: &Permit,
    live: &mut Session,
    copy: &mut Session,
    (from, database): (&str, &str),
) -> Result<(usize, Vec<String>), Failure> {
    let rows = copy.ask(OWNED, &[&from])?;
    let mut owned = Vec::new();
    for row in &rows {
        let (kind, identity, address): (String, String, String) = (get(row, 0)?, get(row, 1)?, get(row, 2)?);
        let (names, args): (Vec<String>, Vec<String>) = (get(row, 3)?, get(row, 4)?);
        owned.push((kind, identity, address, names, args));
    }
    let values: Vec<[&dyn Value; 3]> =
        owned.iter().map(|(.., address, names, args)| [address as &dyn Value, names, args]).collect();
    let questions: Vec<(Sql, &[&dyn Value])> = values.iter().map(|v| (OWNER.into(), &v[..])).collect();
    let answers = live.ask_each(&questions)?;
    let base: String = live
        .one("select pg_get_userbyid(datdba)::text from pg_database where datname = $1", &[&database])?
        .unwrap_or_default();
    let (mut statements, mut unknown, mut count) = (Vec::new(), Vec::new(), 0);
    for ((kind, identity, ..), answer) in owned.iter().zip(answers) {
        let owner: Option<String> =
            answer.ok().and_then(|rows| rows.first().and_then(|row| get(row, 0).ok()));
        match owner {
            Some(owner) => {
                count += 1;
                statements.extend(owner_is(kind, identity, &owner));
            }
            None => unknown.push(format!("{kind} {identity}")),
        }
    }
    // One that goes with another (a sequence with its table) has its owner by then.
    copy.change_each(permit, &statements)?;
    copy.change(permit, sql::fill("reassign owned by {} to {}", &[name(from), name(&base)]))?;
    Ok((count, unknown))
}

/// The statement that gives something its owner; nothing for kinds that are named in ways of their own.
fn owner_is(kind: &str, identity: &str, owner: &str) -> Option<Sql> {
    const KINDS: &[&str] = &[
        "schema",
        "table",
        "foreign table",
        "view",
        "materialized view",
        "sequence",
        "function",
        "procedure",
        "aggregate",
        "type",
        "collation",
        "conversion",
        "text search configuration",
        "text search dictionary",
        "large object",
    ];
    let word = KINDS.iter().find(|known| **known == kind).copied();
    let word = word.or_else(|| (kind == "statistics object").then_some("statistics"))?;
    let on = match kind {
        "function" | "procedure" | "aggregate" => sql::signature(identity),
        "large object" => sql::number(identity.parse::<u32>().ok()?),
        _ => sql::given(identity),
    };
    Some(sql::fill("alter {} {} owner to {}", &[word.into(), on, name(owner)]))
}
