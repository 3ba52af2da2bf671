//! The life of a message in one channel, as a table: what each event makes of each state, what is to be done about news that is known
//! already, in which order messages are sent, and how long is waited. Pure.
//!
//! A message has parts that are sent in order; the table is about the part that is next. A part is in one of five states, and it has
//! doubts: requests for it that may have arrived. Four things follow from the table, and the tests below hold it to them: a part
//! that may have arrived is never sent again without a mark that says so; whatever is not sent and will not be sent by itself lies among
//! the dead letters; a refusal takes back what was noted before the request; what has arrived is never sent again.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How often a request that was surely not carried out is sent again.
const ATTEMPTS: u32 = 5;
/// So many requests for an urgent part may stay without an answer while one notify works: the second says that it is a repeat.
const LOST: u32 = 2;
/// So many may stay in doubt when notify itself was killed.
const KILLED: u32 = 3;

/// How far a message has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// No request is under way.
    Waiting,
    /// A request was begun; whoever finds this on disk does not know how it ended.
    Begun,
    /// Every part has arrived.
    Sent,
    /// It may be there, or not, and nobody tries again by themselves.
    Unknown,
    /// It was refused, or became too old.
    Dead,
}

/// The part that is next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Life {
    pub state: State,
    /// Requests for this part that may have arrived, without the one that is under way.
    pub doubts: u32,
}

/// What kind of message it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct News {
    /// Rather twice than not at all.
    pub urgent: bool,
    /// The receiver knows the part again: sending it twice is sending it once.
    pub repeatable: bool,
    /// What is done can be written down.
    pub noted: bool,
}

/// What happens to a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// It is noted that a request comes now.
    Begin,
    /// The channel has it.
    Taken,
    /// The channel does not take it: a setting or the message is wrong.
    Refused,
    /// The channel asks to be asked later, and has done nothing (429, 503).
    Later,
    /// The request did not leave: no name, no connection, no trust, or the time was over before it.
    NotSent,
    /// The request left, and no usable answer came.
    Lost,
    /// Another notify finds the note: the one that wrote it is gone.
    Found,
    /// It has waited for too long.
    TooOld,
    /// Somebody asks for it by hand (`flush --dead`), or its news is told again.
    Revived,
}

impl Life {
    /// A part of which nothing was sent yet.
    pub const NEW: Life = Life { state: State::Waiting, doubts: 0 };

    fn with(self, state: State) -> Self {
        Life { state, ..self }
    }

    /// The table. `None`: this cannot happen to a part in this state.
    pub fn after(self, event: Event, news: News) -> Option<Self> {
        Some(match (self.state, event) {
            (State::Waiting, Event::Begin) => self.with(State::Begun),
            (State::Waiting, Event::NotSent | Event::Found | Event::Revived) => self,
            (State::Waiting, Event::TooOld) => self.with(State::Dead),
            (State::Begun, Event::Taken) => Life { state: State::Sent, doubts: 0 },
            (State::Begun, Event::Refused) => self.with(State::Dead),
            (State::Begun, Event::Later | Event::NotSent) => self.with(State::Waiting),
            (State::Begun, Event::Lost) => self.doubted(LOST, news),
            (State::Begun, Event::Found) => self.doubted(KILLED, news),
            (State::Unknown | State::Dead, Event::Revived) => self.with(State::Waiting),
            (State::Sent | State::Unknown | State::Dead, Event::Found) => self,
            _ => return None,
        })
    }

    /// A request whose end is not known: the part waits for a repeat, or is closed as unknown.
    fn doubted(self, most: u32, news: News) -> Self {
        if news.repeatable {
            return self.with(State::Waiting);
        }
        let doubts = self.doubts + 1;
        // Without a place to note it, nobody would know how often it was said.
        let again = news.urgent && news.noted && doubts < most;
        Life { state: if again { State::Waiting } else { State::Unknown }, doubts }
    }

    /// Whether the next request must say that it is a repeat.
    pub fn is_doubtful(self) -> bool {
        self.doubts > 0
    }
}

