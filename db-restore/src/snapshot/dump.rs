//! Takes a snapshot: everything from one instant of the database, read back, and only then given its name.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;

use step::{Acted, Failure, Outcome, Permit, Run};

use super::folder;
use crate::copy::dump::Dump;
use crate::copy::properties;
use crate::copy::readers::Readers;
use crate::copy::tied;
use crate::loss;
use crate::operation::Operation;
use crate::plan::{self, Moment, Snapshot};
use crate::restore::verify;
use crate::server::{Counts, Held, Live, Login, Row, Session, Value, get};
use crate::settings::Settings;
use crate::snapshot::manifest::{self, Log, Manifest};
use crate::snapshot::origin::{self, Origin};
use crate::sources::archive::Archive;
use crate::sources::{self, Stamp};
use crate::tools::{self, Job, Tool};

/// The step: takes a snapshot unless this run has a young one.
pub fn run(run: &mut Run, settings: &Settings) -> Result<Outcome, Failure> {
    let stamp = Stamp::of(run)?;
    let operation = Operation::new(&run.context, settings);
    let (live, mut session) = operation.live()?;
    let source = sources::of(&operation)?;
    let snapshots = source.list(&live, &Moment::Now)?;
    let own: Vec<_> =
        snapshots.into_iter().filter(|s| s.document.as_deref() == Some(&stamp.document)).collect();
    if let Ok(own) = plan::recovery_point(&own, &Moment::Now, live.now, settings.rpo) {
        source.prove(&live, own)?;
        let (fact, id) = (own.fact(), own.id.clone());
        drop((source, session));
        run.set("snapshot", fact)?;
        return Ok(Outcome::unchanged(format!("this run has the snapshot {id} already")));
    }
    operation.marker(&settings.database)?;
    let Some(permit) = run.permit() else {
        tools::find(settings, "pg_dump", live.major())?;
        let id = plan::id(&settings.database, live.now, &stamp.document);
        let planned = Snapshot::new(source.word(), &id, "", live.now).fact();
        drop((source, session));
        run.set("snapshot", planned)?;
        return Ok(Outcome::planned(format!("would take a snapshot of {}", settings.database)));
    };
    let taken = source.take(&permit, (&live, &mut session), &stamp)?;
    let listed = source.list(&live, &Moment::Now)?.into_iter().find(|s| s.id == taken.id);
    if let Some(problem) = listed.and_then(|s| s.problem) {
        // Better known now than when it is needed.
        return Err(
            Failure::refused("unusable", format!("{} was taken, but {problem}", taken.id)).acted(Acted::Yes)
        );
    }
    drop((source, session));
    run.set("snapshot", taken.fact())?;
    let kib = taken.bytes.div_ceil(1024);
    let what = taken.remark.as_deref().unwrap_or_default();
    let size = if taken.bytes == 0 { String::new() } else { format!(" in {kib} KiB") };
    let summary = format!("snapshot {} holds {what}{size}", taken.id);
    Ok(Outcome::changed(summary).output("bytes", taken.bytes))
}

