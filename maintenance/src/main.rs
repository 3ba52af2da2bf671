//! Stops what customers write to the product, and allows it again, by the commands of the team: only the team knows how its product
//! becomes read-only. It is never allowed again by itself: customers would write to the bad build.

mod args;
mod page;
mod switch;

use std::process::ExitCode;
use std::time::Duration;

use args::{Args, Command, Settings, Turn};
use facts::Verdict;
use jiff::Timestamp;
use serde_json::json;
use step::{Answer, Ask, Common, Context, Exit, Failure, Outcome, Program, Run, Setting};

fn main() -> ExitCode {
    step::main::<Args>()
}

impl Program for Args {
    const EXAMPLES: &'static str = "
        maintenance --env production                 how it is set, and what the page answers
        maintenance on --env production              nobody writes from now on
        maintenance off --env production             as before";
    const SETTINGS: &'static [Setting] = args::SETTINGS;
    const TIMEOUT: Duration = Duration::from_secs(120);

    fn common(&self) -> &Common {
        &self.common
    }

    fn action(&self) -> Option<&'static str> {
        self.turn().map(Turn::word)
    }

    fn ask(&self) -> Ask {
        if self.turn().is_some() { Ask::Step } else { Ask::Question }
    }

    fn run(&self, run: &mut Run) -> Result<Outcome, Failure> {
        run.context.environment()?;
        let turn = self.turn().ok_or_else(|| Failure::bug("status is a question"))?;
        let settings = Settings::read(&run.context)?;
        let command = settings.command(turn);
        if command.is_empty() {
            return Ok(Outcome::skipped(format!("no `{}` is set: {}", turn.word(), turn.without())));
        }
        let Some(permit) = run.context.permit() else {
            return Ok(Outcome::planned(format!("would run {}", step::shell::command(command))));
        };
        switch::turn(&permit, &run.context, turn, command)?;
        let proof = page::prove(&run.context, &settings, turn)?;
        match &proof {
            Verdict::No(seen) => {
                return Err(page::unproven(&settings, turn, seen.all().last().unwrap_or_default()));
            }
            Verdict::Unknown(why) if settings.page.is_some() => {
                return Err(page::unproven(&settings, turn, why));
            }
            Verdict::Yes(_) | Verdict::Unknown(_) => {}
        }
        note(run, turn)?;
        Ok(Outcome::changed(said(&run.context, turn, &proof)).output("proven", proof.word()))
    }

    fn answer(&self, context: &Context) -> Result<Answer, Failure> {
        let settings = Settings::read(context)?;
        if self.command == Some(Command::IsSet) {
            return Ok(Answer::ended(u8::from(settings.on.is_empty())));
        }
        if self.command == Some(Command::IsOn) {
            return Ok(Answer::ended(match page::is_on(context, &settings)? {
                Some(on) => u8::from(!on),
                None => Exit::Temporary.code(),
            }));
        }
        let line = |turn: Turn| match settings.command(turn) {
            [] => format!("{}: not set", turn.word()),
            words => format!("{}: {}", turn.word(), step::shell::command(words)),
        };
        let seen = page::look(context, &settings)?;
        let page = seen
            .clone()
            .unwrap_or_else(|| "no `page` is set: whether customers can write is unknown".to_owned());
        let text = [line(Turn::On), line(Turn::Off), page].join("\n");
        Ok(Answer::new(text, json!({ "on": settings.on, "off": settings.off, "page": seen })))
    }

    fn check(&self, context: &Context) -> Result<Answer, Failure> {
        let settings = Settings::read(context)?;
        for turn in [Turn::On, Turn::Off] {
            if let Some(program) = settings.command(turn).first() {
                switch::find(context, turn, program)?;
            }
        }
        self.answer(context)
    }
}

/// Writes down since when, or until when. A run that turns it on once more was the first to.
fn note(run: &mut Run, turn: Turn) -> Result<(), Failure> {
    let fact = turn.fact();
    if !run.document.facts().contains_key(fact) {
        run.set(fact, Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string())?;
    }
    Ok(())
}

fn said(context: &Context, turn: Turn, proof: &Verdict) -> String {
    let by = match proof {
        Verdict::Yes(seen) => {
            let times = seen.all().count();
            format!("{}, {times} times in a row", seen.all().last().unwrap_or_default())
        }
        Verdict::No(_) | Verdict::Unknown(_) => "by its command's word; no page was looked at".to_owned(),
    };
    match turn {
        Turn::On => {
            let words = [vec!["maintenance", "off"], context.env_words()].concat();
            format!("nobody writes ({by}), until `{}`", step::shell::command(words))
        }
        Turn::Off => format!("customers can write again ({by})"),
    }
}
