//! TLS to PostgreSQL, with libpq's meanings: `require` encrypts whoever the other side is, `verify-full` also insists on a certificate of the
//! server's name that is signed by somebody in `checklist.tls_root`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use step::{Failure, Settings};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::bounded::small_file;

/// How the way to the server is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tls {
    /// Not at all.
    Disable,
    /// Encrypted, and anybody is believed.
    Require,
    /// Encrypted, and the server's certificate is of its name and signed by somebody we know.
    VerifyFull,
}

/// How the settings want it: on the way to another machine the server has to prove who it is, unless they say otherwise.
pub fn wanted(settings: &Settings, host: &str) -> Result<Tls, Failure> {
    let is_here = ["127.0.0.1", "::1", "localhost"].contains(&host) || host.starts_with('/');
    let usual = if is_here { Tls::Disable } else { Tls::VerifyFull };
    let words = [("disable", Tls::Disable), ("require", Tls::Require), ("verify-full", Tls::VerifyFull)];
    Ok(settings.choice("checklist.tls", &words)?.unwrap_or(usual))
}

/// Makes encrypted connections; `None` when they are to be plain.
pub fn connector(tls: Tls, settings: &Settings) -> Result<Option<MakeRustlsConnect>, Failure> {
    let provider = Arc::new(ring::default_provider());
    let verifier: Arc<dyn ServerCertVerifier> = match tls {
        Tls::Disable => return Ok(None),
        Tls::Require => Arc::new(Anybody(Arc::clone(&provider))),
        Tls::VerifyFull => authorities(settings, &provider)?,
    };
    let wrong = |e| Failure::bug(format!("TLS: {e}"));
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.map_err(wrong)?.dangerous().with_custom_certificate_verifier(verifier);
    Ok(Some(MakeRustlsConnect::new(config.with_no_client_auth())))
}

fn authorities(
    settings: &Settings,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<WebPkiServerVerifier>, Failure> {
    const KEY: &str = "checklist.tls_root";
    let path = settings.optional(KEY)?.unwrap_or_else(bundle);
    let wrong = |why: String| {
        let why = format!("{}: {why}; name a PEM file with the authority's certificate", path.display());
        settings.wrong(KEY, &why)
    };
    let mut roots = RootCertStore::empty();
    let pem = small_file(&path).map_err(wrong)?;
    roots.add_parsable_certificates(CertificateDer::pem_slice_iter(&pem).flatten());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
    verifier.build().map_err(|e| wrong(e.to_string()))
}

/// The system's certificates, where Debian or Red Hat put them.
fn bundle() -> PathBuf {
    let known =
        ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];
    known.iter().map(Path::new).find(|path| path.is_file()).unwrap_or(Path::new(known[0])).to_owned()
}

/// Believes every certificate, but still that the other side has its key: what libpq calls `require`.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