/// Dumps into a temporary folder and publishes it; a failed one is removed. The other session is one in the maintenance database.
pub fn dump(
    archive: &Archive,
    permit: &Permit,
    (live, other): (&Live, &mut Session),
    stamp: &Stamp,
) -> Result<Snapshot, Failure> {
    let folder = &archive.settings.snapshots;
    let unwritable = |e: std::io::Error| {
        Failure::config("snapshots", format!("{} cannot be written: {e}", folder.display()))
    };
    // What makes it impossible is found before a folder is made.
    let dump = tools::find(archive.settings, "pg_dump", live.major())?;
    let restore = tools::find(archive.settings, "pg_restore", dump.major)?;
    if !folder.exists() {
        // A disk that is not mounted, or a name that is misspelt, looks like this.
        let made = format!("{} was not there and is made: is it where snapshots belong?", folder.display());
        archive.context.voice.warn(&made);
    }
    let temporary = folder::temporary(folder, &stamp.document, permit).map_err(unwritable)?;
    let tools = Tools { dump: &dump.path, restore: &restore.path };
    let made = fill(archive, permit, (live, other), &temporary, stamp, &tools).and_then(|manifest| {
        let key = archive.settings.manifest_key.as_ref();
        let made = folder::publish(&temporary, &folder.join(&manifest.id), (&manifest, key), permit);
        made.map_err(|e| if is_taken(&e) { taken(&manifest.id) } else { unwritable(e) })?;
        Ok(manifest)
    });
    if made.is_err() {
        // The failure is what counts; a leftover goes with the next attempt of this run.
        let _ = std::fs::remove_dir_all(&temporary);
    }
    let manifest = made?;
    let rows: u64 = manifest.tables.values().sum();
    let snapshot = Snapshot::new("archive", &manifest.id, "directory", manifest.taken_at);
    Ok(Snapshot {
        bytes: manifest.files.values().map(|f| f.bytes).sum(),
        document: Some(manifest.document),
        remark: Some(format!("{rows} rows of {} tables", manifest.tables.len())),
        ..snapshot
    })
}

fn is_taken(error: &std::io::Error) -> bool {
    [ErrorKind::DirectoryNotEmpty, ErrorKind::AlreadyExists].contains(&error.kind())
}

/// Two runs whose ids end alike were in the same second.
fn taken(id: &str) -> Failure {
    let message = format!("another run has taken the snapshot {id} in this very second; run it again");
    Failure::temporary("snapshots", message)
}

struct Tools<'a> {
    dump: &'a Path,
    restore: &'a Path,
}

fn fill(
    archive: &Archive,
    permit: &Permit,
    (live, other): (&Live, &mut Session),
    temporary: &Path,
    stamp: &Stamp,
    tools: &Tools,
) -> Result<Manifest, Failure> {
    let (context, settings) = (archive.context, archive.settings);
    let folder = folder::dump_of(temporary);
    // Before a role is made that may have a right on the database for as long as this takes.
    let properties = properties::of(other, &settings.database)?;
    let readers = Readers::make((archive.server, settings), permit, other)?;
    let mut session = archive.server.connect(&settings.database)?;
    let schemas = settings.supabase.as_ref().map(|s| s.schemas.clone()).unwrap_or_default();
    let (held, answers) = Seen::ask(&mut session, &schemas)?;
    let seen = Seen::of(&answers, schemas.is_empty())?;
    restorable(archive, &seen)?;
    let origin = origin(permit, live, other, &held, &seen)?;
    let (tables, extension_tables) = std::thread::scope(|scope| {
        // Counted in the very sight that is dumped, and at the same time: what is restored must have the same rows.
        let counting = scope.spawn(|| seen.counted(archive, &held));
        let dumped = write(archive, (live, seen.dumper(archive)), tools.dump, &folder, &held.sight);
        let counted =
            counting.join().unwrap_or_else(|_| Err(Failure::bug("the thread that counts has panicked")));
        // A count that fails takes the sight away from the dump: then that is only what came of it.
        counted.and_then(|counted| dumped.map(|()| counted))
    })?;
    readers.end(other)?;
    let taken_at = held.at;
    let (finished_at, to) = other.now_and_log()?;
    let files = read_back(archive, &folder, tools.restore)?;
    sayable(archive, live, &folder, (tools, &seen))?;
    Ok(Manifest {
        schema: manifest::SCHEMA,
        id: plan::id(&settings.database, taken_at, &stamp.document),
        product: context.settings.product("name")?,
        environment: context.environment()?.to_owned(),
        database: settings.database.clone(),
        system_identifier: live.system_identifier.clone(),
        server_version: live.version.clone(),
        taken_at,
        finished_at,
        document: stamp.document.clone(),
        version: stamp.version.clone(),
        commit: stamp.commit.clone(),
        database_bytes: live.bytes,
        tablespaces: seen.tablespaces,
        tables,
        extension_tables,
        objects: seen.objects,
        properties: Some(properties),
        log: Some(Log { from: held.log, to }),
        origin,
        files,
    })
}

