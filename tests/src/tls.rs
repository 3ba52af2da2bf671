//! A server behind TLS whose certificate comes from a CA that nobody knows: a company's own.

use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::http::{Reply, Request, Server};

/// The server, and the CA that has to be trusted to reach it.
pub struct Tls {
    /// The server: log and faults; its address is `url`.
    pub server: Server,
    ca: PathBuf,
    _folder: tempfile::TempDir,
}

impl Tls {
    /// Starts to answer for `localhost`.
    pub fn start(handler: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let key = || KeyPair::generate().expect("a key");
        let (ca_key, leaf_key) = (key(), key());
        let mut ca = CertificateParams::new(Vec::new()).expect("a CA");
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let file = folder.path().join("ca.pem");
        std::fs::write(&file, ca.self_signed(&ca_key).expect("signed").pem()).expect("written");
        let leaf = CertificateParams::new(vec!["localhost".to_owned()]).expect("a certificate");
        let leaf = leaf.signed_by(&leaf_key, &Issuer::new(ca, ca_key)).expect("signed");
        let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(leaf_key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone()], private)
            .expect("a configuration");
        let config = Arc::new(config);
        let server = Server::start_over(
            move |stream| {
                let session = ServerConnection::new(Arc::clone(&config)).ok()?;
                Some(Box::new(StreamOwned::new(session, stream)))
            },
            handler,
        );
        Tls { server, ca: file, _folder: folder }
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
