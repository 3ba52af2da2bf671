//! TLS to PostgreSQL, with libpq's meanings: `require` encrypts whoever the other side is, `verify-full` also insists on a
//! certificate of the server's name that is signed by somebody in `tls_root`. pg_dump is told the same.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use step::Failure;
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::{Place, Tls};

/// Makes encrypted connections as the place wants; `None` when they are to be plain.
pub fn connector(place: &Place) -> Result<Option<MakeRustlsConnect>, Failure> {
    let provider = Arc::new(ring::default_provider());
    let verifier: Arc<dyn ServerCertVerifier> = match place.tls {
        Tls::Disable => return Ok(None),
        Tls::Require => Arc::new(Anybody(Arc::clone(&provider))),
        Tls::VerifyFull => authorities(place, &provider)?,
    };
    let wrong = |e| Failure::bug(format!("TLS: {e}"));
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.map_err(wrong)?.dangerous().with_custom_certificate_verifier(verifier);
    Ok(Some(MakeRustlsConnect::new(config.with_no_client_auth())))
}

/// No file of certificates is larger, in bytes.
const LARGEST: u64 = 1 << 20;

fn authorities(place: &Place, provider: &Arc<CryptoProvider>) -> Result<Arc<WebPkiServerVerifier>, Failure> {
    let at = place.tls_root.display();
    let wrong = |why: String| {
        Failure::config(
            "tls",
            format!("{at}: {why}; set tls_root to a PEM file with the authority's certificate"),
        )
    };
    let mut roots = RootCertStore::empty();
    // A pipe that nobody writes to is not waited for, and a device has no end.
    let is_small =
        std::fs::metadata(&place.tls_root).is_ok_and(|about| about.is_file() && about.len() <= LARGEST);
    if !is_small && place.tls_root.exists() {
        return Err(wrong("it is no file of at most 1 MiB".to_owned()));
    }
    let bytes = std::fs::read(&place.tls_root).map_err(|e| wrong(e.to_string()))?;
    roots.add_parsable_certificates(CertificateDer::pem_slice_iter(&bytes).flatten());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
    verifier.build().map_err(|e| wrong(e.to_string()))
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