/// How much lies in tablespaces of its tables' own.
const TABLESPACES: &str = "
    select t.spcname::text, sum(pg_relation_size(c.oid))::bigint from pg_class c join pg_tablespace t on t.oid = c.reltablespace
    where c.relkind in ('r', 'i', 'm', 't', 'S') and t.spcname <> 'pg_global' group by 1";

/// Whether there is what only a superuser reads: large objects of others, passwords of user mappings, subscriptions.
const OWN: &str = "
    select exists (select from pg_largeobject_metadata) or exists (select from pg_user_mappings)
           or exists (select from pg_subscription s join pg_database d on d.oid = s.subdbid where d.datname = current_database())";

/// What was seen in the sight that is dumped, in one round trip.
struct Seen {
    tables: Vec<String>,
    extension_tables: Vec<String>,
    objects: BTreeMap<String, u64>,
    layouts: BTreeMap<String, String>,
    tablespaces: BTreeMap<String, u64>,
    extensions: Vec<String>,
    encoding: String,
    /// Whether it holds what only a superuser reads.
    needs_us: bool,
}

impl Seen {
    fn ask(session: &mut Session, schemas: &[String]) -> Result<(Held, Vec<Vec<Row>>), Failure> {
        let (schemas, none): (Vec<String>, Vec<String>) = (schemas.to_vec(), Vec::new());
        let (ours, theirs): ([&dyn Value; 2], [&dyn Value; 2]) = ([&schemas, &false], [&none, &true]);
        session.hold(&[
            (Session::tables(), &ours),
            (verify::OBJECTS.into(), &[]),
            (loss::SHAPES.into(), &[]),
            (TABLESPACES.into(), &[]),
            ("select extname::text from pg_extension order by 1".into(), &[]),
            ("select current_setting('server_encoding')".into(), &[]),
            (Session::tables(), &theirs),
            (OWN.into(), &[]),
        ])
    }

    /// Who dumps, if that is not ourselves: what an owner puts into the place of a sequence or an extension's table meanwhile must not run as a
    /// superuser.
    fn dumper(&self, archive: &Archive) -> Option<&'static Login> {
        archive.server.reader().filter(|_| !self.needs_us)
    }

    /// How many rows there are in that sight.
    fn counted(&self, archive: &Archive, held: &Held) -> Result<(Counts, Counts), Failure> {
        let mut reader = archive.server.readers()?.connect(&archive.settings.database)?;
        reader.share(held)?;
        reader.both_counts(&self.tables, &self.extension_tables)
    }

    /// Of some schemas only tables are dumped, and it is they that are counted.
    fn of(answers: &[Vec<Row>], whole: bool) -> Result<Self, Failure> {
        let [tables, objects, shapes, spaces, extensions, encoding, theirs, own] = answers else {
            return Err(Failure::bug("eight answers"));
        };
        let texts =
            |rows: &[Row]| rows.iter().map(|row| get::<String>(row, 0)).collect::<Result<Vec<_>, _>>();
        let space = |row: &Row| Ok((get(row, 0)?, get::<i64>(row, 1)?.unsigned_abs()));
        Ok(Seen {
            tables: texts(tables)?,
            extension_tables: if whole { texts(theirs)? } else { Vec::new() },
            objects: verify::objects_of(objects)?,
            layouts: loss::layouts(shapes)?,
            tablespaces: spaces.iter().map(space).collect::<Result<_, Failure>>()?,
            extensions: texts(extensions)?,
            encoding: texts(encoding)?.pop().unwrap_or_default(),
            needs_us: own.first().map_or(Ok(true), |row| get(row, 0))?,
        })
    }
}

