//! What HTTP over TCP needs of rustls' *ring* provider. Its parts for QUIC and for certificates of ours would be a thirtieth of a
//! small program.

use std::sync::Arc;

use rustls::crypto::ring::{self, cipher_suite as suite};
use rustls::crypto::{CipherSuiteCommon, CryptoProvider, KeyProvider};
use rustls::pki_types::PrivateKeyDer;
use rustls::sign::SigningKey;
use rustls::{SupportedCipherSuite, Tls13CipherSuite};

static AES_256: Tls13CipherSuite = over_tcp(&suite::TLS13_AES_256_GCM_SHA384);
static AES_128: Tls13CipherSuite = over_tcp(&suite::TLS13_AES_128_GCM_SHA256);
static CHACHA20: Tls13CipherSuite = over_tcp(&suite::TLS13_CHACHA20_POLY1305_SHA256);

/// All suites of the *ring* provider, in its order.
static SUITES: [SupportedCipherSuite; 9] = [
    SupportedCipherSuite::Tls13(&AES_256),
    SupportedCipherSuite::Tls13(&AES_128),
    SupportedCipherSuite::Tls13(&CHACHA20),
    suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
];

/// The provider: every suite, group and signature that *ring* has.
pub(crate) fn provider() -> CryptoProvider {
    CryptoProvider { cipher_suites: SUITES.to_vec(), key_provider: &NoKeys, ..ring::default_provider() }
}

const fn over_tcp(whole: &'static SupportedCipherSuite) -> Tls13CipherSuite {
    let SupportedCipherSuite::Tls13(whole) = whole else { panic!("a suite of TLS 1.3") };
    let common = CipherSuiteCommon {
        suite: whole.common.suite,
        hash_provider: whole.common.hash_provider,
        confidentiality_limit: whole.common.confidentiality_limit,
    };
    Tls13CipherSuite { common, hkdf_provider: whole.hkdf_provider, aead_alg: whole.aead_alg, quic: None }
}

/// Nobody is shown a certificate of ours.
#[derive(Debug)]
struct NoKeys;

impl KeyProvider for NoKeys {
    fn load_private_key(&self, _: PrivateKeyDer<'static>) -> Result<Arc<dyn SigningKey>, rustls::Error> {
        Err(rustls::Error::General("client certificates are not supported".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_ring_can_do_over_tcp_is_missing() {
        let (ours, whole) = (provider(), ring::default_provider());
        let names =
            |p: &CryptoProvider| p.cipher_suites.iter().map(SupportedCipherSuite::suite).collect::<Vec<_>>();
        assert_eq!(names(&ours), names(&whole));
        assert_eq!(ours.kx_groups.len(), whole.kx_groups.len());
    }
}
