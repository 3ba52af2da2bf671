//! Tells the team what happened, what is live now and what to do next.

mod args;
mod channels;
mod ledger;
mod markup;
mod message;
mod plan;
mod tell;

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use args::{Args, Command, Settings};
use channels::{Channel, Telegram};
use http_client::Client;
use message::Message;
use serde_json::{Value, json};
use step::{Answer, Common, Context, Failure, Outcome, Program, Run};

/// How we call ourselves to others.
const NAME: &str = concat!("notify/", env!("CARGO_PKG_VERSION"));

fn main() -> ExitCode {
    step::main::<Args>()
}

impl Program for Args {
    const EXAMPLES: &'static str = "
        ... | cdn-purge | notify                            tell how the release, candidate or rollback ended
        notify send \"the sale starts at nine\"               tell something else
        notify preview --of runs/*/06-purge.json            see the message, send nothing";
    const KEYS: &'static [&'static str] = args::KEYS;
    const TIMEOUT: Duration = Duration::from_secs(60);
    const TAKES_FAILED: bool = true;

    fn common(&self) -> &Common {
        &self.common
    }

    fn is_question(&self) -> bool {
        self.command.is_some()
    }

    fn run(&self, run: &mut Run) -> Result<Outcome, Failure> {
        let settings = Settings::read(&run.context)?;
        let message = message::of(&run.document, self.stopped);
        let client = Client::new(&run.context, NAME);
        let channel = Telegram { settings: &settings.channel, client: &client, context: &run.context };
        tell::run(run, &settings, &channel, &message)
    }

    fn answer(&self, context: &Context) -> Result<Answer, Failure> {
        match &self.command {
            Some(Command::Preview { of }) => preview(of),
            Some(Command::Send { text }) => send(context, text),
            None => Err(Failure::bug("without a subcommand nothing is asked")),
        }
    }

    fn check(&self, context: &Context) -> Result<Answer, Failure> {
        let settings = Settings::read(context)?;
        let client = Client::new(context, NAME);
        let title = Telegram { settings: &settings.channel, client: &client, context }.check()?;
        Ok(Answer::new(
            format!("{} is the chat {title}", settings.name),
            json!({ "channel": settings.name, "title": title }),
        ))
    }
}

fn preview(of: &Path) -> Result<Answer, Failure> {
    let at = of.display();
    let bytes = std::fs::read(of).map_err(|e| Failure::usage("file", format!("{at} cannot be read: {e}")))?;
    let document =
        step::Document::parse(&bytes).map_err(|why| Failure::usage("file", format!("{at}: {why}")))?;
    let message = message::of(&document, None);
    let value = json!({ "html": message.html, "silent": message.silent });
    Ok(Answer::new(markup::plain(&message.html), value))
}

fn send(context: &Context, text: &str) -> Result<Answer, Failure> {
    let settings = Settings::read(context)?;
    let message = Message::of_text(text)?;
    let Some(permit) = context.permit() else {
        return Ok(Answer::new(format!("would send to {}: {text}", settings.name), json!({ "sent": false })));
    };
    let client = Client::new(context, NAME);
    let channel = Telegram { settings: &settings.channel, client: &client, context };
    let id = channel.send(&permit, &message.html, message.silent)?.or_unknown()?;
    Ok(Answer::new(format!("sent to {}", settings.name), json!({ "sent": true, "message": Value::from(id) })))
}
