//! The side database: made like the live one, filled from a snapshot, and held against the snapshot's manifest.

use std::path::Path;

use step::{Context, Failure, Permit};

use crate::archive::Manifest;
use crate::args::Settings;
use crate::database::{Server, Session, name, text};
use crate::plan::{self, Names};
use crate::tools;

/// How a database like this one is made. `datlocprovider` and its locale have moved between versions: they are read by name.
const LIKE: &str = "
    select format('create database %I template template0 encoding %L lc_collate %L lc_ctype %L owner %I tablespace %I connection limit %s',
                  $2::text, pg_encoding_to_char(d.encoding), d.datcollate, d.datctype, pg_get_userbyid(d.datdba), t.spcname, d.datconnlimit)
        || case j->>'datlocprovider'
               when 'i' then format(' locale_provider icu icu_locale %L', coalesce(j->>'datlocale', j->>'daticulocale'))
               when 'b' then format(' locale_provider builtin builtin_locale %L', j->>'datlocale')
               else '' end
    from pg_database d join pg_tablespace t on t.oid = d.dattablespace, to_jsonb(d) j
    where d.datname = $1::text";
/// What pg_dump leaves out because it belongs to the database and not to what is in it: settings and rights, as statements.
/// A setting whose value is a list is quoted already (pg_dump knows the same six).
const PROPERTIES: &str = "
    select case s.setrole when 0 then format('alter database %I', $2::text)
                          else format('alter role %I in database %I', pg_get_userbyid(s.setrole), $2::text) end
        || format(' set %I to ', split_part(c, '=', 1))
        || case when split_part(c, '=', 1) in ('search_path', 'temp_tablespaces', 'unix_socket_directories',
                    'local_preload_libraries', 'session_preload_libraries', 'shared_preload_libraries')
                     and substr(c, strpos(c, '=') + 1) not in ('', '\"\"')
                then substr(c, strpos(c, '=') + 1)
                when substr(c, strpos(c, '=') + 1) in ('', '\"\"') then ''''''
                else quote_literal(substr(c, strpos(c, '=') + 1)) end
    from pg_database d join pg_db_role_setting s on s.setdatabase = d.oid, unnest(s.setconfig) c
    where d.datname = $1::text
    union all
    select format('revoke all on database %I from public, %I', $2::text, pg_get_userbyid(d.datdba))
    from pg_database d where d.datname = $1::text and d.datacl is not null
    union all
    select format('grant %s on database %I to %s%s', a.privilege_type, $2::text,
                  case a.grantee when 0 then 'public' else quote_ident(pg_get_userbyid(a.grantee)) end,
                  case when a.is_grantable then ' with grant option' else '' end)
    from pg_database d, aclexplode(d.datacl) a where d.datname = $1::text";

/// Makes the empty side database, like the live one; what a killed attempt left under its name is thrown away. Gives its oid.
pub fn make(keeper: &mut Session, permit: &Permit, names: &Names) -> Result<u32, Failure> {
    discard(keeper, permit, names)?;
    let missing = || Failure::failed("database", format!("{} is not there any more", names.live));
    let create: String = keeper.one(LIKE, &[&names.live, &names.side])?.ok_or_else(missing)?;
    keeper.change(permit, &create)?;
    for statement in keeper.texts(PROPERTIES, &[&names.live, &names.side])? {
        keeper.change(permit, &statement)?;
    }
    let oid = keeper.one("select oid from pg_database where datname = $1", &[&names.side])?;
    oid.ok_or_else(|| Failure::failed("database", format!("{} was not made", names.side)))
}

/// Throws the side database away, with whoever is still in it.
pub fn discard(keeper: &mut Session, permit: &Permit, names: &Names) -> Result<(), Failure> {
    keeper.change(permit, &format!("drop database if exists {} with (force)", name(&names.side)))
}

/// Restores the dump; any error of pg_restore is one.
pub fn fill(
    context: &Context,
    settings: &Settings,
    tool: &Path,
    side: &str,
    dump: &Path,
) -> Result<(), Failure> {
    let (jobs, dump) = (settings.jobs.to_string(), dump.display().to_string());
    let args = ["--exit-on-error", "--jobs", &jobs, &dump];
    tools::run(context, settings, tool, Some(side), &args, &format!("restoring into {side}"))
}

/// Every table has the rows that the manifest says, and every index can be used.
pub fn verify(server: Server, permit: &Permit, side: &str, manifest: &Manifest) -> Result<(), Failure> {
    let mut session = server.connect(side)?;
    let wrong = plan::differences(&session.counts()?, &manifest.tables);
    let unusable =
        session.texts("select indexrelid::regclass::text from pg_index where not indisvalid", &[])?;
    let wrong: Vec<_> =
        wrong.into_iter().chain(unusable.iter().map(|i| format!("index {i} is not valid"))).collect();
    if wrong.is_empty() {
        // Without statistics the first queries of the shop would be slow.
        return session.change(permit, "analyze");
    }
    let failure = Failure::failed("unproven", format!("what was restored is not what {} holds", manifest.id));
    Err(wrong.iter().fold(failure, Failure::cause))
}

/// The statement that sets a database's comment.
pub fn comment(database: &str, comment: &str) -> String {
    format!("comment on database {} is {}", name(database), text(comment))
}
