//! A GnuPG home of its own, with an OpenPGP key and an X.509 certificate; its agents end with it.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The address that both keys are for.
const ADDRESS: &str = "rina@luxima.example";

/// The home.
pub struct Gnupg(PathBuf);

impl Gnupg {
    /// Makes it at a path, which must be short: the agent's socket lies in it.
    pub fn create(path: &Path) -> Self {
        std::fs::create_dir_all(path).expect("a folder");
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o700)).expect("private");
        let gnupg = Gnupg(path.to_owned());
        // No revocation lists: nothing is asked of the network.
        std::fs::write(path.join("gpgsm.conf"), "disable-crl-checks\ndisable-policy-checks\n")
            .expect("written");
        gnupg
    }

    /// Makes an OpenPGP key and gives its fingerprint.
    pub fn openpgp_key(&self) -> String {
        let who = format!("Rina <{ADDRESS}>");
        self.run(
            "gpg",
            &["--batch", "--quiet", "--passphrase", "", "--quick-generate-key", &who, "ed25519", "sign"],
            "",
        );
        let listed = self.run("gpg", &["--batch", "--with-colons", "--list-secret-keys"], "");
        let line = listed.lines().find(|l| l.starts_with("fpr:")).expect("a fingerprint");
        line.split(':').nth(9).expect("its field").to_owned()
    }

    /// Makes a certificate that signs itself, trusts it, and gives its fingerprint.
    pub fn x509_certificate(&self) -> String {
        let wanted = format!(
            "Key-Type: RSA\nKey-Length: 2048\nKey-Usage: sign\nName-DN: CN=Rina\nName-Email: {ADDRESS}\nSerial: random\n\
             Not-After: 2060-01-01\nHash-Algo: SHA256\n"
        );
        let file = self.0.join("wanted");
        std::fs::write(&file, wanted).expect("written");
        let mut args = vec!["--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase-fd", "0"];
        args.extend(["--generate-key", "--armor", file.to_str().expect("UTF-8")]);
        let certificate = self.run("gpgsm", &args, "\n");
        self.run("gpgsm", &["--batch", "--quiet", "--import"], &certificate);
        let listed = self.run("gpgsm", &["--batch", "--with-colons", "--list-secret-keys"], "");
        let line = listed.lines().find(|l| l.starts_with("fpr:")).expect("a fingerprint");
        let fingerprint = line.split(':').nth(9).expect("its field").to_owned();
        std::fs::write(self.0.join("trustlist.txt"), format!("{fingerprint} S relax\n")).expect("written");
        self.stop();
        fingerprint
    }

    /// Where it is: the value of `GNUPGHOME`.
    pub fn path(&self) -> &Path {
        &self.0
    }

    fn run(&self, program: &str, args: &[&str], input: &str) -> String {
        let mut command = Command::new(program);
        command.args(args).env("GNUPGHOME", &self.0).env("LC_ALL", "C");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|e| panic!("{program}: {e}"));
        child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("it reads");
        let output = child.wait_with_output().expect("it ends");
        assert!(output.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Ends the agents that GnuPG has started for this home.
    fn stop(&self) {
        let _ = Command::new("gpgconf").args(["--kill", "all"]).env("GNUPGHOME", &self.0).output();
    }
}

impl Drop for Gnupg {
    fn drop(&mut self) {
        self.stop();
    }
}
