//! pg_dump's archives in a folder. `<snapshots>/<id>/` with a manifest is one that we took: its dump in the directory format, with the
//! fingerprint of each file. Archives that others have made (directory, custom, tar or plain) lie beside them under their own names.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use step::{Context, Failure, Permit};

use super::{Beside, Bringing, SideDatabase, Source, Stamp};
use crate::copy::dump::Dump;
use crate::copy::properties::Properties;
use crate::copy::{plain, side, tied};
use crate::journal::Keeper;
use crate::plan::{self, Moment, Snapshot};
use crate::restore::demands::Demands;
use crate::server::{Live, Server, Session};
use crate::settings::Settings;
use crate::snapshot::header::{self, Header};
use crate::snapshot::manifest::{self, Manifest};
use crate::snapshot::origin::Origin;
use crate::snapshot::{self, folder};
use crate::tools::{self, Job};

/// Archives in the folder of the settings.
pub struct Archive<'a> {
    pub context: &'a Context,
    pub settings: &'a Settings,
    pub server: Server<'a>,
}

/// An archive that others have made.
struct Foreign {
    form: &'static str,
    header: Option<Header>,
    bytes: u64,
}

impl Source for Archive<'_> {
    fn word(&self) -> &'static str {
        "archive"
    }

    fn list(&self, live: &Live, _moment: &Moment) -> Result<Vec<Snapshot>, Failure> {
        let at = self.settings.snapshots.display();
        let entries = match std::fs::read_dir(&self.settings.snapshots) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(Failure::config("snapshots", format!("{at} cannot be read: {error}"))),
        };
        let names = entries.flatten().map(|e| e.file_name().to_string_lossy().into_owned());
        let ours = names.filter(|n| !n.starts_with('.') && !n.ends_with(".sha256"));
        let mut list: Vec<Snapshot> = ours.map(|name| self.one(&name, live)).collect();
        list.sort_by(|a, b| (a.taken_at, &a.id).cmp(&(b.taken_at, &b.id)));
        plan::mark_shrunken(&mut list, self.settings.shrink);
        Ok(list)
    }

    fn prove(&self, live: &Live, snapshot: &Snapshot) -> Result<(), Failure> {
        self.context.voice.say(&format!("reading {} to its end", snapshot.id));
        let path = self.settings.snapshots.join(&snapshot.id);
        if path.join(manifest::FILE).exists() {
            self.unchanged(&snapshot.id, &path)
        } else {
            self.readable(live, &path)
        }
    }

    fn take(&self, permit: &Permit, at: (&Live, &mut Session), stamp: &Stamp) -> Result<Snapshot, Failure> {
        snapshot::dump::dump(self, permit, at, stamp)
    }

    fn beside(&self) -> Option<&dyn Beside> {
        Some(self)
    }
}

