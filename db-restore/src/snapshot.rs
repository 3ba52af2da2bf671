//! Takes a snapshot: everything from one instant of the database, read back, and only then given its name.

use std::path::Path;

use step::{Failure, Outcome, Permit, Run};

use crate::archive::{self, Manifest};
use crate::args::Settings;
use crate::database::{Live, Server};
use crate::plan::{self, Moment};
use crate::tools;

/// The step: takes a snapshot unless this run has a young one.
pub fn run(run: &mut Run, settings: &Settings) -> Result<Outcome, Failure> {
    let document = run.document.id().to_owned();
    let live = Server::new(&run.context, settings).identity(&settings.database)?;
    let snapshots = archive::list(settings, &run.context, &live.system_identifier)?;
    let own: Vec<_> = snapshots.into_iter().filter(|s| s.document.as_deref() == Some(&document)).collect();
    if let Ok(own) = plan::recovery_point(&own, &Moment::Now, live.now, settings.rpo) {
        archive::verify(settings, own)?;
        run.set("snapshot", own.fact())?;
        return Ok(Outcome::unchanged(format!("this run has the snapshot {} already", own.id)));
    }
    let dump = tools::find(settings, "pg_dump", live.major())?;
    let restore = tools::find(settings, "pg_restore", live.major())?;
    let Some(permit) = run.permit() else {
        let id = plan::id(&settings.database, live.now, &document);
        run.set("snapshot", archive::fact(&id, live.now))?;
        let to = settings.snapshots.display();
        return Ok(Outcome::planned(format!("would take a snapshot of {} into {to}", settings.database)));
    };
    let work = Work { run, settings, live: &live, dump: &dump, restore: &restore };
    let manifest = work.take(&permit, &document)?;
    run.set("snapshot", archive::fact(&manifest.id, manifest.taken_at))?;
    let rows: u64 = manifest.tables.values().sum();
    let bytes: u64 = manifest.files.values().map(|f| f.bytes).sum();
    let kib = bytes.div_ceil(1024);
    let summary = format!(
        "snapshot {} holds {rows} rows of {} tables in {kib} KiB",
        manifest.id,
        manifest.tables.len()
    );
    Ok(Outcome::changed(summary).output("bytes", bytes).output("rows", rows))
}

struct Work<'a> {
    run: &'a Run,
    settings: &'a Settings,
    live: &'a Live,
    dump: &'a Path,
    restore: &'a Path,
}

impl Work<'_> {
    /// Dumps into a temporary folder and publishes it; a failed one is removed.
    fn take(&self, permit: &Permit, document: &str) -> Result<Manifest, Failure> {
        let at = self.settings.snapshots.display();
        let unwritable =
            |e: std::io::Error| Failure::config("snapshots", format!("{at} cannot be written: {e}"));
        let temporary = archive::temporary(&self.settings.snapshots, document, permit).map_err(unwritable)?;
        let made = self.fill(&temporary, document).and_then(|manifest| {
            let folder = self.settings.snapshots.join(&manifest.id);
            archive::publish(&temporary, &folder, &manifest, permit).map_err(unwritable)?;
            Ok(manifest)
        });
        if made.is_err() {
            // The failure is what counts; a leftover goes with the next attempt of this run.
            let _ = std::fs::remove_dir_all(&temporary);
        }
        made
    }

    fn fill(&self, temporary: &Path, document: &str) -> Result<Manifest, Failure> {
        let (context, settings) = (&self.run.context, self.settings);
        let folder = archive::dump(temporary);
        let path = folder.display().to_string();
        let mut session = Server::new(context, settings).connect(&settings.database)?;
        let (sight, taken_at) = session.hold()?;
        // Counted in the very sight that is dumped: what is restored must have the same rows.
        let tables = session.counts()?;
        let jobs = settings.jobs.to_string();
        let snapshot = format!("--snapshot={sight}");
        let args = ["--format=directory", "--no-sync", "--jobs", &jobs, &snapshot, "--file", &path];
        let target = Some(settings.database.as_str());
        tools::run(context, settings, self.dump, target, &args, &format!("dumping {}", settings.database))?;
        let finished_at = session.now()?;
        // Reading it to its end finds what is cut off or cannot be unpacked.
        tools::run(
            context,
            settings,
            self.restore,
            None,
            &["--file=/dev/null", &path],
            "reading the dump back",
        )?;
        let unreadable =
            |e: std::io::Error| Failure::failed("unreadable", format!("{path} cannot be read back: {e}"));
        Ok(Manifest {
            schema: 1,
            id: plan::id(&settings.database, taken_at, document),
            product: context.settings.product("name")?,
            environment: context.environment()?.to_owned(),
            database: settings.database.clone(),
            system_identifier: self.live.system_identifier.clone(),
            server_version: self.live.version.clone(),
            taken_at,
            finished_at,
            document: document.to_owned(),
            version: self.run.fact("version")?,
            tables,
            files: archive::fingerprints(&folder).map_err(unreadable)?,
        })
    }
}
