//! Certificates for one test.

use std::fmt;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, PublicKeyData, SanType,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use crate::TempDir;

/// A CA, a server and a client that it signed, and a client that it did not sign; as PEM files.
pub struct Certs {
    /// The folder: `ca.pem`, `server.pem`, `server.key`, `client.pem`, `client.key`,
    /// `stranger.pem`, `stranger.key`.
    pub folder: TempDir,
    ca: CertifiedIssuer<'static, KeyPair>,
}

impl Certs {
    /// Makes them all.
    ///
    /// # Panics
    /// Never with these parameters.
    #[must_use]
    pub fn make() -> Self {
        let certs = Self {
            folder: TempDir::new(),
            ca: authority(),
        };
        certs.folder.write("ca.pem", &certs.ca.pem());
        certs.issue(
            "server",
            "",
            &["localhost", "127.0.0.1"],
            ExtendedKeyUsagePurpose::ServerAuth,
            &certs.ca,
        );
        certs.client_named("client", "client", &["localhost", "127.0.0.1"]);
        certs.issue(
            "stranger",
            "client",
            &["localhost"],
            ExtendedKeyUsagePurpose::ClientAuth,
            &authority(),
        );
        certs
    }

    /// Makes `FILE.pem` and `FILE.key` of a client with this common name and these alternative
    /// names: DNS names, IP addresses and URIs. Returns its key (`SubjectPublicKeyInfo`, DER).
    pub fn client_named(&self, file: &str, common_name: &str, names: &[&str]) -> Vec<u8> {
        self.issue(
            file,
            common_name,
            names,
            ExtendedKeyUsagePurpose::ClientAuth,
            &self.ca,
        )
    }

    fn issue(
        &self,
        file: &str,
        common_name: &str,
        names: &[&str],
        purpose: ExtendedKeyUsagePurpose,
        ca: &CertifiedIssuer<'static, KeyPair>,
    ) -> Vec<u8> {
        let key = KeyPair::generate().expect("a key");
        let (uris, others): (Vec<&str>, _) = names.iter().partition(|name| name.contains("://"));
        let others: Vec<&str> = others;
        let mut params =
            CertificateParams::new(others.iter().map(ToString::to_string).collect::<Vec<_>>())
                .expect("names");
        let uris = uris
            .iter()
            .map(|uri| SanType::URI((*uri).try_into().expect("a URI")));
        params.subject_alt_names.extend(uris);
        params.distinguished_name = DistinguishedName::new();
        if !common_name.is_empty() {
            params
                .distinguished_name
                .push(DnType::CommonName, common_name);
        }
        params.extended_key_usages = vec![purpose];
        let certificate = params.signed_by(&key, ca).expect("a certificate");
        self.folder
            .write(&format!("{file}.pem"), &certificate.pem());
        self.folder
            .write(&format!("{file}.key"), &key.serialize_pem());
        key.subject_public_key_info()
    }

    /// The path of one of the files.
    #[must_use]
    pub fn file(&self, name: &str) -> String {
        self.folder.file(name)
    }

    /// Builds the settings of a TLS client that trusts the CA and shows the certificate of this
    /// name, if any.
    ///
    /// # Panics
    /// Never with the names of this type's files.
    #[must_use]
    pub fn client(&self, own: Option<&str>) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_file(self.file("ca.pem")).expect("ca.pem"))
            .expect("a CA");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions");
        let builder = builder.with_root_certificates(roots);
        let config = match own {
            None => builder.with_no_client_auth(),
            Some(own) => {
                let chain = vec![
                    CertificateDer::from_pem_file(self.file(&format!("{own}.pem"))).expect(own),
                ];
                let key =
                    PrivateKeyDer::from_pem_file(self.file(&format!("{own}.key"))).expect(own);
                builder.with_client_auth_cert(chain, key).expect(own)
            }
        };
        Arc::new(config)
    }
}

impl fmt::Debug for Certs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Certs").field(&self.folder).finish()
    }
}

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("a CA")
}
