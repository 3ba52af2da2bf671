//! Every program's calls against servers that mean harm: bodies and headers without end, a drip, a bomb, a way to another host, a
//! connection that breaks in each phase. Time and memory have bounds, nothing panics, no token follows to another place, and none of it is
//! taken for a yes.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, Instant};

use testkit::bin;
use testkit::listener::Listener;
use wait4::Wait4;

/// As a bot's token looks: that of all others may look like anything.
const TOKEN: &str = "123456789:AAcanaryOfATokenOfABot_0123456789ab";
/// What a program may take beside the time that it was given.
const MORE: Duration = Duration::from_secs(7);
/// A program of the tests takes 20 to 40 MB by itself.
const MEMORY: u64 = 160 << 20;

/// What a server does once it has read a request.
#[derive(Clone, Copy, Debug)]
enum Harm {
    EndlessBody,
    EndlessHeaders,
    Drip,
    Bomb,
    Elsewhere,
    Silent,
    BreaksAtOnce,
    BreaksInHeaders,
    BreaksInBody,
    Nonsense,
}

const HARMS: [Harm; 10] = [
    Harm::EndlessBody,
    Harm::EndlessHeaders,
    Harm::Drip,
    Harm::Bomb,
    Harm::Elsewhere,
    Harm::Silent,
    Harm::BreaksAtOnce,
    Harm::BreaksInHeaders,
    Harm::BreaksInBody,
    Harm::Nonsense,
];

/// 300 MB of blanks in 300 kB.
static BOMB: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let made =
        Command::new("sh").args(["-c", "head -c 300000000 /dev/zero | tr '\\0' ' ' | gzip -9"]).output();
    made.expect("gzip runs").stdout
});

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";

fn harmful(mut stream: TcpStream, harm: Harm, elsewhere: u16) {
    let _ = stream.set_read_timeout(Some(Duration::from_secs(20)));
    if matches!(harm, Harm::BreaksAtOnce) {
        return;
    }
    let mut request: Vec<u8> = Vec::new();
    let mut byte = [0; 1024];
    while !request.windows(4).any(|w| w == b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(n) if n > 0 => request.extend(&byte[..n]),
            _ => return,
        }
    }
    answer(stream, harm, elsewhere);
}

/// What comes after the request.
fn answer(mut stream: TcpStream, harm: Harm, elsewhere: u16) {
    let big = vec![b'x'; 64 << 10];
    let mut say = |bytes: &[u8]| stream.write_all(bytes).is_ok();
    match harm {
        Harm::EndlessBody => _ = say(&[OK, b"\r\n"].concat()) && forever(|| say(&big)),
        Harm::EndlessHeaders => {
            let header = [b"X-More: ", big.as_slice(), b"\r\n"].concat();
            _ = say(OK) && forever(|| say(&header));
        }
        Harm::Drip => {
            let mut bytes =
                [OK, b"Content-Length: 1000\r\n\r\n"].concat().into_iter().chain(std::iter::repeat(b' '));
            forever(|| {
                std::thread::sleep(Duration::from_millis(100));
                bytes.next().is_some_and(|byte| say(&[byte]))
            });
        }
        Harm::Silent => std::thread::sleep(Duration::from_secs(20)),
        Harm::Bomb => {
            let head = format!("Content-Encoding: gzip\r\nContent-Length: {}\r\n\r\n", BOMB.len());
            say(&[OK, head.as_bytes(), &BOMB].concat());
        }
        Harm::Elsewhere => {
            let head = "HTTP/1.1 307 Temporary Redirect\r\nContent-Length: 0\r\n";
            say(format!("{head}Location: http://localhost:{elsewhere}/stolen\r\n\r\n").as_bytes());
        }
        Harm::BreaksInHeaders => _ = say(OK),
        Harm::BreaksInBody => _ = say(&[OK, b"Content-Length: 1000\r\n\r\n{\"ok\":true"].concat()),
        Harm::Nonsense => _ = say(b"\x00\xff\x1b[2J SSH-2.0 nonsense\r\n\r\n"),
        Harm::BreaksAtOnce => {}
    }
}

/// For as long as somebody listens, and half a minute at most.
fn forever(mut say: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + Duration::from_secs(30);
    while Instant::now() < end && say() {}
    true
}

/// A call of a program: its settings below `[environment.production]`, and its words. `URL` is where the harm is.
const CALLS: [(&str, &str, &[&str]); 9] = [
    (
        "deploy-coolify",
        "[environment.production.deploy-coolify]\nurl = 'URL'\napplications = ['k8s4wck0o0c4o8cw4ggk0w8s']\n",
        &["status"],
    ),
    (
        "deploy-coolify",
        "[environment.production.deploy-coolify]\nurl = 'URL'\napplications = ['k8s4wck0o0c4o8cw4ggk0w8s']\n",
        &["observe", "--fresh"],
    ),
    (
        "cdn-purge",
        "[environment.production.cdn-purge]\ndriver = 'cloudflare'\nzone = '0123456789abcdef0123456789abcdef'\nurl = 'URL'\n",
        &["--check"],
    ),
    (
        "cdn-purge",
        "[environment.production.cdn-purge]\ndriver = 'http'\nendpoint = 'URL'\ntoken_header = 'X-Purge'\n",
        &["--fresh", "--release", "1.2.0", "URL/sale"],
    ),
    (
        "notify",
        "[notify]\nchannel = 'a'\nstate = 'state'\n[notify.channels.a]\nkind = 'telegram'\nchat_id = '-1001'\nurl = 'URL'\n",
        &["send", "hello"],
    ),
    (
        "notify",
        "[notify]\nchannel = 'a'\nstate = 'state'\n[notify.channels.a]\nkind = 'ntfy'\ntopic = 'x'\nurl = 'URL'\n",
        &["send", "hello"],
    ),
    (
        "notify",
        "[notify]\nchannel = 'a'\nstate = 'state'\n[notify.channels.a]\nkind = 'slack'\nchannel = 'C1'\nurl = 'URL'\n",
        &["send", "hello"],
    ),
    (
        "db-restore",
        "[environment.production.db-restore]\nsource = 'supabase'\nhost = '127.0.0.1'\nport = PORT\npassword_file = 'password'\ndatabase = 'postgres'\nsnapshots = 'snapshots'\nuser = 'postgres'\nproject_ref = 'abcdefghijklmnopqrst'\napi = 'URL'\n",
        &["recovery-point"],
    ),
    (
        "maintenance",
        "[environment.production.maintenance]\non = ['true']\noff = ['true']\npage = 'URL'\n",
        &["on", "--fresh"],
    ),
];