/// What cannot be brought back is no snapshot: better said now than when it is needed.
fn restorable(archive: &Archive, seen: &Seen) -> Result<(), Failure> {
    let tied: Vec<&str> =
        seen.extensions.iter().map(String::as_str).filter(|e| tied::NEVER.contains(e)).collect();
    if !tied.is_empty() {
        let list = tied.join(", ");
        let message = format!(
            "a dump with {list} cannot be restored beside the live database: use source = \"database\", or the extension's own way to make backups"
        );
        return Err(Failure::refused("tied-extensions", message));
    }
    let left: Vec<&str> =
        seen.extensions.iter().map(String::as_str).filter(|e| tied::LEFT_OUT.contains(e)).collect();
    if !left.is_empty() {
        let list = left.join(", ");
        archive.context.voice.warn(&format!("{list} works in one database of a server only: a restore leaves it out, and says how to bring it back"));
    }
    Ok(())
}

/// Where a database has no encoding, bytes without a meaning can be data, but not a part of a statement.
fn sayable(
    archive: &Archive,
    live: &Live,
    folder: &Path,
    (tools, seen): (&Tools, &Seen),
) -> Result<(), Failure> {
    if seen.encoding != "SQL_ASCII" {
        return Ok(());
    }
    let tool = Tool { path: tools.restore.to_owned(), major: live.major() };
    let (path, form) = (folder.to_owned(), "directory");
    let dump = Dump { path, form, tool, parallel: true, lenient: false, foreign: false };
    dump.statements(archive.context, archive.settings, &mut |_| ())
        .map_err(|failure| Failure::refused("encoding", failure.message.clone()))
}

/// Reads a dump to its end, which finds what is cut off or cannot be unpacked; gives the fingerprints of its files.
fn read_back(
    archive: &Archive,
    folder: &Path,
    tool: &Path,
) -> Result<BTreeMap<String, manifest::Fingerprint>, Failure> {
    let path = folder.display().to_string();
    let unreadable =
        |e: std::io::Error| Failure::failed("unreadable", format!("{path} cannot be read back: {e}"));
    std::thread::scope(|scope| {
        let files = scope.spawn(|| manifest::fingerprints(folder));
        let read = Job::new(archive.context, archive.settings, tool, "reading the dump back")
            .run(&["--file=/dev/null", &path]);
        let files = files.join().unwrap_or_else(|_| Err(std::io::Error::other("the thread has panicked")));
        read.and(files.map_err(unreadable))
    })
}

/// Where the sight stands. The seal comes after it: where the seal is found again, so is everything that was seen.
fn origin(
    permit: &Permit,
    live: &Live,
    other: &mut Session,
    held: &Held,
    seen: &Seen,
) -> Result<Option<Origin>, Failure> {
    if live.standby {
        return Ok(None);
    }
    let seal = origin::seal(other, permit)?;
    let tables = Some(seen.layouts.clone());
    Ok(Some(Origin { database: held.database, xmin: held.xmin, seal, tables, rows: None }))
}

fn write(
    archive: &Archive,
    (live, login): (&Live, Option<&Login>),
    tool: &Path,
    folder: &Path,
    sight: &str,
) -> Result<(), Failure> {
    let settings = archive.settings;
    let (jobs, compress) = (format!("--jobs={}", settings.jobs), format!("--compress={}", settings.compress));
    let (snapshot, file) = (format!("--snapshot={sight}"), format!("--file={}", folder.display()));
    let schemas = settings.supabase.iter().flat_map(|s| &s.schemas).map(|s| format!("--schema={s}"));
    let args = ["--format=directory", "--no-sync", "--verbose", &jobs, &compress, &snapshot, &file];
    let args: Vec<String> = args.iter().map(|a| (*a).to_owned()).chain(schemas).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let doing = format!("dumping {}", settings.database);
    let progress = |tables: u64| {
        let written = folder::size(folder).ok()? >> 20;
        Some(format!("{tables} tables, {written} MiB written of a database of {} MiB", live.bytes >> 20))
    };
    let job = Job::new(archive.context, settings, tool, &doing);
    Job { database: Some(&settings.database), login, progress: Some(&progress), ..job }.run(&args)
}
