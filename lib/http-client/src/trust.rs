//! Whom a client trusts in the place of the system's store: a CA of one's own, or one certificate and no other.

use std::fmt::Write;

use ureq::tls::{Certificate, PemItem, parse_pem};

/// What is trusted instead of the system's store. There is nothing that trusts everybody.
#[derive(Clone, Debug)]
pub enum Trust {
    /// These CAs alone; a certificate's name and dates count as ever.
    Ca(Vec<Certificate<'static>>),
    /// The server's own certificate, by the SHA-256 of its DER form: whatever its name, its issuer and its dates say.
    Certificate([u8; 32]),
}

impl Trust {
    /// The CAs of a file in PEM.
    ///
    /// # Errors
    /// A sentence that says what is wrong with it.
    pub fn ca(pem: &[u8]) -> Result<Self, String> {
        let mut all = Vec::new();
        for item in parse_pem(pem) {
            match item.map_err(|_| "it is no PEM as openssl writes it".to_owned())? {
                PemItem::Certificate(one) => all.push(one),
                _ => return Err("it holds a private key: give the certificate alone".to_owned()),
            }
        }
        if all.is_empty() {
            return Err("it holds no certificate (-----BEGIN CERTIFICATE-----)".to_owned());
        }
        let usable =
            |one: &Certificate| rustls::RootCertStore::empty().add(one.der().to_vec().into()).is_ok();
        if all.iter().all(usable) {
            Ok(Trust::Ca(all))
        } else {
            Err("a certificate in it cannot be read".to_owned())
        }
    }

    /// The SHA-256 of a certificate as people see it: 64 hex digits in any case, or 32 pairs of them with colons between.
    ///
    /// # Errors
    /// A sentence that says what it must be.
    pub fn fingerprint(text: &str) -> Result<Self, &'static str> {
        const FORM: &str =
            "it must be the SHA-256 of a certificate: 32 pairs of hex digits, such as AB:CD:...";
        let text = text.trim();
        let pairs: Vec<&str> = if text.contains(':') {
            text.split(':').collect()
        } else {
            (0..text.len()).step_by(2).filter_map(|at| text.get(at..at + 2)).collect()
        };
        let is_hex = |pair: &&str| pair.len() == 2 && pair.bytes().all(|b| b.is_ascii_hexdigit());
        let is_whole = pairs.iter().all(is_hex) && [64, 95].contains(&text.len());
        let bytes: Vec<u8> = pairs.iter().filter_map(|pair| u8::from_str_radix(pair, 16).ok()).collect();
        bytes.try_into().ok().filter(|_| is_whole).map(Trust::Certificate).ok_or(FORM)
    }
}

/// A fingerprint as people compare it: `AB:CD:...`.
pub(crate) fn shown(print: &[u8]) -> String {
    let mut text = String::new();
    for (n, byte) in print.iter().enumerate() {
        // Writing to a text cannot fail.
        let _ = write!(text, "{}{byte:02X}", if n == 0 { "" } else { ":" });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_taken_as_people_copy_it_and_nothing_else_is_one() {
        let print: [u8; 32] = std::array::from_fn(|n| u8::try_from(n * 7).expect("small"));
        let colons = shown(&print);
        let plain = colons.replace(':', "");
        for text in [
            colons.clone(),
            colons.to_lowercase(),
            plain.clone(),
            plain.to_lowercase(),
            format!(" {colons}\n"),
        ] {
            let read = Trust::fingerprint(&text);
            assert!(matches!(read, Ok(Trust::Certificate(read)) if read == print), "{text}: {read:?}");
        }
        for text in [
            "",
            ":",
            "AB:CD",
            // SHA-1.
            &colons[..59],
            &plain[..40],
            &format!("{colons}:00"),
            &format!("{plain}00"),
            &format!("sha256:{plain}"),
            &colons.replacen(':', "", 1),
            &colons.replace(':', "-"),
            &plain.replacen('0', "+", 1),
            &plain.replacen("00", "é", 1),
            &colons.replacen("00", "é", 1),
        ] {
            assert!(Trust::fingerprint(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_no_ca_is_refused_before_anybody_is_asked() {
        let key = "-----BEGIN PRIVATE KEY-----\nMAo=\n-----END PRIVATE KEY-----\n";
        let broken = "-----BEGIN CERTIFICATE-----\nMAo=\n-----END CERTIFICATE-----\n";
        for (pem, words) in [
            ("", "no certificate"),
            ("hello", "no certificate"),
            (key, "private key"),
            (broken, "cannot be read"),
            ("-----BEGIN CERTIFICATE-----\n*\n-----END CERTIFICATE-----\n", "no PEM"),
        ] {
            let why = Trust::ca(pem.as_bytes()).expect_err(pem);
            assert!(why.contains(words), "{pem}: {why}");
        }
    }
}
