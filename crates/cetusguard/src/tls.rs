//! TLS settings from PEM files. Every error names its file.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig, SignatureScheme};

use crate::config::read_text;

/// What a TCP frontend speaks.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    /// For the handshake.
    pub(crate) config: Arc<ServerConfig>,
    /// The certificates of those who may sign clients' ones, where clients have to show one.
    pub(crate) clients: Option<Arc<Vec<CertificateDer<'static>>>>,
}

/// What a TCP frontend speaks: TLS 1.2 and 1.3; with a CA, clients must show a certificate that it signed.
pub(crate) fn server(cert: &str, key: &str, cacert: Option<&str>) -> Result<Server, String> {
    let builder = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|e| e.to_string())?;
    let (builder, clients) = match cacert {
        None => (builder.with_no_client_auth(), None),
        Some(cacert) => {
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots(cacert)?), provider()).build();
            let verifier = verifier.map_err(|error| format!("{cacert}: {error}"))?;
            (builder.with_client_cert_verifier(verifier), Some(Arc::new(chain(cacert)?)))
        }
    };
    let mut config =
        builder.with_single_cert(chain(cert)?, private_key(key)?).map_err(|error| mismatch(cert, key, &error))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Server { config: Arc::new(config), clients })
}

/// What the backend speaks: the engine's certificate is checked with the CA, ours is shown where there is one.
pub(crate) fn client(cacert: &str, own: Option<(&str, &str)>) -> Result<Arc<ClientConfig>, String> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|e| e.to_string())?;
    let builder = builder.with_root_certificates(roots(cacert)?);
    let config = match own {
        None => builder.with_no_client_auth(),
        Some((cert, key)) => builder
            .with_client_auth_cert(chain(cert)?, private_key(key)?)
            .map_err(|error| mismatch(cert, key, &error))?,
    };
    Ok(Arc::new(config))
}

/// What the health check speaks to the proxy's own frontend: it knows the one certificate that may answer.
pub(crate) fn pinned(cert: &str, key: &str) -> Result<Arc<ClientConfig>, String> {
    let chain = chain(cert)?;
    let verifier = Arc::new(Pinned { expected: chain[0].clone(), provider: provider() });
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|e| e.to_string())?;
    let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
    let config =
        builder.with_client_auth_cert(chain, private_key(key)?).map_err(|error| mismatch(cert, key, &error))?;
    Ok(Arc::new(config))
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn mismatch(cert: &str, key: &str, error: &rustls::Error) -> String {
    match error {
        rustls::Error::InconsistentKeys(_) => format!("{key} is not the key of the first certificate in {cert}"),
        error => format!("{cert} and {key}: {error}"),
    }
}

fn chain(path: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let text = read_text(path).map_err(|why| format!("{path}: {why}"))?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
    let chain = chain.map_err(|error| format!("{path}: {error}"))?;
    if chain.is_empty() { Err(format!("{path}: no certificate (PEM) in it")) } else { Ok(chain) }
}

fn private_key(path: &str) -> Result<PrivateKeyDer<'static>, String> {
    let text = read_text(path).map_err(|why| format!("{path}: {why}"))?;
    PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|_| format!("{path}: no private key (PEM) in it"))
}

fn roots(path: &str) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in chain(path)? {
        roots.add(certificate).map_err(|error| format!("{path}: {error}"))?;
    }
    Ok(roots)
}

/// Accepts one certificate, byte for byte; who answers must still prove to hold its key.
#[derive(Debug)]
struct Pinned {
    expected: CertificateDer<'static>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if *certificate == self.expected {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(rustls::Error::General("another certificate answers at this address".to_owned()))
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
