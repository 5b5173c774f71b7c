//! TLS settings from PEM files. Every error names its file.

pub(crate) mod certificate;
pub(crate) mod failed_handshakes;
pub(crate) mod shown_certificates;

use std::sync::Arc;
use std::time::SystemTime;

use cetusguard_config::tls::{EngineFiles, ListenerFiles, ListenerTls, MakeTls, WrongFiles};
use cetusguard_config::{Unreadable, read_text};
use rustls::client::WantsClientCert;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::{
    ClientConfig, ConfigBuilder, DigitallySignedStruct, RootCertStore, ServerConfig,
    SignatureScheme,
};

use crate::tls::certificate::{expiry, is_old_version};

/// Makes the TLS settings of the configuration with rustls.
#[derive(Clone, Debug)]
pub enum Rustls {}

impl MakeTls for Rustls {
    type Listener = FrontendTls;
    type Engine = Arc<ClientConfig>;

    fn listener(files: ListenerFiles<'_>) -> Result<FrontendTls, WrongFiles> {
        server_settings(files)
    }

    fn engine(files: EngineFiles<'_>) -> Result<Arc<ClientConfig>, WrongFiles> {
        client_settings(files.cacert, files.own)
    }
}

/// The TLS settings of a TCP frontend.
#[derive(Clone, Debug)]
pub struct FrontendTls {
    /// For the handshake.
    pub(crate) config: Arc<ServerConfig>,
    /// The authorities that may sign the certificates of clients, if clients have to show one.
    pub clients: Option<Arc<Vec<CertificateDer<'static>>>>,
    /// The time at which the first certificate of the chain expires, if that can be read.
    pub(crate) expires: Option<SystemTime>,
}

impl ListenerTls for FrontendTls {
    fn asks_clients(&self) -> bool {
        self.clients.is_some()
    }
}

/// Builds the TLS settings of a TCP frontend: TLS 1.2 and 1.3; with a CA, clients must show a
/// certificate that it signed.
fn server_settings(files: ListenerFiles<'_>) -> Result<FrontendTls, WrongFiles> {
    let ListenerFiles { cert, key, cacert } = files;
    let builder = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| other_fault(error.to_string()))?;
    let (builder, clients) = match cacert {
        None => (builder.with_no_client_auth(), None),
        Some(cacert) => {
            let verifier = WebPkiClientVerifier::builder_with_provider(
                Arc::new(read_roots(cacert)?),
                provider(),
            )
            .build();
            let verifier = verifier.map_err(|error| other_fault(format!("{cacert}: {error}")))?;
            (
                builder.with_client_cert_verifier(verifier),
                Some(Arc::new(read_chain(cacert)?)),
            )
        }
    };
    let chain = read_shown_chain(cert)?;
    let expires = chain.iter().filter_map(|one| expiry(one)).min();
    let mut config = builder
        .with_single_cert(chain, private_key(key)?)
        .map_err(|error| key_mismatch(cert, key, &error))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(FrontendTls {
        config: Arc::new(config),
        clients,
        expires,
    })
}

/// Builds the TLS settings of a client: the certificate of the other end is checked with the CA, and
/// the client shows its own if it has one.
///
/// # Errors
/// A file cannot be read, or holds no certificate or key that can be used.
pub fn client_settings(
    cacert: &str,
    own: Option<(&str, &str)>,
) -> Result<Arc<ClientConfig>, WrongFiles> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| other_fault(error.to_string()))?;
    with_own_certificate(builder.with_root_certificates(read_roots(cacert)?), own)
}

/// Builds the TLS settings of a command that asks the proxy: it accepts only the certificate in
/// `expected`, and shows its own if it has one.
///
/// # Errors
/// As for [`client_settings`].
pub fn pinned_client_settings(
    expected: &str,
    own: Option<(&str, &str)>,
) -> Result<Arc<ClientConfig>, WrongFiles> {
    let verifier = Arc::new(Pinned {
        expected: read_chain(expected)?[0].clone(),
        provider: provider(),
    });
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| other_fault(error.to_string()))?;
    let builder = builder
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    with_own_certificate(builder, own)
}