/// What to do about news that somebody has begun to tell before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Todo {
    /// Send what has not arrived yet.
    Send(Life),
    /// Do not, for this reason.
    Skip(String),
}

/// Decides. `at` is when it was noted.
pub fn todo(life: Life, at: &str, news: News) -> Todo {
    let found = life.after(Event::Found, news).unwrap_or(life);
    match found.state {
        State::Sent => Todo::Skip(format!("told at {at}")),
        State::Unknown if !news.urgent => Todo::Skip(format!(
            "a message was begun at {at}, and whether it has arrived is not known; it is not sent twice"
        )),
        _ => Todo::Send(found.after(Event::Revived, news).unwrap_or(found)),
    }
}

/// The order in which one channel is told: urgent news first, then by age.
pub fn order<T>(queue: &mut [T], key: impl Fn(&T) -> (bool, String)) {
    queue.sort_by_cached_key(|item| {
        let (urgent, at) = key(item);
        (!urgent, at)
    });
}

/// The first wait, and the longest.
const FIRST: Duration = Duration::from_millis(500);
const MOST: Duration = Duration::from_secs(8);

/// How long to wait before a request that was surely not carried out is sent again; `None` if it must wait in the outbox.
/// `asked` is what the channel said; `left` is the time that this message has.
pub fn pause(attempt: u32, asked: Option<Duration>, left: Duration) -> Option<Duration> {
    let wait = asked.unwrap_or_else(|| step::backoff(FIRST, attempt, MOST));
    (attempt < ATTEMPTS && wait.saturating_add(Duration::from_millis(200)) < left).then_some(wait)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const STATES: [State; 5] = [State::Waiting, State::Begun, State::Sent, State::Unknown, State::Dead];
    const EVENTS: [Event; 9] = [
        Event::Begin,
        Event::Taken,
        Event::Refused,
        Event::Later,
        Event::NotSent,
        Event::Lost,
        Event::Found,
        Event::TooOld,
        Event::Revived,
    ];
    const URGENT: News = News { urgent: true, repeatable: false, noted: true };
    const GOOD: News = News { urgent: false, repeatable: false, noted: true };

    fn life(state: State, doubts: u32) -> Life {
        Life { state, doubts }
    }

    /// One cell for each state and event: the state after it, with one doubt more where it says `+`; `.` cannot happen.
    fn cells(news: News, doubts: u32) -> Vec<String> {
        let cell = |state: State, event| match life(state, doubts).after(event, news) {
            None => ".".to_owned(),
            Some(after) => {
                let more = match after.doubts.cmp(&doubts) {
                    std::cmp::Ordering::Greater => "+",
                    std::cmp::Ordering::Equal => "",
                    std::cmp::Ordering::Less => "0",
                };
                format!("{:?}{more}", after.state)
            }
        };
        STATES.iter().map(|s| EVENTS.iter().map(|e| cell(*s, *e)).collect::<Vec<_>>().join(" ")).collect()
    }

    #[test]
    fn the_whole_table() {
        //                 Begin Taken Refused Later NotSent Lost Found TooOld Revived
        let waiting = "Begun . . . Waiting . Waiting Dead Waiting";
        let closed = ". . . . . . Sent . .";
        let unknown = ". . . . . . Unknown . Waiting";
        let dead = ". . . . . . Dead . Waiting";
        let begun = |taken: &str, lost: &str, found: &str| {
            format!(". {taken} Dead Waiting Waiting {lost} {found} . .")
        };
        let table = |news, doubts, begun: String| {
            assert_eq!(
                cells(news, doubts),
                [waiting, &begun, closed, unknown, dead].map(|line| {
                    if doubts > 0 && line == closed {
                        ". . . . . . Sent . .".to_owned()
                    } else {
                        line.to_owned()
                    }
                }),
                "{news:?} {doubts}"
            );
        };
        table(URGENT, 0, begun("Sent", "Waiting+", "Waiting+"));
        table(URGENT, 1, begun("Sent0", "Unknown+", "Waiting+"));
        table(URGENT, 2, begun("Sent0", "Unknown+", "Unknown+"));
        table(GOOD, 0, begun("Sent", "Unknown+", "Unknown+"));
        table(GOOD, 1, begun("Sent0", "Unknown+", "Unknown+"));
        for urgent in [true, false] {
            let known = News { urgent, repeatable: true, noted: true };
            table(known, 0, begun("Sent", "Waiting", "Waiting"));
        }
        // What cannot be written down is said once.
        table(News { noted: false, ..URGENT }, 0, begun("Sent", "Unknown+", "Unknown+"));
    }

    #[test]
    fn news_that_is_known_is_told_by_its_state() {
        let todo = |state, doubts, urgent| todo(life(state, doubts), "12:00", News { urgent, ..GOOD });
        for urgent in [true, false] {
            assert_eq!(todo(State::Waiting, 0, urgent), Todo::Send(Life::NEW));
            assert_eq!(todo(State::Waiting, 1, urgent), Todo::Send(life(State::Waiting, 1)));
            assert_eq!(todo(State::Dead, 0, urgent), Todo::Send(Life::NEW), "a refusal leaves no doubt");
            assert_eq!(todo(State::Dead, 1, urgent), Todo::Send(life(State::Waiting, 1)));
            assert!(matches!(todo(State::Sent, 0, urgent), Todo::Skip(_)));
        }
        assert_eq!(todo(State::Begun, 0, true), Todo::Send(life(State::Waiting, 1)));
        assert_eq!(todo(State::Begun, 2, true), Todo::Send(life(State::Waiting, 3)), "somebody asks again");
        assert_eq!(todo(State::Unknown, 2, true), Todo::Send(life(State::Waiting, 2)));
        for state in [State::Begun, State::Unknown] {
            assert!(matches!(todo(state, 0, false), Todo::Skip(_)));
        }
    }

    #[test]
    fn waits_fit_the_time_or_are_not_waited() {
        let s = Duration::from_secs;
        assert_eq!(pause(1, Some(s(3)), s(20)), Some(s(3)));
        assert_eq!(pause(1, Some(s(300)), s(20)), None);
        assert_eq!(pause(1, Some(Duration::MAX), s(20)), None);
        assert_eq!(pause(3, None, s(20)), Some(s(2)));
        assert_eq!(pause(5, None, s(20)), None);
        assert_eq!(pause(1, None, Duration::from_millis(600)), None);
    }

    /// A channel with all that a chat really has: what has arrived, and with which mark.
    #[derive(Default, Debug)]
    struct Chat {
        arrived: Vec<(usize, bool)>,
    }

    /// A message of several parts on its way to one channel, driven as `deliver` drives it, through kills and later runs.
    #[derive(Debug)]
    struct Course {
        news: News,
        parts: usize,
        receipts: usize,
        life: Life,
        chat: Chat,
    }

    /// What the world does with a request, or to notify.
    #[derive(Clone, Copy, Debug)]
    enum Blow {
        Taken,
        Refused,
        Later,
        NotSent,
        /// Whether it has arrived all the same.
        Lost(bool),
        /// Before the request was written, or behind it.
        Killed(bool),
        /// The time is over before the request.
        TimeOver,
        TooOld,
        /// Somebody tells the same again, or flushes the dead letters.
        Asked,
    }

    fn blow() -> impl Strategy<Value = Blow> {
        prop_oneof![
            4 => Just(Blow::Taken),
            2 => Just(Blow::Refused),
            2 => Just(Blow::Later),
            2 => Just(Blow::NotSent),
            3 => any::<bool>().prop_map(Blow::Lost),
            3 => any::<bool>().prop_map(Blow::Killed),
            1 => Just(Blow::TimeOver),
            1 => Just(Blow::TooOld),
            2 => Just(Blow::Asked),
        ]
    }

    impl Course {
        fn new(news: News, parts: usize) -> Self {
            Course { news, parts, receipts: 0, life: Life::NEW, chat: Chat::default() }
        }

        fn goes(&mut self, event: Event) {
            let before = self.life;
            self.life = before.after(event, self.news).unwrap_or_else(|| panic!("{before:?} {event:?}"));
        }

        fn arrives(&mut self, marked: bool) {
            self.chat.arrived.push((self.receipts, marked));
        }

        fn strike(&mut self, blow: Blow) {
            match (blow, self.life.state) {
                (Blow::Asked, _) => {
                    if let Todo::Send(life) = todo(self.life, "12:00", self.news) {
                        self.life = life;
                    }
                }
                (Blow::TooOld, State::Waiting) => self.goes(Event::TooOld),
                (Blow::TimeOver, State::Waiting) => {
                    self.goes(Event::Begin);
                    self.goes(Event::NotSent);
                }
                (_, State::Waiting) => self.request(blow),
                _ => {}
            }
        }

        fn request(&mut self, blow: Blow) {
            let marked = self.life.is_doubtful();
            self.goes(Event::Begin);
            match blow {
                Blow::Taken => {
                    self.arrives(marked);
                    self.goes(Event::Taken);
                    self.receipts += 1;
                    if self.receipts < self.parts {
                        self.life = Life::NEW;
                    }
                }
                Blow::Refused => self.goes(Event::Refused),
                Blow::Later => self.goes(Event::Later),
                Blow::Lost(there) | Blow::Killed(there) => {
                    if there {
                        self.arrives(marked);
                    }
                    self.goes(if matches!(blow, Blow::Lost(_)) { Event::Lost } else { Event::Found });
                }
                _ => self.goes(Event::NotSent),
            }
        }
    }

    fn news() -> impl Strategy<Value = News> {
        (any::<bool>(), any::<bool>()).prop_map(|(urgent, repeatable)| News {
            urgent,
            repeatable,
            noted: true,
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn whatever_happens_nothing_is_said_twice_in_silence_and_nothing_is_dropped(
            news in news(), parts in 1..4_usize, blows in prop::collection::vec(blow(), 0..40),
        ) {
            let mut course = Course::new(news, parts);
            for blow in blows {
                let (before, had) = (course.life, course.receipts);
                course.strike(blow);
                // A request that was surely not carried out leaves no trace: it can be sent again as if it had never been.
                if matches!(blow, Blow::Refused | Blow::Later | Blow::NotSent | Blow::TimeOver) {
                    prop_assert_eq!(course.life.doubts, before.doubts);
                }
                prop_assert!(course.receipts >= had);
                prop_assert!(course.life.state != State::Begun, "nobody leaves it so");
            }
            for part in 0..parts {
                let said: Vec<bool> = course.chat.arrived.iter().filter(|(p, _)| *p == part).map(|(_, m)| *m).collect();
                let unmarked = said.iter().filter(|marked| !**marked).count();
                prop_assert!(news.repeatable || unmarked <= 1, "part {} in silence: {:?}", part, said);
                // The first to arrive may well say that it is a repeat, but none comes behind it without saying so.
                prop_assert!(news.repeatable || said.iter().skip(1).all(|marked| *marked), "{:?}", said);
                prop_assert!(part >= course.receipts || !said.is_empty(), "a receipt for what is not there");
            }
            let sent = course.life.state == State::Sent;
            prop_assert_eq!(sent, course.receipts == parts);
            // What is not sent is in the outbox, or is a dead letter: there is no third place.
            prop_assert!(sent || matches!(course.life.state, State::Waiting | State::Unknown | State::Dead));
            // And both can still be sent: a good connection at the end brings every part.
            if let Some(life) = course.life.after(Event::Revived, news) {
                course.life = life;
                while course.life.state == State::Waiting {
                    course.strike(Blow::Taken);
                }
                prop_assert_eq!(course.receipts, parts);
            }
        }

        #[test]
        fn urgent_news_goes_first_and_else_the_oldest(queue in prop::collection::vec((any::<bool>(), "[0-9]{2}"), 0..20)) {
            let mut ordered = queue.clone();
            order(&mut ordered, |(urgent, at)| (*urgent, at.clone()));
            for pair in ordered.windows(2) {
                prop_assert!((!pair[0].0, &pair[0].1) <= (!pair[1].0, &pair[1].1));
            }
            prop_assert_eq!(ordered.len(), queue.len());
        }
    }
}
