//! A person at a terminal: the progress line, what will be lost, and the confirmation that is typed. The terminal is a real one, as
//! `script` of util-linux makes it.

use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use crate::common::{BEFORE, Bench};

struct Terminal {
    script: Child,
    shown: Receiver<String>,
    text: String,
}

impl Terminal {
    /// Runs the program as somebody would who has typed this.
    fn run(bench: &Bench, args: &str) -> Self {
        let line = format!("stty cols 80; {} {args}", env!("CARGO_BIN_EXE_db-restore"));
        let mut command = Command::new("script");
        command.args(["--quiet", "--flush", "--return", "--command", &line, "/dev/null"]);
        command.current_dir(bench.folder.path()).env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin");
        command.env("TERM", "xterm").env("SHELL", "/bin/sh");
        let mut script =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("script, of util-linux");
        let (mut output, (said, shown)) = (script.stdout.take().expect("a pipe"), channel());
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(n @ 1..) = output.read(&mut buffer) {
                let _ = said.send(String::from_utf8_lossy(&buffer[..n]).into_owned());
            }
        });
        Terminal { script, shown, text: String::new() }
    }

    /// Waits until it shows something.
    fn until(&mut self, words: &str) {
        while !self.text.contains(words) {
            let more = self.shown.recv_timeout(Duration::from_secs(60));
            self.text += &more.unwrap_or_else(|e| panic!("{words}: {e}: {}", self.text));
        }
    }

    fn types(&mut self, text: &str) {
        self.script.stdin.as_mut().expect("a pipe").write_all(text.as_bytes()).expect("typed");
    }

    /// Waits for its end; gives the exit code and all that was shown.
    fn ends(mut self) -> (i32, String) {
        while let Ok(more) = self.shown.recv_timeout(Duration::from_secs(30)) {
            self.text += &more;
        }
        (self.script.wait().expect("ended").code().expect("a code"), self.text)
    }
}

fn wrong(bench: &Bench) {
    bench.cluster.execute("shop", "update products set price = 0; insert into products values (3, 'new', 0)");
}

#[test]
fn a_restore_is_confirmed_by_typing_its_name() {
    let bench = Bench::start();
    let (id, _) = bench.snapshot(BEFORE);
    wrong(&bench);
    let mut terminal = Terminal::run(&bench, "restore --env production");
    terminal.until(&format!("Type `shop@{id}` to go on: "));
    assert_eq!(bench.prices().len(), 3, "nothing happened yet");
    terminal.types(&format!("shop@{id}\n"));
    let (code, shown) = terminal.ends();
    assert_eq!(code, 0, "{shown}");
    assert_eq!(bench.prices(), [["1", "85000"], ["2", "1250000"]]);
    let order = [
        "restoring into",
        "verifying",
        "1 rows only in the present data, 2 changed",
        "Type `",
        "holds the data of",
    ];
    let places: Vec<usize> =
        order.iter().map(|w| shown.find(w).unwrap_or_else(|| panic!("{w}: {shown}"))).collect();
    assert!(places.is_sorted(), "{places:?} {shown}");
    assert!(!shown.contains("\"schema\""), "a person gets no document: {shown}");
}

#[test]
fn another_name_nothing_and_an_interrupt_confirm_nothing() {
    let bench = Bench::start();
    let (id, _) = bench.snapshot(BEFORE);
    wrong(&bench);
    let next = format!("next: db-restore restore --env production --snapshot {id} --confirm shop@{id}");
    for typed in ["shop@other\n", "yes\n", "\n", "\x04"] {
        let mut terminal = Terminal::run(&bench, "restore --env production");
        terminal.until("to go on: ");
        terminal.types(typed);
        let (code, shown) = terminal.ends();
        assert!(
            code == 1 && shown.contains("was not begun") && shown.contains(&next),
            "{typed:?}: {code} {shown}"
        );
    }
    let mut terminal = Terminal::run(&bench, "restore --env production");
    terminal.until("to go on: ");
    terminal.types("\x03");
    let asked = std::time::Instant::now();
    let (code, shown) = terminal.ends();
    assert!(asked.elapsed() < Duration::from_secs(10), "it goes at once");
    assert_eq!(code, 130, "{shown}");
    assert_eq!(bench.prices().len(), 3, "the present data is untouched");
}
