//! SSH signatures of texts, made and checked by ssh-keygen: keys in files, in agents and on FIDO tokens work. Each use has a namespace, so that
//! a signature made for one is none for another.

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use child::{Said, alone, attend};
use git_program::Git;
use jiff::Timestamp;
use std::time::Duration;
use step::{Context, Failure};

/// What signed records of tests are for.
pub const EVIDENCE: &str = "rilis-evidence";

/// After a signal a person at a token gets no more time than this.
const GRACE: Duration = Duration::from_secs(1);

/// Who has signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signer {
    /// By the file of allowed signers.
    pub name: String,
    /// The fingerprint of the key.
    pub key: String,
}

/// Whose signatures count.
#[derive(Debug)]
pub struct Signers {
    folder: tempfile::TempDir,
    has_revoked: bool,
    /// Keys or certificates count for a time only; else one instant is as good as another.
    has_intervals: bool,
}

impl Signers {
    /// The files of a repository, as bytes: allowed signers, and keys that count no more.
    pub fn new(allowed: &[u8], revoked: Option<&[u8]>) -> Result<Self, Failure> {
        let ours = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        let folder = tempfile::Builder::new()
            .prefix("rilis-signers-")
            .permissions(ours)
            .tempdir()
            .map_err(unusable)?;
        std::fs::write(folder.path().join("allowed"), named(allowed)).map_err(unusable)?;
        if let Some(revoked) = revoked {
            std::fs::write(folder.path().join("revoked"), revoked).map_err(unusable)?;
        }
        let text = String::from_utf8_lossy(allowed).to_ascii_lowercase();
        let has_intervals = ["valid-", "cert-authority"].iter().any(|word| text.contains(word));
        Ok(Signers { folder, has_revoked: revoked.is_some(), has_intervals })
    }

    /// Who has signed this, by the name in the file and the key; `None` when nobody has whose signature counts now.
    pub fn of(
        &self,
        context: &Context,
        namespace: &str,
        text: &[u8],
        signature: &[u8],
    ) -> Result<Option<Signer>, Failure> {
        let file = self.signature(signature)?;
        let words = [
            OsStr::new("-Y"),
            OsStr::new("find-principals"),
            OsStr::new("-s"),
            file.as_os_str(),
            OsStr::new("-f"),
        ];
        let allowed = self.folder.path().join("allowed");
        let said = keygen(context, words.into_iter().chain([allowed.as_os_str()]), b"")?;
        let names = said.text();
        for name in names.lines().map(str::trim).filter(|name| said.status.success() && !name.is_empty()) {
            if let Some(key) = self.is_of(context, name, (namespace, text, signature), &[Timestamp::now()])? {
                return Ok(Some(Signer { name: name.to_owned(), key }));
            }
        }
        Ok(None)
    }

    /// With which key this person has signed it, by its fingerprint, if it is valid at each of these instants; `None` where nobody has.
    pub fn is_of(
        &self,
        context: &Context,
        name: &str,
        (namespace, text, signature): (&str, &[u8], &[u8]),
        at: &[Timestamp],
    ) -> Result<Option<String>, Failure> {
        // A name that begins so would be an option.
        if name.starts_with('-') || name.contains(['\n', '\0']) {
            return Ok(None);
        }
        let mut key = None;
        let (file, allowed) = (self.signature(signature)?, self.folder.path().join("allowed"));
        let revoked = self.folder.path().join("revoked");
        for at in &at[..if self.has_intervals { at.len() } else { at.len().min(1) }] {
            let time = format!("verify-time={}", at.strftime("%Y%m%d%H%M%S"));
            let mut words: Vec<&OsStr> =
                ["-Y", "verify", "-n", namespace, "-I", name, "-O", &time, "-s"].map(OsStr::new).to_vec();
            words.extend([file.as_os_str(), OsStr::new("-f"), allowed.as_os_str()]);
            if self.has_revoked {
                words.extend([OsStr::new("-r"), revoked.as_os_str()]);
            }
            let said = keygen(context, words, text)?;
            if !said.status.success() {
                return Ok(None);
            }
            // `Good "rilis-approval" signature for rina@luxima.id with ED25519 key SHA256:...`
            key = said.text().rsplit_once(" key ").map(|(_, key)| key.to_owned());
        }
        Ok(key)
    }

    fn signature(&self, signature: &[u8]) -> Result<PathBuf, Failure> {
        let path = self.folder.path().join("signature");
        std::fs::write(&path, signature).map_err(unusable)?;
        Ok(path)
    }
}

