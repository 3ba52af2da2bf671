//! Tells the team what happened, what is live now and what to do next.

mod args;
mod channels;
mod deliver;
mod hand;
mod listing;
mod message;
mod outbox;
mod plan;
mod receipt;
mod settings;
mod tell;
mod time;
mod told;
mod wanted;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use args::{Args, Command};
use channels::Wire;
use deliver::Post;
use http_client::Client;
use listing::named;
use message::Message;
use outbox::Outbox;
use settings::{Care, Settings};
use step::{Answer, Ask, Common, Context, Document, Failure, Outcome, Procedure, Program, Run, Setting};
use tell::{Languages, Teller};

/// How we call ourselves to others.
const NAME: &str = concat!("notify/", env!("CARGO_PKG_VERSION"));

fn main() -> ExitCode {
    step::main::<Args>()
}

impl Program for Args {
    const EXAMPLES: &'static str = "
        ... | cdn-purge | notify                            tell how the release, candidate or rollback ended
        notify send \"the sale starts at nine\"               tell something else
        notify preview --of runs/*/06-purge.json            see the message, send nothing
        notify flush                                        send what could not be sent before
        notify --check                                      prove token and chat";
    const SETTINGS: &'static [Setting] = settings::SETTINGS;
    const TIMEOUT: Duration = Duration::from_secs(30);
    const TAKES_FAILED: bool = true;

    fn common(&self) -> &Common {
        &self.common
    }

    fn is_lenient(&self, document: Option<&Document>) -> bool {
        !self.ready && (self.stopped.is_some() || document.is_some_and(|document| self.is_urgent(document)))
    }

    fn action(&self) -> Option<&'static str> {
        self.ready.then_some("ready")
    }

    fn ask(&self) -> Ask {
        if self.command.is_some() { Ask::Question } else { Ask::Step }
    }

    fn run(&self, run: &mut Run) -> Result<Outcome, Failure> {
        if self.ready {
            return hand::ready(run, self);
        }
        let context = &run.context;
        let care = if self.is_urgent(&run.document) { Care::Lenient } else { Care::Strict };
        let settings = Settings::read(context, self, care)?;
        settings.complaints.iter().for_each(|why| context.voice.warn(&why.message));
        let languages = Languages::new(&settings, context);
        let messages = languages.messages(|layout| {
            let mut warn = |why: String| context.voice.warn(&why);
            Ok(Message::about(&run.document, &self.beside(), &settings.links, layout, &mut warn))
        })?;
        let Some(permit) = run.permit() else { return Ok(planned(&settings, &messages)) };
        let client = Client::new(context, NAME);
        let wire = Wire { client: &client, context };
        let outbox = Outbox::new(settings.state.clone());
        let post = Post { wire: &wire, permit: &permit, outbox: &outbox };
        let told = Teller { post: &post, settings: &settings, languages: &languages }.all(&messages);
        told::outcome(&told, &settings, context)
    }

    fn answer(&self, context: &Context) -> Result<Answer, Failure> {
        match &self.command {
            Some(Command::Preview { of }) => hand::preview(context, self, of),
            Some(Command::Send { text, html, file }) => {
                hand::send(context, self, text.as_deref().unwrap_or_default(), *html, file.as_deref())
            }
            Some(Command::Outbox) => hand::outbox(context),
            Some(Command::Flush { dead }) => hand::flush(context, self, *dead),
            Some(Command::Templates { write }) => hand::templates(context, write.as_deref()),
            None => Err(Failure::bug("without a subcommand nothing is asked")),
        }
    }

    fn check(&self, context: &Context) -> Result<Answer, Failure> {
        hand::check(context, self)
    }
}

impl Args {
    /// Whether the team must not miss it, whatever else is wrong.
    fn is_urgent(&self, document: &Document) -> bool {
        document.failure().is_some() || self.stopped.is_some() || document.procedure() == Procedure::Rollback
    }
}

fn planned(settings: &Settings, messages: &BTreeMap<String, Message>) -> Outcome {
    let wanted = |t: &&settings::Target| messages.get(&t.lang).is_some_and(|m| wanted::wants(&t.on, &m.kind));
    let names: Vec<&str> = settings.targets.iter().filter(wanted).map(|t| t.name.as_str()).collect();
    let headline = messages.values().next().map(Message::headline).unwrap_or_default();
    if names.is_empty() {
        return Outcome::planned("would tell nobody: no channel wants this message");
    }
    Outcome::planned(format!("would tell {}: {headline}", named(&names)))
}