impl Archive<'_> {
    /// How much room it takes. Archives of others do not say it: what is compressed grows four times as a rule.
    fn sizes(&self, dump: &Dump, folder: &Path, live: &Live) -> Demands {
        let demands = Demands { restored: true, ..Demands::default() };
        match self.manifest(folder) {
            Ok(manifest) if manifest.database_bytes > 0 => {
                Demands { bytes: Some(manifest.database_bytes), spaces: manifest.tablespaces, ..demands }
            }
            _ => {
                let bytes = foreign(&dump.path).map_or(0, |found| found.bytes);
                let grown = if dump.form == "plain" { bytes } else { bytes.saturating_mul(4) };
                Demands { bytes: Some(grown.max(live.bytes)), ..demands }
            }
        }
    }

    fn one(&self, name: &str, live: &Live) -> Snapshot {
        let path = self.settings.snapshots.join(name);
        if path.is_dir() && !path.join("toc.dat").is_file() {
            return self.own(&path, name, live);
        }
        match foreign(&path) {
            Ok(found) => self.theirs(&path, name, &found, live),
            Err(error) => Snapshot::unusable("archive", name, "unknown", error.to_string()),
        }
    }

    fn own(&self, path: &Path, name: &str, live: &Live) -> Snapshot {
        let manifest = match self.manifest(path) {
            Ok(manifest) => manifest,
            Err(problem) => return Snapshot::unusable("archive", name, "directory", problem),
        };
        let other = self.of_another(&manifest, name).or_else(|| folder::incomplete(path, &manifest));
        let moved = manifest.system_identifier != live.system_identifier;
        let problem = other.clone().or_else(|| moved.then(|| elsewhere(&manifest, live)));
        let bytes = manifest.files.values().map(|f| f.bytes).sum();
        let snapshot = Snapshot::new("archive", name, "directory", manifest.taken_at);
        let remark = doubt(&manifest, live).map(str::to_owned);
        let by_name = other.is_none();
        Snapshot { bytes, problem, by_name, remark, document: Some(manifest.document), ..snapshot }
    }

    /// A snapshot of something else is never restored here.
    fn of_another(&self, manifest: &Manifest, id: &str) -> Option<String> {
        let product = self.context.settings.product("name").ok().flatten().unwrap_or_default();
        let environment = self.context.environment.clone().unwrap_or_default();
        let pairs = [
            ("snapshot", manifest.id.as_str(), id),
            ("product", manifest.product.as_deref().unwrap_or_default(), &product),
            ("environment", &manifest.environment, &environment),
            ("database", &manifest.database, &self.settings.database),
        ];
        let (what, theirs, ours) = pairs.into_iter().find(|(_, theirs, ours)| theirs != ours)?;
        Some(format!("it is of the {what} {theirs}, and this is {ours}"))
    }

    fn theirs(&self, path: &Path, name: &str, found: &Foreign, live: &Live) -> Snapshot {
        let unusable = |problem: String| Snapshot::unusable("archive", name, found.form, problem);
        if let Some(other) =
            found.header.as_ref().map(|h| &h.database).filter(|d| **d != self.settings.database)
        {
            return unusable(format!(
                "it is of the database {other}, and this is {}",
                self.settings.database
            ));
        }
        let written = std::fs::metadata(witness(path)).and_then(|m| m.modified());
        let written = written.ok().and_then(|at| Timestamp::try_from(at).ok()).unwrap_or(live.now);
        match header::began(found.header.as_ref(), &self.settings.zone, name, written) {
            Err(problem) => unusable(problem),
            Ok(began) => Snapshot {
                // Whole seconds, of another machine's clock; ours stands for it as well as it can.
                uncertainty: Duration::from_secs(1) + Duration::from_secs_f64(live.skew.abs()),
                bytes: found.bytes,
                remark: Some(
                    if path.is_file() && sidecar(path).is_file() {
                        "made by others"
                    } else {
                        "made by others, without a .sha256"
                    }
                    .into(),
                ),
                ..Snapshot::new("archive", name, found.form, began)
            },
        }
    }

    /// The manifest of a snapshot of ours, which must be as it was written, and signed if the settings have a key.
    fn manifest(&self, folder: &Path) -> Result<Manifest, String> {
        manifest::read(folder, self.settings.manifest_key.as_ref())
    }

    /// Every file of ours must be what it was, and there must be no other.
    fn unchanged(&self, id: &str, folder: &Path) -> Result<(), Failure> {
        let corrupt = |why: String| Failure::refused("corrupt", format!("{id}: {why}"));
        let manifest = self.manifest(folder).map_err(corrupt)?;
        let there = names(&folder::dump_of(folder)).map_err(|e| corrupt(e.to_string()))?;
        if let Some(other) = there.iter().find(|name| !manifest.files.contains_key(*name)) {
            return Err(corrupt(format!("{other} is not one of its files")));
        }
        for (name, expected) in &manifest.files {
            let found = manifest::fingerprint(&folder::dump_of(folder).join(name));
            if found.map_err(|e| corrupt(format!("{name}: {e}")))? != *expected {
                return Err(corrupt(format!("{name} is not what was dumped (its SHA-256 differs)")));
            }
        }
        Ok(())
    }

    /// The archive of others is read by who will restore it; a checksum beside it finds what pg_restore does not.
    fn readable(&self, live: &Live, path: &Path) -> Result<(), Failure> {
        let corrupt = |why: String| Failure::refused("corrupt", format!("{}: {why}", path.display()));
        if let Some(text) = std::fs::read_to_string(sidecar(path)).ok().filter(|_| path.is_file()) {
            let found = manifest::fingerprint(path).map_err(|e| corrupt(e.to_string()))?;
            if text.split_whitespace().next() != Some(found.sha256.as_str()) {
                return Err(corrupt("it is not what its .sha256 says".into()));
            }
        }
        let dump = self.open(live, path)?;
        if dump.form == "plain" {
            return plain::check(path).map_err(corrupt);
        }
        let text = path.display().to_string();
        let job = Job::new(self.context, self.settings, &dump.tool.path, "reading the archive");
        job.run(&["--file=/dev/null", &text]).map_err(|f| {
            if f.reason == "tool-failed" {
                f.causes.iter().fold(corrupt("it cannot be read to its end".into()), Failure::cause)
            } else {
                f
            }
        })
    }

    /// A dump with the program that can restore it into this server.
    pub fn open(&self, live: &Live, path: &Path) -> Result<Dump, Failure> {
        let ours = path.join(manifest::FILE).exists();
        let path = if ours { folder::dump_of(path) } else { path.to_owned() };
        let found =
            foreign(&path).map_err(|e| Failure::refused("corrupt", format!("{}: {e}", path.display())))?;
        let needs = found.header.as_ref().map_or(0, Header::needs);
        let tool = tools::find(self.settings, "pg_restore", live.major().max(needs)).map_err(|failure| {
            let version = found
                .header
                .as_ref()
                .map(|h| format!("the archive has format {}.{}", h.version.0, h.version.1));
            version.into_iter().fold(failure, Failure::cause)
        })?;
        let lenient = tool.major >= 17 && live.major() < 17;
        Ok(Dump {
            path,
            form: found.form,
            parallel: matches!(found.form, "directory" | "custom"),
            lenient,
            foreign: !ours,
            tool,
        })
    }
}

