//! What belongs to a database and not to what is in it: its owner, how many may come in, its settings, and who may do what with it. No dump
//! holds it. A snapshot remembers it, the copy gets it before it is swapped in, and what a restore changes by that is said.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use step::Failure;

use crate::server::sql::{self, name};
use crate::server::{Row, Session, Sql, get};

/// Who owns it, how many may come in, and whether rights were given at all.
const OWNER: &str =
    "select pg_get_userbyid(datdba), datconnlimit, datacl is not null from pg_database where datname = {}";
/// Its settings, by role or for all; and for no database: what roles have everywhere. Our own note is none of them.
const SETTINGS: &str = "
    select case s.setrole when 0 then null else pg_get_userbyid(s.setrole) end, split_part(c, '=', 1), substr(c, strpos(c, '=') + 1)
    from pg_db_role_setting s left join pg_database d on s.setdatabase = d.oid, unnest(s.setconfig) with ordinality u(c, place)
    where coalesce(d.datname, '') = {} and split_part(c, '=', 1) <> 'db_restore.note' order by 1, place";
/// Its rights: what, to whom (nobody in particular: everybody), and whether they may give it on.
const RIGHTS: &str = "
    select a.privilege_type, case a.grantee when 0 then null else pg_get_userbyid(a.grantee) end, a.is_grantable
    from pg_database d, aclexplode(d.datacl) with ordinality a(grantor, grantee, privilege_type, is_grantable, place)
    where d.datname = {} order by a.place";

/// What roles may do in the whole cluster, in words.
const ROLES: &str = "
    select r.rolname::text, concat_ws(', ', case when rolcanlogin then 'login' else 'no login' end, case when rolsuper then 'superuser' end,
           case when rolcreatedb then 'createdb' end, case when rolcreaterole then 'createrole' end, case when rolreplication then 'replication' end,
           case when rolbypassrls then 'bypassrls' end, case when not rolinherit then 'no inherit' end,
           case when rolconnlimit >= 0 then 'connection limit ' || rolconnlimit end, 'valid until ' || nullif(rolvaliduntil, 'infinity')::text,
           'member of ' || (select string_agg(pg_get_userbyid(m.roleid), ', ' order by pg_get_userbyid(m.roleid)) from pg_auth_members m where m.member = r.oid))
    from pg_roles r where rolname !~ '^pg_' and not starts_with(rolname, 'db_restore_tmp_')";

/// Settings that decide what a session runs or may do, and that only a superuser can give; and what begins the settings of extensions, which may.
pub const GUARDED: &str = "
    select name from pg_settings where context not in ('user', 'backend')
    union select name || '.' from pg_available_extensions union select unnest(array['auto_explain.', 'sepgsql.', 'plperl.', 'pltcl.'])";

/// One setting, of a role or of all.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Setting {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    pub name: String,
    pub value: String,
}

/// One right, of a role or of everybody.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Right {
    pub privilege: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    #[serde(default)]
    pub grantable: bool,
}

/// All of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Properties {
    pub owner: String,
    pub connection_limit: i32,
    pub settings: Vec<Setting>,
    /// `None` where nobody has ever given or taken any: then PostgreSQL's own count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rights: Option<Vec<Right>>,
    /// What roles have set for every database of the cluster. It is not the database's: it is only compared.
    #[serde(default)]
    pub of_roles: Vec<Setting>,
    /// What roles may do everywhere, but their passwords; only compared too.
    #[serde(default)]
    pub roles: BTreeMap<String, String>,
}

/// Those of a database, in one round trip.
pub fn of(session: &mut Session, database: &str) -> Result<Properties, Failure> {
    Properties::of_answers(database, &session.ask_these(&Properties::questions(database))?)
}

/// The question for the settings of a database.
pub fn settings(database: &str) -> Sql {
    sql::fill(SETTINGS, &[literal(database)])
}

/// The answer to it.
pub fn settings_of(rows: &[Row]) -> Result<Vec<Setting>, Failure> {
    rows.iter().map(setting).collect()
}

fn literal(name: &str) -> Sql {
    sql::fill("{}::text", &[sql::text(name)])
}

fn setting(row: &Row) -> Result<Setting, Failure> {
    Ok(Setting { role: get(row, 0)?, name: get(row, 1)?, value: get(row, 2)? })
}

fn right(row: &Row) -> Result<Right, Failure> {
    Ok(Right { privilege: get(row, 0)?, to: get(row, 1)?, grantable: get(row, 2)? })
}

impl Properties {
    /// How many questions [`Properties::questions`] are.
    pub const QUESTIONS: usize = 5;

    /// The questions of which [`Properties::of_answers`] reads the answers.
    pub fn questions(database: &str) -> Vec<Sql> {
        let of = |question: &'static str| sql::fill(question, &[literal(database)]);
        vec![of(OWNER), settings(database), of(RIGHTS), settings(""), ROLES.into()]
    }

