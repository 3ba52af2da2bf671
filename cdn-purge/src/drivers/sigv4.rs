//! AWS Signature Version 4, as much of it as one XML API needs. Pure. Held against vectors made with botocore.

use std::fmt::Write;

use jiff::Timestamp;
use ring::{digest, hmac};
use step::Secret;

/// Who signs.
pub struct Credentials {
    pub access_key: String,
    pub secret_key: Secret,
    pub session_token: Option<Secret>,
}

/// What is signed: the host as it is sent, the path, the body (empty for a read).
pub struct Request<'a> {
    pub method: &'a str,
    pub host: &'a str,
    pub path: &'a str,
    pub body: &'a [u8],
}

/// The headers that carry the signature.
pub fn headers(keys: &Credentials, request: &Request, now: Timestamp) -> Vec<(&'static str, String)> {
    let time = now.strftime("%Y%m%dT%H%M%SZ").to_string();
    let day = &time[..8];
    let mut signed = vec![("host", request.host), ("x-amz-date", &time)];
    if !request.body.is_empty() {
        signed.insert(0, ("content-type", "application/xml"));
    }
    if let Some(token) = &keys.session_token {
        signed.push(("x-amz-security-token", token.expose()));
    }
    let lines: String = signed.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
    let names = signed.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
    let Request { method, path, body, .. } = request;
    let canonical = format!("{method}\n{path}\n\n{lines}\n{names}\n{}", sha256(body));
    let scope = format!("{day}/us-east-1/cloudfront/aws4_request");
    let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", sha256(canonical.as_bytes()));
    let first = format!("AWS4{}", keys.secret_key.expose()).into_bytes();
    let parts = [day, "us-east-1", "cloudfront", "aws4_request"];
    let key = parts.iter().fold(first, |key, part| mac(&key, part));
    let signature = hex(&mac(&key, &text));
    let credential = &keys.access_key;
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={credential}/{scope}, SignedHeaders={names}, Signature={signature}"
    );
    let token = keys.session_token.as_ref().map(|token| ("X-Amz-Security-Token", token.expose().to_owned()));
    [("X-Amz-Date", time.clone()), ("Authorization", authorization)].into_iter().chain(token).collect()
}

/// SHA-256 in hex.
pub fn sha256(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, bytes).as_ref())
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}"); // a String takes everything
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A request of two pages with the documentation's keys; the signatures are botocore's.
    fn authorization(token: Option<&str>) -> String {
        let body = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><InvalidationBatch xmlns=\"http://cloudfront.amazonaws.com/doc/2020-05-31/\"><Paths><Quantity>2</Quantity><Items><Path>/</Path><Path>/about</Path></Items></Paths><CallerReference>release-42-1</CallerReference></InvalidationBatch>";
        assert_eq!(
            sha256(body.as_bytes()),
            "37d68deb4cd58d6b646fca6a71aa1acdba6eb4b242f9534894bbd08d18a07a69"
        );
        let keys = Credentials {
            access_key: "AKIDEXAMPLE".into(),
            secret_key: Secret::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
            session_token: token.map(Secret::new),
        };
        let path = "/2020-05-31/distribution/EDFDVBD6EXAMPLE/invalidation";
        let request =
            Request { method: "POST", host: "cloudfront.amazonaws.com", path, body: body.as_bytes() };
        let headers = headers(&keys, &request, "2026-11-22T21:47:00Z".parse().expect("a time"));
        headers.into_iter().find(|(name, _)| *name == "Authorization").expect("signed").1
    }

    #[test]
    fn signatures_are_those_of_botocore() {
        let plain = authorization(None);
        assert!(plain.contains("SignedHeaders=content-type;host;x-amz-date, "), "{plain}");
        assert!(
            plain.ends_with("Signature=00633d25cfd9ac2bb9f10e312018549fcfa8a7be333d16abea44430b8da7242e"),
            "{plain}"
        );
        let token = authorization(Some("SESSIONTOKEN"));
        assert!(
            token.contains("SignedHeaders=content-type;host;x-amz-date;x-amz-security-token, "),
            "{token}"
        );
        assert!(
            token.ends_with("Signature=6a5de2ec5450a7cf566413f09d85ba74af20592f1279947d1cba92162a745008"),
            "{token}"
        );
    }
}