/// Completes the settings of a client, which shows its own certificate if it has one.
fn with_own_certificate(
    builder: ConfigBuilder<ClientConfig, WantsClientCert>,
    own: Option<(&str, &str)>,
) -> Result<Arc<ClientConfig>, WrongFiles> {
    let config = match own {
        None => builder.with_no_client_auth(),
        Some((cert, key)) => builder
            .with_client_auth_cert(read_shown_chain(cert)?, private_key(key)?)
            .map_err(|error| key_mismatch(cert, key, &error))?,
    };
    Ok(Arc::new(config))
}

/// Builds an error without advice: the files do not tell the cause.
fn other_fault(what: String) -> WrongFiles {
    WrongFiles::new(
        what,
        "name PEM files of a certificate, of its key, and of the CA that clients and servers are \
        checked with",
    )
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn key_mismatch(cert: &str, key: &str, error: &rustls::Error) -> WrongFiles {
    match error {
        rustls::Error::InconsistentKeys(_) => WrongFiles::new(
            format!("{key} is not the key of the first certificate in {cert}"),
            format!(
                "name the key that belongs to it: openssl x509 -noout -pubkey -in {cert} and \
                openssl pkey -pubout -in {key} print the same for a pair"
            ),
        ),
        error => other_fault(format!("{cert} and {key}: {error}")),
    }
}

/// Reads a PEM file. Certificates and keys are often in DER, which is no text.
fn read_pem(path: &str) -> Result<String, WrongFiles> {
    read_text(path).map_err(|why| {
        let fix = match why {
            Unreadable::NotText => format!(
                "expected PEM, which is text: openssl x509 -inform der -in {path} writes a \
                certificate so, and openssl pkey -inform der -in {path} a key"
            ),
            _ => why.advice(),
        };
        WrongFiles::new(format!("the TLS file {path} cannot be read: {why}"), fix)
    })
}

/// Reads certificates that are shown to others, which have to be of version 3.
fn read_shown_chain(path: &str) -> Result<Vec<CertificateDer<'static>>, WrongFiles> {
    let chain = read_chain(path)?;
    if chain.iter().any(|one| is_old_version(one)) {
        return Err(WrongFiles::new(
            format!("{path}: an X.509 certificate of version 1, which clients do not accept"),
            "make one of version 3, with a subjectAltName: openssl req and openssl x509 write that \
            version if they add extensions (-addext, -extfile)",
        ));
    }
    Ok(chain)
}

fn read_chain(path: &str) -> Result<Vec<CertificateDer<'static>>, WrongFiles> {
    let text = read_pem(path)?;
    let damaged = "copy the file again: a certificate is damaged";
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
    let chain = chain.map_err(|error| WrongFiles::new(format!("{path}: {error}"), damaged))?;
    if chain.is_empty() {
        let fix = match text.contains("PRIVATE KEY-----") {
            true => "it holds a private key: the certificate and the key may have changed places",
            false => "name a file with -----BEGIN CERTIFICATE----- in it",
        };
        return Err(WrongFiles::new(
            format!("{path}: no certificate (PEM) in it"),
            fix,
        ));
    }
    Ok(chain)
}

fn private_key(path: &str) -> Result<PrivateKeyDer<'static>, WrongFiles> {
    let text = read_pem(path)?;
    PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|_| {
        let fix = match text.as_str() {
            text if text.contains("ENCRYPTED") => format!(
                "it is encrypted, and nothing can ask for a passphrase: openssl pkey -in {path} \
                -out FILE writes it without one"
            ),
            text if text.contains("-----BEGIN CERTIFICATE-----") => {
                "it holds a certificate: the certificate and the key may have changed places"
                    .to_owned()
            }
            _ => "name a file with -----BEGIN PRIVATE KEY----- in it".to_owned(),
        };
        WrongFiles::new(format!("{path}: no private key (PEM) in it"), fix)
    })
}

fn read_roots(path: &str) -> Result<RootCertStore, WrongFiles> {
    let mut roots = RootCertStore::empty();
    for certificate in read_chain(path)? {
        roots
            .add(certificate)
            .map_err(|error| other_fault(format!("{path}: {error}")))?;
    }
    Ok(roots)
}

/// Accepts one certificate, byte for byte; the peer must still prove that it holds the key.
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
            Err(rustls::CertificateError::ApplicationVerificationFailure.into())
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
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
