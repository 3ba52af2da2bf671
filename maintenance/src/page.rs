//! What a page says: a command that ended well has proven nothing.

use facts::{Seen, Verdict};
use http_client::{Call, Client};
use step::{Acted, Context, Failure};

use crate::args::{Settings, Turn};

/// So many answers in a row must be right: one look is no proof.
const TIMES: usize = 2;
/// How often it is looked for the change, and how long between two looks.
const LOOKS: u32 = 20;
const BETWEEN: std::time::Duration = std::time::Duration::from_millis(250);

/// Waits until the page answers as it must, so often in a row as is a proof.
pub fn prove(context: &Context, settings: &Settings, turn: Turn) -> Result<Verdict, Failure> {
    let Some(page) = &settings.page else { return Ok(Verdict::Unknown("no page was looked at".to_owned())) };
    let client = client(context);
    let mut row = Vec::new();
    for look in 0..LOOKS {
        if look > 0 {
            context.pause(BETWEEN).map_err(|failure| failure.acted(Acted::Yes))?;
        }
        let status = asked(&client, page).map_err(|failure| failure.acted(Acted::Yes))?;
        let is_right = status.is_some_and(|status| is_right(status, settings.status, turn));
        // Only an unbroken row counts; the newest of what is wrong is what is told.
        row.retain(|seen: &Seen| seen.is_right == is_right);
        row.push(Seen { is_right, what: said(page, status) });
        if is_right && row.len() >= TIMES {
            break;
        }
    }
    let newest = row.split_off(row.len().saturating_sub(TIMES));
    Ok(Verdict::of(TIMES, newest))
}

/// Why it is not proven, in a sentence.
pub fn unproven(settings: &Settings, turn: Turn, seen: &str) -> Failure {
    let wanted = match turn {
        Turn::On => format!("it must answer {}", settings.status),
        Turn::Off => format!("it must not answer {} and must be there", settings.status),
    };
    let message =
        format!("the command has ended well, and {seen}: {wanted} while maintenance is {}", turn.word());
    Failure::failed("not-proven", message).acted(Acted::Yes)
}

/// What the page answers now; nothing where no page is set.
pub fn look(context: &Context, settings: &Settings) -> Result<Option<String>, Failure> {
    let Some(page) = &settings.page else { return Ok(None) };
    Ok(Some(said(page, asked(&client(context), page)?)))
}

/// Whether maintenance is on, by as many answers of the page as are a proof; nothing where no page is set, it is broken or silent, or its
/// answers differ.
pub fn is_on(context: &Context, settings: &Settings) -> Result<Option<bool>, Failure> {
    let Some(page) = &settings.page else { return Ok(None) };
    let client = client(context);
    let answers = (0..TIMES).map(|_| asked(&client, page)).collect::<Result<Vec<_>, _>>()?;
    Ok(one_word(&answers, settings.status))
}

/// What all answers say. Pure.
fn one_word(answers: &[Option<u16>], during: u16) -> Option<bool> {
    let all = |turn| {
        !answers.is_empty()
            && answers.iter().all(|status| status.is_some_and(|status| is_right(status, during, turn)))
    };
    all(Turn::On).then_some(true).or(all(Turn::Off).then_some(false))
}

fn client(context: &Context) -> Client<'_> {
    Client::new(context, concat!("maintenance/", env!("CARGO_PKG_VERSION")))
}

fn asked(client: &Client, page: &str) -> Result<Option<u16>, Failure> {
    Ok(client.ask(&Call::new("GET", page))?.ok().map(|reply| reply.status))
}

fn said(page: &str, status: Option<u16>) -> String {
    match status {
        Some(status) => format!("{page} answers HTTP {status}"),
        None => format!("{page} does not answer"),
    }
}

/// While it is on the page answers its status; when it is off it answers as a page that is there. Pure.
fn is_right(status: u16, during: u16, turn: Turn) -> bool {
    match turn {
        Turn::On => status == during,
        Turn::Off => status != during && (200..400).contains(&status),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_that_is_broken_is_no_proof_that_customers_can_write() {
        assert!(
            is_right(503, 503, Turn::On) && !is_right(200, 503, Turn::On) && !is_right(500, 503, Turn::On)
        );
        assert!(is_right(200, 503, Turn::Off) && is_right(301, 503, Turn::Off));
        for status in [503, 500, 404, 403] {
            assert!(!is_right(status, 503, Turn::Off), "{status}");
        }
        assert!(is_right(405, 405, Turn::On), "as the settings say");
    }

    #[test]
    fn whether_it_is_on_is_what_every_answer_says() {
        for (answers, expected) in [
            (&[Some(503), Some(503)][..], Some(true)),
            (&[Some(200), Some(200)], Some(false)),
            (&[Some(503), Some(200)], None),
            (&[Some(200), None], None),
            (&[Some(500), Some(500)], None),
            (&[], None),
        ] {
            assert_eq!(one_word(answers, 503), expected, "{answers:?}");
        }
    }
}
