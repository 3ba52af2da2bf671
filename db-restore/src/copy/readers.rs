//! Who reads users' tables where we are a superuser: a role that may read everything and do nothing, for as long as a command works. What a
//! table's owner has written into an index is evaluated with the rights of who asks, and a superuser's session leads anywhere.

use std::sync::PoisonError;

use step::{Failure, Permit};

use crate::server::role::TemporaryRole;
use crate::server::sql::{self, name};
use crate::server::{Login, Server, Session};
use crate::settings::Settings;

/// The role, if one is needed.
pub struct Readers<'a> {
    server: Server<'a>,
    role: Option<TemporaryRole<'a>>,
    /// Where it is written down who they are, to the end of the command.
    known: Option<&'a Settings>,
}

impl Drop for Readers<'_> {
    fn drop(&mut self) {
        if let Some(settings) = self.known {
            *settings.place.reader.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }
}

impl<'a> Readers<'a> {
    /// From here on users' tables can be read, to the end of the command ([`Server::readers`]).
    pub fn make(
        (server, settings): (Server<'a>, &'a Settings),
        permit: &'a Permit,
        keeper: &mut Session,
    ) -> Result<Self, Failure> {
        let mut readers = Self::here((server, settings), permit, keeper)?;
        let Some(role) = &readers.role else { return Ok(readers) };
        // A command makes a few at most: sessions of other threads know it for as long as they like.
        let login: &'static Login = Box::leak(Box::new(role.login.clone()));
        *settings.place.reader.lock().unwrap_or_else(PoisonError::into_inner) = Some(login);
        readers.known = Some(settings);
        Ok(readers)
    }

    /// Users' tables can be read by [`Readers::server`].
    pub fn here(
        (server, settings): (Server<'a>, &Settings),
        permit: &'a Permit,
        keeper: &mut Session,
    ) -> Result<Self, Failure> {
        if server.readers().is_ok() {
            return Ok(Readers { server, role: None, known: None });
        }
        let database = &settings.database;
        // A login trigger that lets nobody in must not keep it out.
        let is_quiet = server.has_quiet();
        let rights = |reader: &sql::Sql| {
            let of = |statement: &'static str| sql::fill(statement, std::slice::from_ref(reader));
            let mut rights = vec![of("grant pg_read_all_data to {}"), of("alter role {} bypassrls")];
            rights.extend(is_quiet.then(|| of("grant set on parameter event_triggers to {}")));
            let connect =
                || sql::fill("grant connect on database {} to {}", &[name(database), reader.clone()]);
            rights.extend((!server.is_public()).then(connect));
            sql::join(rights, "; ")
        };
        let mut role = TemporaryRole::make(server, permit, keeper, database, server.budget(), rights)?;
        role.login.is_quiet = is_quiet;
        Ok(Readers { server, role: Some(role), known: None })
    }

    /// The server, for them.
    pub fn server(&self) -> Result<Server<'_>, Failure> {
        self.role.as_ref().map_or_else(|| self.server.readers(), |role| Ok(self.server.of(&role.login)))
    }

    /// Lets them into a database that not everybody may connect to.
    pub fn admit(&self, permit: &Permit, database: &str, keeper: &mut Session) -> Result<(), Failure> {
        admit(self.server, self.role.as_ref().map(|role| &role.login), permit, database, keeper)
    }

    /// They are not needed any more.
    pub fn end(mut self, keeper: &mut Session) -> Result<(), Failure> {
        self.role.take().map_or(Ok(()), |role| role.let_go(keeper))
    }
}

/// Lets who reads for this command into a database that not everybody may connect to.
pub fn let_in(server: Server, permit: &Permit, database: &str, keeper: &mut Session) -> Result<(), Failure> {
    admit(server, server.reader(), permit, database, keeper)
}

fn admit(
    server: Server,
    reader: Option<&Login>,
    permit: &Permit,
    database: &str,
    keeper: &mut Session,
) -> Result<(), Failure> {
    let Some(reader) = reader.filter(|_| !server.is_public()) else { return Ok(()) };
    let parts = [name(database), name(&reader.user)];
    keeper.change(permit, sql::fill("grant connect on database {} to {}", &parts))
}
