//! What the server says of itself and of the live database, over the sessions of [`postgres_server`].

use jiff::Timestamp;
use step::Failure;

pub use postgres_server::*;

/// Who the server, the database (`$1`) and we are, and whether the role `$2` is there.
const IDENTITY: &str = "select (select system_identifier::text from pg_control_system()), current_setting('server_version'),
                    current_setting('server_version_num')::int, to_char(clock_timestamp() at time zone 'UTC', {}),
                    d.oid, r.rolsuper or (r.rolcreatedb and d.datdba = r.oid and (d.dattablespace = (select dattablespace from pg_database where datname = 'template0')
                                                                     or has_tablespace_privilege(d.dattablespace, 'CREATE'))), pg_is_in_recovery(), pg_database_size(d.oid),
                    d.datallowconn, coalesce(shobj_description(d.oid, 'pg_database'), ''), r.rolsuper, {}, pg_get_userbyid(d.datdba),
                    $2 = '' or exists (select from pg_roles where rolname = $2), has_database_privilege('public', d.oid, 'connect')
             from pg_database d, pg_roles r where d.datname = $1 and r.rolname = current_user";

/// What the server says of itself and of the database.
#[derive(Clone, Debug)]
pub struct Live {
    /// Of the cluster: two servers never have the same one, but copies of each other do.
    pub system_identifier: String,
    /// For people.
    pub version: String,
    /// 150020 for 15.20.
    pub number: u32,
    /// The server's clock.
    pub now: Timestamp,
    /// By how many seconds the server's clock is ahead of ours, and how wrong that may be.
    pub skew: f64,
    /// The database's own identity, which a new name does not change.
    pub oid: u32,
    /// Who owns it.
    pub owner: String,
    /// Whether we are a superuser.
    pub superuser: bool,
    /// Whether we may create databases and rename this one.
    pub may_restore: bool,
    /// Whether the role of the application is there, where one is set.
    pub has_app_role: bool,
    /// Whether it only repeats what another server does.
    pub standby: bool,
    /// How much the database holds.
    pub bytes: u64,
    /// Where its log stands, in bytes.
    pub log: u64,
    /// Whether anybody can come in.
    pub open: bool,
    /// Whether one of our runs has closed it (those of 0.1 did).
    pub closed_by_us: bool,
}

impl Live {
    /// One of so many bytes, of which nothing else matters.
    #[cfg(test)]
    pub fn of_bytes(bytes: u64) -> Self {
        Live {
            system_identifier: String::new(),
            version: String::new(),
            number: 150_000,
            now: Timestamp::UNIX_EPOCH,
            skew: 0.0,
            oid: 0,
            owner: String::new(),
            log: 0,
            superuser: true,
            may_restore: true,
            has_app_role: true,
            standby: false,
            bytes,
            open: true,
            closed_by_us: false,
        }
    }

    /// The major version.
    pub fn major(&self) -> u32 {
        self.number / 10_000
    }
}

/// Asks the server who it is, and more with it, of which each has its own answer. It learns by that how its other sessions are opened.
pub fn identity<'a>(
    server: &Server<'a>,
    app_role: Option<&str>,
    database: &str,
    more: &[Sql],
) -> Result<(Live, Session<'a>, Vec<Answer>), Failure> {
    let sql = sql::fill(IDENTITY, &[INSTANT_SQL.into(), LOG_SQL.into()]);
    let mut session = server.connect(&server.maintenance())?;
    let before = Timestamp::now();
    let role = app_role.unwrap_or_default();
    let own: &[&dyn Value] = &[&database, &role];
    let mut questions = vec![(sql, own)];
    questions.extend(more.iter().map(|sql| (sql.clone(), &[][..])));
    let mut answers = session.ask_each(&questions)?;
    let after = Timestamp::now();
    let more = answers.split_off(1);
    let rows = answers.pop().unwrap_or_else(|| Err(Failure::bug("no answer about the server")))?;
    let row = rows.first();
    let row = row.ok_or_else(|| server.no_database(database))?;
    let now = instant(row, 3)?;
    // The server looked at its clock between our two looks: the middle is wrong by half of it at most.
    let middle = before + after.duration_since(before) / 2;
    let live = Live {
        system_identifier: get(row, 0)?,
        version: get(row, 1)?,
        number: get::<i32>(row, 2)?.unsigned_abs(),
        now,
        skew: now.duration_since(middle).as_secs_f64(),
        oid: get(row, 4)?,
        may_restore: get(row, 5)?,
        standby: get(row, 6)?,
        bytes: get::<i64>(row, 7)?.unsigned_abs(),
        open: get(row, 8)?,
        superuser: get(row, 10)?,
        log: get::<i64>(row, 11)?.unsigned_abs(),
        owner: get(row, 12)?,
        has_app_role: get(row, 13)?,
        closed_by_us: !get::<bool>(row, 8)? && crate::journal::says_closed(&get::<String>(row, 9)?),
    };
    // Another session may have been first: it has learnt the same.
    server.met(Met { major: live.major(), superuser: live.superuser, is_public: get(row, 14)? });
    Ok((live, session, more))
}