    /// Those of a database.
    pub fn of_answers(database: &str, answers: &[Vec<Row>]) -> Result<Self, Failure> {
        let [owner, settings, rights, of_roles, roles] = answers else {
            return Err(Failure::bug("five answers"));
        };
        let missing = || Failure::failed("database", format!("{database} is not there any more"));
        let owner = owner.first().ok_or_else(missing)?;
        let given: bool = get(owner, 2)?;
        let rights: Vec<Right> = rights.iter().map(right).collect::<Result<_, _>>()?;
        let roles = roles.iter().map(|row| Ok((get(row, 0)?, get(row, 1)?)));
        Ok(Properties {
            owner: get(owner, 0)?,
            connection_limit: get(owner, 1)?,
            settings: settings_of(settings)?,
            rights: given.then_some(rights),
            of_roles: settings_of(of_roles)?,
            roles: roles.collect::<Result<_, Failure>>()?,
        })
    }

    /// What is different now, a sentence each. The values of settings that are not PostgreSQL's own may be secret: they are not said.
    pub fn changes(&self, before: &Properties) -> Vec<String> {
        let mut list = Vec::new();
        if self.owner != before.owner {
            list.push(format!("its owner is {} (was {})", self.owner, before.owner));
        }
        if self.connection_limit != before.connection_limit {
            let (now, then) = (self.connection_limit, before.connection_limit);
            list.push(format!("its connection limit is {now} (was {then})"));
        }
        list.extend(set(&self.settings, &before.settings));
        // The word of nobody's rights is PostgreSQL's own: everybody may connect.
        let all = |p: &Properties| p.rights.clone().map(BTreeSet::from_iter);
        match (all(self), all(before)) {
            (now, then) if now == then => {}
            (Some(now), Some(then)) => {
                list.extend(
                    now.difference(&then).map(|right: &Right| format!("{} is given again", right.said())),
                );
                list.extend(then.difference(&now).map(|right| format!("{} is taken away", right.said())));
            }
            (Some(_), None) => {
                list.push("rights on it are given and taken as the snapshot had them".to_owned());
            }
            (None, _) => {
                list.push("rights on it are PostgreSQL's own again: everybody may connect".to_owned());
            }
        }
        list
    }

    /// What of roles is different in the whole cluster since the snapshot, a sentence each: nobody changes it back.
    pub fn of_roles_since(&self, now: &Properties) -> Vec<String> {
        let mut list = Vec::new();
        for (role, then) in &self.roles {
            match now.roles.get(role) {
                None => list.push(format!("the role {role} is gone (it had: {then})")),
                Some(now) if now != then => list.push(format!("the role {role} has {now} (it had: {then})")),
                Some(_) => {}
            }
        }
        let words =
            |setting: &Setting| if setting.is_open() { setting.value.clone() } else { "another".to_owned() };
        for setting in now.of_roles.iter().filter(|setting| !self.of_roles.contains(setting)) {
            let then = other(&self.of_roles, setting)
                .map_or("was not set".to_owned(), |s| format!("was {}", words(&s)));
            list.push(format!("{} ({then})", setting.said(true)));
        }
        let gone = self.of_roles.iter().filter(|setting| other(&now.of_roles, setting).is_none());
        list.extend(
            gone.map(|setting| {
                format!("{} is not set any more (was {})", setting.said(false), words(setting))
            }),
        );
        list
    }
}

fn other(list: &[Setting], like: &Setting) -> Option<Setting> {
    list.iter().find(|other| other.role == like.role && other.name == like.name).cloned()
}

/// How settings differ.
fn set(now: &[Setting], then: &[Setting]) -> Vec<String> {
    let mut list = Vec::new();
    for setting in now {
        match other(then, setting) {
            None => list.push(format!("{} (was not set)", setting.said(true))),
            Some(was) if was.value != setting.value => {
                let was = if was.is_open() { format!(" (was {})", was.value) } else { " again".to_owned() };
                list.push(format!("{}{was}", setting.said(true)));
            }
            Some(_) => {}
        }
    }
    let gone = then.iter().filter(|s| other(now, s).is_none());
    list.extend(gone.map(|s| format!("{} is not set any more", s.said(false))));
    list
}

impl Setting {
    /// Whether its value may be shown: PostgreSQL's own settings hold no secrets.
    pub fn is_open(&self) -> bool {
        !self.name.contains('.')
    }

    /// Whether it is one of these, or begins with what ends in a dot.
    pub fn is_guarded(&self, guarded: &[String]) -> bool {
        guarded
            .iter()
            .any(|g| if g.ends_with('.') { self.name.starts_with(g.as_str()) } else { self.name == *g })
    }

    pub fn said(&self, with_value: bool) -> String {
        let of = self.role.as_ref().map(|role| format!(" of the role {role}")).unwrap_or_default();
        let value = if with_value && self.is_open() { format!(" is {}", self.value) } else { String::new() };
        format!("the setting {}{of}{value}", self.name)
    }