impl Beside for Archive<'_> {
    fn demands(&self, live: &Live, snapshot: &Snapshot) -> Result<Demands, Failure> {
        let dump = self.open(live, &self.settings.snapshots.join(&snapshot.id))?;
        let mut demands = self.sizes(&dump, &self.settings.snapshots.join(&snapshot.id), live);
        dump.statements(self.context, self.settings, &mut |statement| demands.statement(statement))?;
        // A copy does without them.
        demands.extensions.retain(|name| !tied::LEFT_OUT.contains(&name.as_str()));
        Ok(demands)
    }

    fn origin(&self, _keeper: &mut Keeper, snapshot: &Snapshot) -> Result<Option<Origin>, Failure> {
        let Ok(manifest) = self.manifest(&self.settings.snapshots.join(&snapshot.id)) else {
            return Ok(None);
        };
        Ok(manifest.origin.map(|origin| Origin { rows: Some(manifest.tables), ..origin }))
    }

    fn properties(&self, _keeper: &mut Keeper, snapshot: &Snapshot) -> Result<Option<Properties>, Failure> {
        let manifest = self.manifest(&self.settings.snapshots.join(&snapshot.id)).ok();
        Ok(manifest.and_then(|manifest| manifest.properties))
    }

    fn bring(
        &self,
        bringing: &mut Bringing,
        snapshot: &Snapshot,
    ) -> Result<(SideDatabase, Option<Session<'_>>), Failure> {
        let folder = self.settings.snapshots.join(&snapshot.id);
        let dump = self.open(bringing.live, &folder)?;
        let oid = side::make(bringing.keeper, bringing.permit, bringing.names, bringing.run)?;
        let side = side::Side {
            context: self.context,
            settings: self.settings,
            server: self.server,
            name: &bringing.names.side,
        };
        let expected = if folder.join(manifest::FILE).exists() {
            let corrupt = |why: String| Failure::refused("corrupt", format!("{}: {why}", snapshot.id));
            Some(self.manifest(&folder).map_err(corrupt)?)
        } else {
            None
        };
        let bytes =
            expected.as_ref().map(|m| m.database_bytes).filter(|b| *b > 0).unwrap_or(bringing.live.bytes);
        let (left_out, session) = side.fill(bringing.permit, bringing.keeper, bringing.live, &dump, bytes)?;
        let (name, manifest) = (bringing.names.side.clone(), expected);
        let copy = SideDatabase { name, oid, manifest, proven: false, seal: None, visitors: None, left_out };
        Ok((copy, Some(session)))
    }
}