struct Ended {
    code: Option<i32>,
    said: String,
    took: Duration,
    memory: u64,
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let said: String = self.said.chars().take(400).collect();
        write!(f, "{:?} in {:?}, {} MB: {said}", self.code, self.took, self.memory >> 20)
    }
}

fn call(
    folder: &Path,
    (url, database): (&str, u16),
    (program, settings, words): (&str, &str, &[&str]),
) -> Ended {
    let shared =
        "[product]\nname = 'shop'\n[environment.production]\nmarker = 'X-Release'\npublic_urls = ['URL/']\n";
    let text = format!("{shared}{settings}").replace("URL", url).replace("PORT", &database.to_string());
    testkit::write_private(&folder.join("password"), testkit::postgres::PASSWORD);
    std::fs::write(folder.join("release.toml"), text).expect("written");
    let words: Vec<String> = words.iter().map(|word| word.replace("URL", url)).collect();
    let mut command = Command::new(bin(program));
    command.args(words).args(["--env", "production", "--timeout", "3s"]).current_dir(folder);
    command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", folder).env("XDG_STATE_HOME", folder);
    for name in [
        "COOLIFY_TOKEN",
        "CDN_PURGE_TOKEN",
        "CLOUDFLARE_API_TOKEN",
        "TELEGRAM_BOT_TOKEN",
        "NTFY_TOKEN",
        "SLACK_BOT_TOKEN",
        "SUPABASE_ACCESS_TOKEN",
    ] {
        command.env(name, TOKEN);
    }
    let out = folder.join("out");
    let file = std::fs::File::create(&out).expect("a file");
    command.stdin(Stdio::null()).stdout(file.try_clone().expect("a handle")).stderr(file);
    let began = Instant::now();
    let mut child = command.spawn().expect("it starts");
    let ended = child.wait4().expect("it ends");
    let said = String::from_utf8_lossy(&std::fs::read(&out).expect("read")).into_owned();
    Ended { code: ended.status.code(), said, took: began.elapsed(), memory: ended.rusage.maxrss }
}

/// What is wrong with how a call ended, if something is.
fn wrong(harm: Harm, number: usize, elsewhere: u16, database: u16) -> Option<String> {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let server = Listener::start(move |stream| {
        count.fetch_add(1, Ordering::SeqCst);
        harmful(stream, harm, elsewhere);
    });
    let folder = tempfile::tempdir().expect("a folder");
    let url = format!("http://127.0.0.1:{}", server.port());
    let ended = call(folder.path(), (&url, database), CALLS[number]);
    let (program, _, words) = CALLS[number];
    let is_right = matches!(ended.code, Some(1 | 75 | 78))
        // What was not asked has proven nothing.
        && asked.load(Ordering::SeqCst) > 0
        && ended.took < Duration::from_secs(3) + MORE
        && ended.memory < MEMORY
        && !ended.said.contains(TOKEN)
        && !ended.said.contains('\u{1b}')
        && !ended.said.contains("panicked");
    (!is_right).then(|| format!("{program} {words:?} {harm:?}: {ended}"))
}

#[test]
fn no_server_takes_time_memory_or_a_token_from_any_program() {
    LazyLock::force(&BOMB);
    let cluster = testkit::postgres::Cluster::start();
    let stolen: Arc<Mutex<Vec<u8>>> = Arc::default();
    let seen = Arc::clone(&stolen);
    let thief = Listener::start(move |mut stream| {
        let _ = stream.set_read_timeout(Some(Duration::from_secs(2)));
        let mut bytes = [0; 16 << 10];
        let count = stream.read(&mut bytes).unwrap_or_default();
        seen.lock().expect("what was stolen").extend(&bytes[..count]);
    });
    let calls = HARMS.iter().flat_map(|harm| (0..CALLS.len()).map(|call| (*harm, call)));
    let next = Mutex::new(calls.collect::<Vec<_>>().into_iter());
    let all = Mutex::new(Vec::new());
    let work = || loop {
        let Some((harm, number)) = next.lock().expect("the list").next() else { return };
        let found = wrong(harm, number, thief.port(), cluster.port());
        all.lock().expect("the list").extend(found);
    };
    std::thread::scope(|scope| (0..8).for_each(|_| _ = scope.spawn(work)));
    let all = all.into_inner().expect("the list");
    assert!(all.is_empty(), "{}", all.join("\n"));
    let stolen = String::from_utf8_lossy(&stolen.lock().expect("what was stolen")).into_owned();
    assert!(!stolen.contains(TOKEN), "{stolen}");
}
