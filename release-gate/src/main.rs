//! Says yes, no or unknown before a release or a rollback goes on: is it tested, reviewed and approved, is this the time for it, and is there a way back.

mod approval;
mod args;
mod asked;
mod bounded;
mod check;
mod checklist;
mod ci;
mod cluster;
mod contents;
mod evidence;
mod gate;
mod policy;
mod record;
mod reports;
mod settings;
mod signature;
mod suites;
mod way_back;
mod window;

use std::process::ExitCode;
use std::time::Duration;

use args::{Args, Command};
use git_program::Git;
use serde_json::json;
use settings::Settings;
use step::{Answer, Ask, Common, Context, Failure, Outcome, Program, Run, Setting};

fn main() -> ExitCode {
    step::main::<Args>()
}

impl Program for Args {
    const EXAMPLES: &'static str = "
        release-gate record --as unit --report junit.xml -- make unit    run the tests, and store what they say
        release-gate tests                                 have they passed on what is checked out?
        release-gate window --env production               may something be released now?
        release-gate migrations v1.1.4 v1.2.0              what lies between the two, file by file
        deploy-coolify observe --rollback | release-gate data    may the data stay as it is?";
    const SETTINGS: &'static [Setting] = settings::SETTINGS;
    const TIMEOUT: Duration = Duration::from_secs(120);

    fn common(&self) -> &Common {
        &self.common
    }

    fn action(&self) -> Option<&'static str> {
        self.command.as_ref().and_then(Command::action)
    }

    fn ask(&self) -> Ask {
        let is_question = match &self.command {
            Some(Command::Migrations { .. } | Command::Record(_)) => true,
            Some(Command::Checklist { init, .. }) => *init,
            Some(Command::Approve(wish)) => wish.list,
            _ => false,
        };
        if is_question { Ask::Question } else { Ask::Step }
    }

    /// Tests take as long as they take, and checks that are waited for too.
    fn patience(&self) -> Duration {
        match &self.command {
            Some(Command::Record(_)) => Duration::from_secs(24 * 3600),
            Some(Command::Ci { wait: Some(wait), .. }) => Self::TIMEOUT + *wait,
            _ => Self::TIMEOUT,
        }
    }

    fn run(&self, run: &mut Run) -> Result<Outcome, Failure> {
        let settings = Settings::read(&run.context)?;
        match &self.command {
            Some(Command::Data { database, although }) => {
                way_back::judge_data(run, &settings, &database.wish(although.as_deref())?)
            }
            Some(Command::Certificate { without }) => way_back::certify(run, &settings, without),
            Some(Command::Checklist { seed: Some(file), asked, .. }) => {
                checklist::seed(run, file.as_deref(), asked.commit.as_deref())
            }
            Some(Command::Approve(wish)) => approval::approve::approve(run, wish),
            Some(command) => asked::ask(run, command),
            None => {
                let message = "choose a subcommand: gates, ci, tests, checklist, approval, window, cluster, data, certificate, migrations or record";
                Err(Failure::usage("arguments", message))
            }
        }
    }

    fn answer(&self, context: &Context) -> Result<Answer, Failure> {
        match &self.command {
            Some(Command::Migrations { from, to }) => between(context, from, to),
            Some(Command::Record(record)) => record::record(context, record),
            Some(Command::Approve(wish)) if wish.list => approval::approve::list(context, &wish.candidate),
            Some(Command::Checklist { init: true, .. }) => {
                Ok(Answer::new(checklist::TABLES, json!({ "sql": checklist::TABLES })))
            }
            _ => Err(Failure::bug("this is no question")),
        }
    }

    fn check(&self, context: &Context) -> Result<Answer, Failure> {
        let settings = Settings::read(context)?;
        let head = migrations::commit(&Git::new(context), "HEAD")?.ok_or_else(|| {
            Failure::config(
                "no-repository",
                "there is no git repository with a commit around the working directory",
            )
        })?;
        let range = way_back::read(context, &settings, way_back::NOTHING, &head)?;
        if let Some(problem) = range.problem {
            return Err(context.settings.wrong("migrations", &problem));
        }
        let first =
            format!("{} of {} has {} migrations", settings.migrations, &head[..12], range.files.len());
        let gates = check::check(context)?;
        let text = std::iter::once(first).chain(gates.iter().cloned()).collect::<Vec<_>>().join("\n");
        Ok(Answer::new(text, json!({ "migrations": settings.migrations, "head": head, "gates": gates })))
    }
}

/// The migrations between two commits.
fn between(context: &Context, from: &str, to: &str) -> Result<Answer, Failure> {
    let (settings, git) = (Settings::read(context)?, Git::new(context));
    let named = |name: &str| {
        let unknown =
            || Failure::usage("revision", format!("git knows no commit {name} here; is it fetched?"));
        migrations::commit(&git, name)?.ok_or_else(unknown)
    };
    let range = way_back::read(context, &settings, &named(from)?, &named(to)?)?;
    let line = |f: &migrations::File| {
        let why = f.why.iter().map(|why| format!("\n    {why}")).collect::<String>();
        format!("{:8}  {}{why}\n", f.class.word(), f.path)
    };
    let files: String = range.files.iter().map(line).collect();
    let said = way_back::data::said(&range);
    Ok(Answer::new(format!("{files}{}: {said}", range.class.word()), json!(range)))
}