/// After a pg_upgrade, or on a server that takes the place of a lost one, nothing but the cluster is another: a person decides.
fn elsewhere(manifest: &Manifest, live: &Live) -> String {
    let (theirs, ours) = (&manifest.system_identifier, &live.system_identifier);
    format!(
        "it is of the cluster {theirs}, and this is {ours}: after pg_upgrade, or if that server was lost, name it to use it all the same (--snapshot {})",
        manifest.id
    )
}

/// The file that stands for an archive.
fn witness(path: &Path) -> PathBuf {
    if path.is_dir() { path.join("toc.dat") } else { path.to_owned() }
}

fn sidecar(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".sha256");
    PathBuf::from(name)
}

/// What an archive is, from its first bytes.
fn foreign(path: &Path) -> std::io::Result<Foreign> {
    let mut file = File::open(witness(path))?;
    let bytes = if path.is_dir() { folder::size(path)? } else { file.metadata()?.len() };
    let form = if path.is_dir() { "directory" } else { form(&mut file)? };
    let header = match form {
        "plain" => None,
        "tar" => {
            // toc.dat is tar's first member.
            file.seek(SeekFrom::Start(512))?;
            Some(Header::read(&mut BufReader::new(file))?)
        }
        _ => Some(Header::read(&mut BufReader::new(file))?),
    };
    Ok(Foreign { form, header, bytes })
}

fn form(file: &mut File) -> std::io::Result<&'static str> {
    let mut start = Vec::new();
    file.take(600).read_to_end(&mut start)?;
    file.rewind()?;
    let at = |from: usize, bytes: &[u8]| start.get(from..).is_some_and(|s| s.starts_with(bytes));
    if at(0, b"PGDMP") {
        Ok("custom")
    } else if at(257, b"ustar") && at(512, b"PGDMP") {
        Ok("tar")
    } else if at(0, b"--\n-- PostgreSQL database dump\n") {
        Ok("plain")
    } else if at(0, &[0x1f, 0x8b]) {
        Err(std::io::Error::other("it is compressed from outside: unpack it first"))
    } else {
        Err(std::io::Error::other(format!("it is no dump of PostgreSQL ({} bytes)", file.metadata()?.len())))
    }
}

/// What is in a folder.
fn names(folder: &Path) -> std::io::Result<Vec<String>> {
    std::fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}

/// What a snapshot of ours cannot prove.
fn doubt(manifest: &Manifest, live: &Live) -> Option<&'static str> {
    if manifest.schema < 2 {
        return Some(
            "made by db-restore 0.1: its manifest has no hash of its own, and it holds no settings of the database",
        );
    }
    let later = manifest.log.is_some_and(|log| log.to > live.log);
    later.then_some("the server's log ends before this snapshot's: the server was set back since")
}