/// The lines that name their people: with a pattern one key would be whoever its owner says. A certificate names its own people.
fn named(allowed: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(allowed);
    let is_named = |line: &&str| {
        let mut words = line.split_ascii_whitespace();
        let people = words.next().unwrap_or_default();
        // Options come before the key; what comes behind it is a comment.
        let is_key = |word: &&str| ["ssh-", "ecdsa-", "sk-"].iter().any(|start| word.starts_with(start));
        let is_authority = words.take_while(|word| !is_key(word)).any(|word| word.contains("cert-authority"));
        !people.contains(['*', '?', '!', '"']) || is_authority
    };
    text.lines().filter(is_named).flat_map(|line| [line, "\n"]).collect::<String>().into_bytes()
}

/// Signs a text with the key that the settings name, else git's. It changes nothing: what is signed is put somewhere by others.
///
/// # Errors
/// `config`, `no-signing-key` when none is named; `failed`, `unsigned` with ssh-keygen's own words.
pub fn sign(context: &Context, namespace: &str, text: &[u8]) -> Result<Vec<u8>, Failure> {
    let key = key(context)?.ok_or_else(|| {
        let message = "no key to sign with: set signing_key in [release-gate], RILIS_RELEASE_GATE_SIGNING_KEY, or git's user.signingkey";
        Failure::config("no-signing-key", message)
    })?;
    let held = Held::of(&key)?;
    let mut command = Command::new("ssh-keygen");
    command.args(["-Y", "sign", "-n", namespace, "-f"]).arg(&held.path);
    prepare(&mut command);
    let child = alone(&mut command).spawn().map_err(|e| missing(&e))?;
    let said = attend(context, child, text, GRACE)?;
    if said.status.success() && !said.stdout.is_empty() {
        return Ok(said.stdout);
    }
    let message = format!("ssh-keygen has not signed with {}", held.path.display());
    Err(Failure::failed("unsigned", message).cause(said.stderr))
}

/// The key that signs here, as a file or as a public key; `None` where nobody has named one.
pub fn key(context: &Context) -> Result<Option<String>, Failure> {
    if let Some(key) = context.settings.text("signing_key")? {
        return Ok(Some(key));
    }
    // A record of what was cut off is signed too.
    let said = Git::new(context).regardless().run(&["config", "--get-all", "user.signingkey"], b"")?;
    Ok(said.text().lines().last().map(str::to_owned).filter(|key| !key.is_empty() && said.status.success()))
}

/// A key as ssh-keygen takes it: a file.
struct Held {
    path: PathBuf,
    _file: Option<tempfile::NamedTempFile>,
}

impl Held {
    fn of(key: &str) -> Result<Self, Failure> {
        let literal = key.strip_prefix("key::").or_else(|| {
            (key.starts_with("ssh-") || key.starts_with("sk-") || key.starts_with("ecdsa-")).then_some(key)
        });
        if let Some(literal) = literal {
            let mut file =
                tempfile::Builder::new().prefix("rilis-key-").suffix(".pub").tempfile().map_err(unusable)?;
            file.write_all(format!("{literal}\n").as_bytes()).map_err(unusable)?;
            return Ok(Held { path: file.path().to_owned(), _file: Some(file) });
        }
        let home = std::env::var_os("HOME").map(PathBuf::from);
        let path = match (key.strip_prefix("~/"), home) {
            (Some(rest), Some(home)) => home.join(rest),
            _ => PathBuf::from(key),
        };
        if path.is_file() {
            return Ok(Held { path, _file: None });
        }
        let message =
            format!("signing_key (or git's user.signingkey) names {}, which is not there", shown(&path));
        Err(Failure::config("no-signing-key", message))
    }
}

fn keygen<'a>(
    context: &Context,
    words: impl IntoIterator<Item = &'a OsStr>,
    input: &[u8],
) -> Result<Said, Failure> {
    context.checkpoint()?;
    let mut command = Command::new("ssh-keygen");
    command.args(words);
    prepare(&mut command);
    let child = alone(&mut command).spawn().map_err(|e| missing(&e))?;
    attend(context, child, input, Duration::ZERO)
}

/// It gets what reaches an agent or asks a person, and nothing else; instants are written in UTC.
fn prepare(command: &mut Command) {
    const PASSED: [&str; 8] = [
        "PATH",
        "HOME",
        "SSH_AUTH_SOCK",
        "SSH_ASKPASS",
        "SSH_ASKPASS_REQUIRE",
        "DISPLAY",
        "WAYLAND_DISPLAY",
        "TERM",
    ];
    command.env_clear().env("LC_ALL", "C").env("TZ", "UTC");
    command.envs(PASSED.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
}

fn missing(error: &std::io::Error) -> Failure {
    Failure::config("ssh-keygen-missing", format!("the program ssh-keygen cannot be started: {error}"))
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
fn unusable(error: std::io::Error) -> Failure {
    Failure::failed(
        "temporary-folder",
        format!("nothing can be written into {}: {error}", std::env::temp_dir().display()),
    )
}

/// Whether a file has this as its content; for messages.
pub fn shown(path: &Path) -> String {
    step::excerpt(&path.display().to_string(), 200)
}
