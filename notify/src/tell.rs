//! The step: one message about one event, noted before it is sent and after.

use step::{Failure, Outcome, Permit, Run};

use crate::args::Settings;
use crate::channels::{Channel, Delivery, unknown};
use crate::ledger::Ledger;
use crate::message::Message;
use crate::plan::{self, Todo};

pub fn run(
    run: &Run,
    settings: &Settings,
    channel: &dyn Channel,
    message: &Message,
) -> Result<Outcome, Failure> {
    let name = &settings.name;
    let ledger = Ledger::of(&settings.state, name, &format!("{}.{}", run.document.id(), message.event));
    let todo = plan::todo(ledger.read()?.as_ref(), message.urgent);
    let Some(permit) = run.permit() else {
        return Ok(Outcome::planned(format!("would tell {name}: {}", message.headline())));
    };
    let (first, repeated) = match todo {
        Todo::Skip(why) => return Ok(Outcome::skipped(why).output("channel", name.as_str())),
        Todo::Send => (message.html.clone(), false),
        Todo::Repeat => (message.repeated(), true),
    };
    ledger.write(false, None)?;
    let mut delivery = send(channel, &permit, &ledger, &first, message)?;
    let mut repeated = repeated;
    if let (Delivery::Unknown(why), true, false) = (&delivery, message.urgent, repeated) {
        // Silence is worse than a second message that says what it is.
        run.context.voice.warn(&format!("{why}: sending it once more"));
        repeated = true;
        delivery = channel
            .send(&permit, &message.repeated(), message.silent)
            .unwrap_or_else(|f| Delivery::Unknown(f.message));
    }
    match delivery {
        Delivery::Sent(id) => {
            ledger.write(true, Some(id.clone()))?;
            let word = if repeated { "told (perhaps twice)" } else { "told" };
            Ok(Outcome::changed(format!("{word} {name}"))
                .output("channel", name.as_str())
                .output("message", id))
        }
        Delivery::Unknown(why) => Err(unknown(&why).output("channel", name.as_str())),
    }
}

/// What is refused was not sent, and is not noted as begun any more.
fn send(
    channel: &dyn Channel,
    permit: &Permit,
    ledger: &Ledger,
    html: &str,
    message: &Message,
) -> Result<Delivery, Failure> {
    let sent = channel.send(permit, html, message.silent);
    if sent.is_err() {
        ledger.forget()?;
    }
    sent
}