    /// The statement that takes it from a database.
    pub fn reset(&self, database: &str) -> Sql {
        let parts = sql::join(self.name.split('.').map(name), ".");
        match &self.role {
            None => sql::fill("alter database {} reset {}", &[name(database), parts]),
            Some(role) => {
                sql::fill("alter role {} in database {} reset {}", &[name(role), name(database), parts])
            }
        }
    }

    /// The statement that gives it to a database.
    pub fn sql(&self, database: &str) -> Sql {
        // `app.mode` is one setting, and not a setting of `app`.
        let parts = sql::join(self.name.split('.').map(name), ".");
        let value = sql::setting(&self.name, &self.value);
        match &self.role {
            None => sql::fill("alter database {} set {} to {}", &[name(database), parts, value]),
            Some(role) => sql::fill(
                "alter role {} in database {} set {} to {}",
                &[name(role), name(database), parts, value],
            ),
        }
    }
}

impl Right {
    pub fn said(&self) -> String {
        let to = self.to.as_deref().unwrap_or("everybody");
        let on = if self.grantable { " (to be given on)" } else { "" };
        format!("the right {} of {to}{on}", self.privilege)
    }

    /// The statement that gives it, on what.
    pub fn sql(&self, kind: Sql, on: Sql) -> Result<Sql, Failure> {
        let to = self.to.as_ref().map_or_else(|| "public".into(), |role| name(role));
        let option = if self.grantable { " with grant option" } else { "" };
        Ok(sql::fill(
            "grant {} on {} {} to {}{}",
            &[privilege(&self.privilege)?, kind, on, to, option.into()],
        ))
    }
}

/// A privilege by its word; one that is not known is none of ours.
pub fn privilege(word: &str) -> Result<Sql, Failure> {
    const KNOWN: &[&str] = &[
        "SELECT",
        "INSERT",
        "UPDATE",
        "DELETE",
        "TRUNCATE",
        "REFERENCES",
        "TRIGGER",
        "MAINTAIN",
        "USAGE",
        "CREATE",
        "CONNECT",
        "TEMPORARY",
        "EXECUTE",
        "SET",
        "ALTER SYSTEM",
    ];
    let known = KNOWN.iter().find(|known| **known == word);
    known.map(|word| Sql::from(*word)).ok_or_else(|| Failure::bug(format!("PostgreSQL knows a right {word}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn having(settings: &[(&str, &str)], rights: Option<&[&str]>) -> Properties {
        let setting = |(name, value): &(&str, &str)| Setting {
            role: None,
            name: (*name).to_owned(),
            value: (*value).to_owned(),
        };
        let right =
            |to: &&str| Right { privilege: "CONNECT".into(), to: Some((*to).to_owned()), grantable: false };
        Properties {
            owner: "shop_owner".into(),
            connection_limit: -1,
            settings: settings.iter().map(setting).collect(),
            rights: rights.map(|list| list.iter().map(right).collect()),
            of_roles: Vec::new(),
            roles: BTreeMap::new(),
        }
    }

    #[test]
    fn what_of_roles_is_different_is_said_and_stays() {
        let of = |value: &str, role: &str| {
            let role_setting =
                Setting { role: Some("app".into()), name: "lock_timeout".into(), value: value.into() };
            let roles = [("app".to_owned(), role.to_owned()), ("eve".to_owned(), "login".to_owned())].into();
            Properties { of_roles: vec![role_setting], roles, ..having(&[], None) }
        };
        let (then, mut now) = (of("7s", "login"), of("1ms", "no login, connection limit 1"));
        now.roles.remove("eve");
        let said = [
            "the role app has no login, connection limit 1 (it had: login)",
            "the role eve is gone (it had: login)",
            "the setting lock_timeout of the role app is 1ms (was 7s)",
        ];
        assert_eq!(then.of_roles_since(&now), said);
        assert_eq!(then.of_roles_since(&then), [""; 0]);
        assert_eq!(then.changes(&now), [""; 0]);
    }

    #[test]
    fn what_changes_is_said_and_no_secret() {
        let then =
            having(&[("search_path", "wrong"), ("app.jwt", "s3cret"), ("work_mem", "1MB")], Some(&["eve"]));
        let now = having(&[("search_path", "app"), ("app.jwt", "other"), ("jit", "off")], Some(&["app"]));
        let said = [
            "the setting search_path is app (was wrong)",
            "the setting app.jwt again",
            "the setting jit is off (was not set)",
            "the setting work_mem is not set any more",
            "the right CONNECT of app is given again",
            "the right CONNECT of eve is taken away",
        ];
        assert_eq!(now.changes(&then), said);
        assert_eq!(now.changes(&now), [""; 0]);
        assert_eq!(having(&[], None).changes(&having(&[], Some(&[]))).len(), 1);
    }
}
