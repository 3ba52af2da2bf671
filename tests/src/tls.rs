//! A server behind TLS whose certificate comes from a CA that nobody knows: a company's own.

use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::TLS12;
use rustls::{ALL_VERSIONS, ServerConfig, ServerConnection, StreamOwned, SupportedProtocolVersion};
use sha2::{Digest, Sha256};

use crate::http::{Reply, Request, Server};

/// What a server speaks that is old.
static OLD: &[&SupportedProtocolVersion] = &[&TLS12];

/// What a server shows of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// A certificate for `localhost` from a CA of its own.
    Signed,
    /// The same for a host that it is not.
    Elsewhere,
    /// The same as the first, but its time is long over; it speaks TLS 1.2 at most.
    Expired,
    /// A certificate for `localhost` that nobody but itself has signed.
    SelfSigned,
    /// A certificate whose key it does not have: whoever has only seen the certificate can do this much.
    Borrowed,
    /// The same over TLS 1.2.
    BorrowedOld,
}

/// The server, and the CA that has to be trusted to reach it.
pub struct Tls {
    /// The server: log and faults; its address is `url`.
    pub server: Server,
    ca: PathBuf,
    certificate: CertificateDer<'static>,
    _folder: tempfile::TempDir,
}

impl Tls {
    /// Starts to answer for `localhost`.
    pub fn start(handler: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        Self::start_as(Shown::Signed, handler)
    }

    /// Starts to answer for `localhost`, and shows this.
    pub fn start_as(shown: Shown, handler: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let key = || KeyPair::generate().expect("a key");
        let (ca_key, leaf_key) = (key(), key());
        let mut ca = CertificateParams::new(Vec::new()).expect("a CA");
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let file = folder.path().join("ca.pem");
        std::fs::write(&file, ca.self_signed(&ca_key).expect("signed").pem()).expect("written");
        let host = if shown == Shown::Elsewhere { "elsewhere.example" } else { "localhost" };
        let mut leaf = CertificateParams::new(vec![host.to_owned()]).expect("a certificate");
        if shown == Shown::Expired {
            (leaf.not_before, leaf.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1));
        }
        let leaf = match shown {
            Shown::SelfSigned => leaf.self_signed(&leaf_key),
            _ => leaf.signed_by(&leaf_key, &Issuer::new(ca, ca_key)),
        };
        let certificate = leaf.expect("signed").der().clone();
        let is_borrowed = matches!(shown, Shown::Borrowed | Shown::BorrowedOld);
        let is_old = matches!(shown, Shown::Expired | Shown::BorrowedOld);
        let key = if is_borrowed { key() } else { leaf_key };
        let config = Arc::new(config(certificate.clone(), &key, is_old));
        let server = Server::start_over(
            move |stream| {
                let session = ServerConnection::new(Arc::clone(&config)).ok()?;
                Some(Box::new(StreamOwned::new(session, stream)))
            },
            handler,
        );
        Tls { server, ca: file, certificate, _folder: folder }
    }

    /// The SHA-256 of its certificate, as people compare it.
    pub fn fingerprint(&self) -> String {
        let pairs: Vec<String> =
            Sha256::digest(&self.certificate).iter().map(|byte| format!("{byte:02X}")).collect();
        pairs.join(":")
    }

    /// `https://localhost:port`.
    pub fn url(&self) -> String {
        format!("https://localhost:{}", self.server.port())
    }

    /// The CA's certificate, for `SSL_CERT_FILE`.
    pub fn ca(&self) -> &std::path::Path {
        &self.ca
    }
}

/// The configuration of who has this certificate, and this key whether it belongs to it or not.
fn config(certificate: CertificateDer<'static>, key: &KeyPair, is_old: bool) -> ServerConfig {
    let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let key = any_supported_type(&private).expect("a key that can sign");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(if is_old { OLD } else { ALL_VERSIONS })
        .expect("versions")
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(CertifiedKey::new(vec![certificate], key))))
}
